"""Runs against each other on the problems both answered: paired differences, and what they allow to be said.

Every pair is compared on each benchmark that both have, and on the macro average of two or more. p-values are adjusted
after Holm over all pairs and benchmarks of the comparison, those of the macro average over all pairs by themselves:
the average is the one question, the benchmarks are the closer look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
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
    by_two = groupby(pairs, key=lambda pair: (pair.first, pair.second))
    macro = [together for _, group in by_two if len(together := list(group)) > 1]
    drawn = statistics.Drawn()
    return {
        "level": statistics.LEVEL,
        "family": FAMILY,
        "operands": [described(number, operand) for number, operand in enumerate(operands, 1)],
        "settings": differing(operands),
        "warnings": warnings,
        "scores": _scores(scores, drawn),
        "pairs": [*_compared(alone, drawn), *_compared(macro, drawn)],
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
        if list(one.values) == list(other.values) and one[2:] == other[2:]:
            both = same = list(one.values)
        else:
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


def _compared(groups: Sequence[Sequence[_Pair]], drawn: statistics.Drawn) -> list[dict[str, Any]]:
    """The lines of pairs: a group is one benchmark, or all that two operands have in common. One family of p-values.

    Groups on the same problems are resampled together, and so with the same draws, each operand once.
    """
    together: dict[tuple[Any, ...], list[int]] = {}
    for place, group in enumerate(groups):
        key = tuple((pair.benchmark, pair.problems, pair.clusters) for pair in group)
        together.setdefault(key, []).append(place)
    found: dict[int, statistics.Difference] = {}
    clusters: dict[int, int | None] = {}
    for places in together.values():
        given = [groups[place][0] for place in places]
        lines = {number: line for line, number in enumerate(_operands_of(given))}
        strata = [
            statistics.Stratum(pair.benchmark, _values([groups[place][at] for place in places]), pair.clusters)
            for at, pair in enumerate(groups[places[0]])
        ]
        pairs = [(lines[pair.first], lines[pair.second]) for pair in given]
        found |= zip(places, statistics.paired(strata, pairs, drawn), strict=True)
        clusters |= dict.fromkeys(places, statistics.n_clusters(strata))
    adjusted = statistics.holm([found[place].p_value for place in range(len(groups))])
    return [_line(group, found[place], adjusted[place], clusters[place]) for place, group in enumerate(groups)]


def _operands_of(pairs: Sequence[_Pair]) -> list[int]:
    return sorted({number for pair in pairs for number in (pair.first, pair.second)})


def _values(pairs: Sequence[_Pair]) -> list[tuple[float, ...]]:
    """The scores of the operands of pairs on the same problems, a line each."""
    by_operand = {
        number: line for pair in pairs for number, line in zip((pair.first, pair.second), pair.values, strict=True)
    }
    return [by_operand[number] for number in _operands_of(pairs)]


def _line(
    group: Sequence[_Pair], difference: statistics.Difference, adjusted: float, clusters: int | None
) -> dict[str, Any]:
    import numpy as np

    low, high = difference.interval or (None, None)
    apart = np.concatenate([np.subtract(*pair.values) for pair in group])
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
        "wins": int((apart > 0).sum()),
        "losses": int((apart < 0).sum()),
        "ties": int((apart == 0).sum()),
        "largest": _largest(group[0]) if len(group) == 1 else [],
    }


def _largest(pair: _Pair) -> list[dict[str, Any]]:
    """The problems that differ most, equals by their ids."""
    import numpy as np

    sizes = np.abs(np.subtract(*pair.values))
    least = np.partition(sizes, -LARGEST)[-LARGEST] if len(sizes) > LARGEST else 0.0
    places = np.flatnonzero((sizes >= least) & (sizes > 0.0)).tolist()
    places.sort(key=lambda place: (-float(sizes[place]), pair.problems[place]))
    return [
        {"problem": pair.problems[place], "first": pair.values[0][place], "second": pair.values[1][place]}
        for place in places[:LARGEST]
    ]


def _macro(values: Sequence[Sequence[float]]) -> float:
    return statistics.mean([statistics.mean(one) for one in values])


def _scores(scores: Sequence[dict[str, Scores]], drawn: statistics.Drawn) -> list[dict[str, Any]]:
    """Each operand by itself on each benchmark, over all the problems it answered."""
    found = []
    for name in dict.fromkeys(name for one in scores for name in one):
        together: dict[tuple[Any, ...], list[int]] = {}
        for number, one in enumerate(scores):
            if name in one:
                key = (tuple(one[name].values), tuple(one[name].clusters.values()))
                together.setdefault(key, []).append(number)
        estimates: dict[int, tuple[statistics.Estimate, int | None]] = {}
        for (_, sources), numbers in together.items():
            lines = [list(scores[number][name].values.values()) for number in numbers]
            stratum = statistics.Stratum(name, lines, sources)
            n_clusters = statistics.n_clusters([stratum])
            found_here = statistics.estimates([stratum], drawn)
            estimates |= {number: (one, n_clusters) for number, one in zip(numbers, found_here, strict=True)}
        for number, (score, clusters) in sorted(estimates.items()):
            column = scores[number][name]
            low, high = score.interval or (None, None)
            found.append(
                {
                    "operand": number + 1,
                    "benchmark": name,
                    "metric": column.metric,
                    "n_problems": len(column.values),
                    "n_clusters": clusters,
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
