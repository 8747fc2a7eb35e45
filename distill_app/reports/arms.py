"""Arms: runs of one recipe and one set of settings that differ in the seed alone, put together and compared.

Seeds are averaged problem by problem first; intervals are then over problems, as everywhere. How much seeds differ is
a figure of its own: an interval over problems says nothing about another training seed.
"""

from __future__ import annotations

import json
import statistics as plain
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from distill_app.evaluation import statistics
from distill_app.reports import columns

if TYPE_CHECKING:
    from distill_app.evaluation.resampling import Floats

CONTROL = "random"
"""The selector every other is compared with: a dynamic arm with the dynamic one, which draws afresh each epoch."""


class ArmRow(TypedDict):
    """One arm on one benchmark, or on average, as `schemas/leaderboard.schema.json` has it. Scores are fractions."""

    arm: str
    recipe: str
    selector: str
    label: str
    dynamic: bool
    differs: dict[str, Any]
    student: str | None
    seeds: list[int]
    runs: list[str]
    benchmark: str
    metric: str
    k: int
    n_problems: int
    n_clusters: int | None
    score: float
    ci_low: float | None
    ci_high: float | None
    seed_scores: list[float]
    seed_sd: float | None
    base_score: float | None
    base_ci_low: float | None
    base_ci_high: float | None
    gain: float | None
    gain_ci_low: float | None
    gain_ci_high: float | None
    gain_p: float | None
    minus_random: float | None
    minus_random_ci_low: float | None
    minus_random_ci_high: float | None
    minus_random_p: float | None
    random_arm: str | None
    minus_best: float
    minus_best_ci_low: float | None
    minus_best_ci_high: float | None
    minus_best_p: float | None
    standing: Literal["best", "within noise of the best", "below the best"]
    truncated: float
    no_answer: float
    timed_out: float
    train_tokens: float
    seconds: float


def arms(results: Iterable[Mapping[str, Any]]) -> list[ArmRow]:
    """Every arm of these results on every benchmark, best score first within what can be compared; macro averages last.

    Arms stand together where they answered the same problems under the same evaluation settings. `minus_random` is
    paired by problem with the arm whose selector is random, dynamic for a dynamic arm where there is one, else static,
    and whose recipe and settings are otherwise the same; null for static random itself and where there is none.
    `minus_best` is against the best score, its p-value adjusted after Holm over the arms beside the best. Of two
    results of one arm and one seed the later counts. Results without an `arm` (of earlier versions) are left out.
    """
    given = grouped(results)
    differing = _differing([group[0] for group in given])
    found: dict[columns.Section, list[_Measured]] = {}
    for group, differs in zip(given, differing, strict=True):
        for section, measured in columns.sections(group[0], columns.of(group)):
            found.setdefault(section, []).append(_Measured(group, section, measured, differs))
    drawn = statistics.Drawn()
    return [row for section in sorted(found) for row in _section(found[section], drawn)]


