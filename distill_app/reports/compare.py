"""Runs against each other on the problems both answered: paired differences, and what they allow to be said.

Every pair is compared on each benchmark that both have, and on the macro average of two or more. p-values are adjusted
after Holm over all pairs and benchmarks of the comparison, those of the macro average over all pairs by themselves:
the average is the one question, the benchmarks are the closer look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from distill_app.errors import UsageError
from distill_app.evaluation import statistics
from distill_app.problems.benchmarks import MACRO
from distill_app.reports.compare_operands import Operand, Scores, described, differing, other_settings
from distill_app.reports.leaderboard import finding

LARGEST = 10
"""Problems listed of each pair, those that differ most."""
FAMILY = (
    "Holm's correction: benchmarks over all pairs and benchmarks together, the macro average over all pairs by itself."
)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two operands on one benchmark: the problems that both answered, and those they did not."""

    first: int
    second: int
    benchmark: str
    metric: str
    problems: tuple[str, ...]
    values: tuple[tuple[float, ...], tuple[float, ...]]
    clusters: tuple[str | None, ...]
    only_first: int
    only_second: int
    other_question: int

    @property
    def differences(self) -> list[float]:
        return [a - b for a, b in zip(*self.values, strict=True)]


def compare(operands: Sequence[Operand]) -> dict[str, Any]:
    """What the operands come to, pair by pair, as `schemas/compare.schema.json` describes it.

    Differences are first less second, over the problems that both answered: a problem that one did not answer, or whose
    id stands for another question or gold answer, is counted and left out. `finding` is of the first: better or worse
    only where the interval leaves 0 out and the adjusted p-value is below 5 %. `UsageError`: fewer than two operands,
    another k or metric, nothing in common.
    """
    if len(operands) < 2:
        raise UsageError(
            "Comparing takes two runs or more.",
            "Name another, or `base` for the untrained student: distill-app compare RUN base. "
            "distill-app runs lists what is there.",
        )
    scores = [operand.scores() for operand in operands]
    warnings = other_settings(operands)
    pairs: list[_Pair] = []
    for first, second in combinations(range(len(operands)), 2):
        pairs += _pairs(operands, scores, first, second)
    if not pairs:
        raise UsageError(
            "No two of these runs answered the same problem.",
            "distill-app leaderboard shows which benchmarks each was measured on.",
        )
    warnings += _other_problems(operands, scores, pairs)
    if len(pairs) > statistics.MOST:
        warnings.append(
            f"{len(pairs)} comparisons are more than {statistics.MOST}: after Holm's correction no difference, however "
            "large, can be told from chance any more. Compare fewer runs."
        )
    alone = [[pair] for pair in pairs]
    macro = [
        together
        for chosen in combinations(range(len(operands)), 2)
        if len(together := [pair for pair in pairs if (pair.first, pair.second) == chosen]) > 1
    ]
    return {
        "level": statistics.LEVEL,
        "family": FAMILY,
        "operands": [described(number, operand) for number, operand in enumerate(operands, 1)],
        "settings": differing(operands),
        "warnings": warnings,
        "scores": _scores(scores),
        "pairs": [*_compared(alone), *_compared(macro)],
    }


def _pairs(operands: Sequence[Operand], scores: Sequence[dict[str, Scores]], first: int, second: int) -> list[_Pair]:
    """Two operands on every benchmark that both answered a problem of."""
    found = []
    for name, one in scores[first].items():
        other = scores[second].get(name)
        if other is None:
            continue
        if one.metric != other.metric:
            k = max(int(metric.split("@")[1]) for metric in (one.metric, other.metric))
            raise UsageError(
                f"{operands[first].name} has {one.metric} on {name} and {operands[second].name} has {other.metric}: "
                "that is not the same measurement.",
                f"Issue the `run` command of the one with fewer samples again with --set evaluation.samples={k}: its "
                "training is kept.",
            )
        both = [problem for problem in one.values if problem in other.values]
        same = [problem for problem in both if not _apart(one.questions[problem], other.questions[problem])]
        if same:
            found.append(
                _Pair(
                    first,
                    second,
                    name,
                    one.metric,
                    tuple(same),
                    (tuple(one.values[p] for p in same), tuple(other.values[p] for p in same)),
                    tuple(one.clusters[p] or other.clusters[p] for p in same),
                    len(one.values) - len(both),
                    len(other.values) - len(both),
                    len(both) - len(same),
                )
            )
    return found


def _apart(question: str | None, other: str | None) -> bool:
    """Whether one id stands for two problems; not where an earlier version did not keep what it stood for."""
    return question is not None and other is not None and question != other