def grouped(results: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """The runs of each arm by rising seed; of two with one seed the later counts."""
    by_arm: dict[str, dict[int, Mapping[str, Any]]] = {}
    for result in results:
        if "arm" in result:
            by_arm.setdefault(result["arm"], {})[result["seed"]] = result
    return [[seeds[seed] for seed in sorted(seeds)] for seeds in by_arm.values()]


@dataclass(frozen=True, slots=True)
class _Measured:
    """The runs of an arm on one benchmark, or on several for their macro average."""

    results: Sequence[Mapping[str, Any]]
    section: columns.Section
    columns: Sequence[columns.Column]
    differs: dict[str, Any]

    @property
    def first(self) -> Mapping[str, Any]:
        return self.results[0]

    @property
    def dynamic(self) -> bool:
        return bool(self.first["selection"]["dynamic"])

    @property
    def base(self) -> tuple[tuple[float, ...], ...] | None:
        """The untrained student's scores by problem, a tuple a benchmark; None where one was not measured."""
        found = tuple(column.untrained for column in self.columns if column.untrained is not None)
        return found if len(found) == len(self.columns) else None

    def by_seed(self, name: str) -> list[float]:
        """A figure of the rows of this metric for each seed, the mean over benchmarks."""
        asked = {(column.benchmark, column.metric) for column in self.columns}
        return [
            plain.fmean(row[name] for row in result["rows"] if (row["benchmark"], row["metric"]) in asked)
            for result in self.results
        ]


def _section(members: Sequence[_Measured], drawn: statistics.Drawn) -> list[ArmRow]:
    """The lines of arms that stand together, best first. All are resampled at once, with the same draws."""
    m = len(members)
    # Most arms share their untrained student: each is resampled once.
    bases = list(dict.fromkeys(one.base for one in members if one.base is not None))
    strata = columns.strata([one.columns for one in members], bases)
    means, draws = statistics.means(strata), statistics.resampled(strata, drawn)
    order = sorted(range(m), key=lambda place: (-means[place], members[place].first["label"], _arm(members[place])))
    best = order[0]
    controls = _controls(members, order)
    untrained = [None if one.base is None else m + bases.index(one.base) for one in members]
    scores = _intervals(draws, [(place, None) for place in range(m)])
    before = _intervals(draws, [None if base is None else (base, None) for base in untrained])
    gains = _intervals(draws, [None if base is None else (place, base) for place, base in enumerate(untrained)])
    random = _intervals(draws, [None if other is None else (place, other) for place, other in enumerate(controls)])
    over_base, over_random = _p_values(strata, untrained, drawn), _p_values(strata, controls, drawn)
    standings = statistics.behind_best(strata, drawn, order)
    clusters = statistics.n_clusters(strata)
    rows: list[ArmRow] = []
    for place, standing in zip(order, standings, strict=True):
        one, base, control = members[place], untrained[place], controls[place]
        seed_scores = one.by_seed("score")
        rows.append(
            {
                "arm": _arm(one),
                "recipe": one.first["recipe"],
                "selector": one.first["selector"],
                "label": one.first["label"],
                "dynamic": one.dynamic,
                "differs": one.differs,
                "student": one.first["settings"].get("student"),
                "seeds": [result["seed"] for result in one.results],
                "runs": [result["run"] for result in one.results],
                "benchmark": one.section.name,
                "metric": one.section.metrics[0],
                "k": int(one.section.metrics[0].split("@")[1]),
                "n_problems": sum(len(column.problems) for column in one.columns),
                "n_clusters": clusters,
                "score": means[place],
                "ci_low": _low(scores[place]),
                "ci_high": _high(scores[place]),
                "seed_scores": seed_scores,
                "seed_sd": plain.stdev(seed_scores) if len(seed_scores) > 1 else None,
                "base_score": None if base is None else means[base],
                "base_ci_low": _low(before[place]),
                "base_ci_high": _high(before[place]),
                "gain": None if base is None else means[place] - means[base],
                "gain_ci_low": _low(gains[place]),
                "gain_ci_high": _high(gains[place]),
                "gain_p": over_base[place],
                "minus_random": None if control is None else means[place] - means[control],
                "minus_random_ci_low": _low(random[place]),
                "minus_random_ci_high": _high(random[place]),
                "minus_random_p": over_random[place],
                "random_arm": None if control is None else _arm(members[control]),
                "minus_best": means[place] - means[best],
                "minus_best_ci_low": _low(standing.interval),
                "minus_best_ci_high": _high(standing.interval),
                "minus_best_p": standing.p_value,
                "standing": _words(standing),
                "truncated": plain.fmean(one.by_seed("truncated")),
                "no_answer": plain.fmean(one.by_seed("no_answer")),
                "timed_out": plain.fmean(one.by_seed("timed_out")),
                "train_tokens": plain.fmean(one.by_seed("train_tokens")),
                "seconds": plain.fmean(one.by_seed("seconds")),
            }
        )
    return rows


def _arm(one: _Measured) -> str:
    return str(one.first["arm"])


def _controls(members: Sequence[_Measured], order: Sequence[int]) -> list[int | None]:
    """For each arm the place of the random one it is compared with."""
    random = {
        (members[place].first["setting"], members[place].dynamic): place
        for place in order
        if members[place].first["selector"] == CONTROL
    }
    found = []
    for place, one in enumerate(members):
        static = random.get((one.first["setting"], False))
        same = random.get((one.first["setting"], one.dynamic), static)
        chosen = static if same == place else same
        found.append(None if chosen == place else chosen)
    return found


def _intervals(
    draws: Floats | None, asked: Sequence[tuple[int, int | None] | None]
) -> list[statistics.Interval | None]:
    """The intervals of lines of `draws`, or of one less another; None where none is asked for or there are no draws."""
    wanted = list(dict.fromkeys(pair for pair in asked if pair is not None))
    if draws is None or not wanted:
        return [None] * len(asked)
    # Many arms have one untrained student: its interval is worked out once.
    alone = [first for first, other in wanted if other is None]
    apart = [(first, other) for first, other in wanted if other is not None]
    found: dict[tuple[int, int | None], statistics.Interval] = {}
    if alone:
        found |= zip(((first, None) for first in alone), statistics.bounds(draws[alone]), strict=True)
    found |= zip(apart, statistics.apart_bounds(draws, apart), strict=True)
    return [None if pair is None else found[pair] for pair in asked]


def _p_values(
    strata: Sequence[statistics.Stratum], others: Sequence[int | None], drawn: statistics.Drawn
) -> list[float | None]:
    """The sign-flip p-value of each line less the other named for it; None where none is."""
    wanted = [(place, other) for place, other in enumerate(others) if other is not None]
    found = iter(statistics.paired_p_values(strata, wanted, drawn))
    return [None if other is None else next(found) for other in others]


def _words(standing: statistics.Standing) -> Literal["best", "within noise of the best", "below the best"]:
    if standing.p_value is None:
        return "best"
    return "within noise of the best" if standing.near else "below the best"


def _low(ends: statistics.Interval | None) -> float | None:
    return None if ends is None else ends.low


def _high(ends: statistics.Interval | None) -> float | None:
    return None if ends is None else ends.high


def _differing(firsts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each arm the settings that tell it from the others of its recipe and label; the arm itself if none does."""
    alike: dict[tuple[str, str], list[int]] = {}
    for place, result in enumerate(firsts):
        alike.setdefault((result["recipe"], result["label"]), []).append(place)
    found: list[dict[str, Any]] = [{} for _ in firsts]
    for places in alike.values():
        if len(places) == 1:
            continue
        settings = [columns.flat(firsts[place]["settings"]) for place in places]
        names = sorted({name for one in settings for name in one} - {"label"})
        telling = [name for name in names if len({json.dumps(one.get(name)) for one in settings}) > 1]
        for place, one in zip(places, settings, strict=True):
            found[place] = {name: one.get(name) for name in telling}
        shown = [json.dumps(found[place], sort_keys=True) for place in places]
        for place, text in zip(places, shown, strict=True):
            if shown.count(text) > 1:
                found[place]["arm"] = firsts[place]["arm"]
    return found