def _compared(groups: Sequence[Sequence[_Pair]]) -> list[dict[str, Any]]:
    """The lines of pairs: a group is one benchmark, or all that two operands have in common. One family of p-values.

    Groups on the same problems are resampled together, and so with the same draws.
    """
    together: dict[tuple[Any, ...], list[int]] = {}
    for place, group in enumerate(groups):
        key = tuple((pair.benchmark, pair.problems, pair.clusters) for pair in group)
        together.setdefault(key, []).append(place)
    found: dict[int, statistics.Difference] = {}
    clusters: dict[int, int | None] = {}
    for places in together.values():
        strata = [
            statistics.Stratum(pair.benchmark, [groups[place][at].differences for place in places], pair.clusters)
            for at, pair in enumerate(groups[places[0]])
        ]
        found |= zip(places, statistics.differences(strata), strict=True)
        clusters |= dict.fromkeys(places, statistics.n_clusters(strata))
    adjusted = statistics.holm([found[place].p_value for place in range(len(groups))])
    return [_line(group, found[place], adjusted[place], clusters[place]) for place, group in enumerate(groups)]


def _line(
    group: Sequence[_Pair], difference: statistics.Difference, adjusted: float, clusters: int | None
) -> dict[str, Any]:
    low, high = difference.interval or (None, None)
    apart = [(problem, a, b) for pair in group for problem, a, b in zip(pair.problems, *pair.values, strict=True)]
    largest = sorted(
        (entry for entry in apart if entry[1] != entry[2]), key=lambda one: (-abs(one[1] - one[2]), one[0])
    )
    return {
        "first": group[0].first + 1,
        "second": group[0].second + 1,
        "benchmark": group[0].benchmark if len(group) == 1 else MACRO,
        "benchmarks": [pair.benchmark for pair in group],
        "metric": group[0].metric,
        "n_problems": len(apart),
        "n_clusters": clusters,
        "only_first": sum(pair.only_first for pair in group),
        "only_second": sum(pair.only_second for pair in group),
        "other_question": sum(pair.other_question for pair in group),
        "first_score": _macro([pair.values[0] for pair in group]),
        "second_score": _macro([pair.values[1] for pair in group]),
        "difference": difference.mean,
        "se": difference.standard_error,
        "ci_low": low,
        "ci_high": high,
        "p_value": difference.p_value,
        "p_adjusted": adjusted,
        "finding": finding(difference.mean, low, high, adjusted),
        "wins": sum(a > b for _, a, b in apart),
        "losses": sum(a < b for _, a, b in apart),
        "ties": sum(a == b for _, a, b in apart),
        "largest": [
            {"problem": problem, "first": a, "second": b}
            for problem, a, b in (largest if len(group) == 1 else [])[:LARGEST]
        ],
    }


def _macro(values: Sequence[Sequence[float]]) -> float:
    return statistics.mean([statistics.mean(one) for one in values])


def _scores(scores: Sequence[dict[str, Scores]]) -> list[dict[str, Any]]:
    """Each operand by itself on each benchmark, over all the problems it answered."""
    found = []
    for name in dict.fromkeys(name for one in scores for name in one):
        for number, one in enumerate(scores, 1):
            if name not in one:
                continue
            column = one[name]
            stratum = statistics.Stratum(name, [list(column.values.values())], list(column.clusters.values()))
            (score,) = statistics.estimates([stratum])
            low, high = score.interval or (None, None)
            found.append(
                {
                    "operand": number,
                    "benchmark": name,
                    "metric": column.metric,
                    "n_problems": len(column.values),
                    "n_clusters": statistics.n_clusters([stratum]),
                    "score": score.mean,
                    "se": score.standard_error,
                    "ci_low": low,
                    "ci_high": high,
                }
            )
    return found


def _other_problems(
    operands: Sequence[Operand], scores: Sequence[dict[str, Scores]], pairs: Sequence[_Pair]
) -> list[str]:
    """What was left out, and what could not be checked."""
    found = []
    compared = {(pair.first, pair.second, pair.benchmark): pair for pair in pairs}
    for first, second in combinations(range(len(operands)), 2):
        between = f"{first + 1} and {second + 1}"
        for name in dict.fromkeys([*scores[first], *scores[second]]):
            pair = compared.get((first, second, name))
            if pair is None:
                found.append(f"{name}: {between} have no problem in common, and are not compared on it.")
                continue
            if pair.only_first or pair.only_second:
                found.append(
                    f"{name}: {between} are compared on the {len(pair.problems)} problems that both answered; "
                    f"{pair.only_first} have only {first + 1}, {pair.only_second} only {second + 1}."
                )
            if pair.other_question:
                found.append(
                    f"{name}: {pair.other_question} ids stand for another question or gold answer in {first + 1} "
                    f"than in {second + 1}; these problems are left out."
                )
    earlier = [
        str(number)
        for number, one in enumerate(scores, 1)
        if any(question is None for column in one.values() for question in column.questions.values())
    ]
    if earlier:
        found.append(
            f"Reported by an earlier version: {', '.join(earlier)}. Whether an id stands for the same question there "
            "could not be checked; issuing the `run` command again makes the report anew."
        )
    return found
