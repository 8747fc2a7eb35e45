"""Arms: runs of one recipe and one set of settings that differ in the seed alone, put together and compared.

Seeds are averaged problem by problem first; intervals are then over problems, as everywhere. How much seeds differ is
a figure of its own: an interval over problems says nothing about another training seed.
"""

from __future__ import annotations

import json
import statistics as plain
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from distill_app.evaluation import statistics

CONTROL = "random"
"""The selector every other is compared with: a dynamic arm with the dynamic one, which draws afresh each epoch."""


class ArmRow(TypedDict):
    """One arm on one benchmark, as `schemas/leaderboard.schema.json` describes it. Scores are fractions, 0 to 1."""

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
    minus_random: float | None
    minus_random_ci_low: float | None
    minus_random_ci_high: float | None
    random_arm: str | None
    minus_best: float
    minus_best_ci_low: float | None
    minus_best_ci_high: float | None
    standing: Literal["best", "within noise of the best", "below the best"]
    truncated: float
    no_answer: float
    timed_out: float
    train_tokens: float
    seconds: float


def arms(results: Iterable[Mapping[str, Any]]) -> list[ArmRow]:
    """Every arm of these results on every benchmark, best score first within what can be compared.

    Arms stand together where they answered the same problems under the same evaluation settings. `minus_random` is
    paired by problem with the arm whose selector is random, dynamic for a dynamic arm where there is one, else static,
    and whose recipe and settings are otherwise the same; null for static random itself and where there is none.
    `minus_best` is against the best score. Of two results of one arm and one seed the later counts. Results without an
    `arm` (of earlier versions) are left out.
    """
    by_arm: dict[str, dict[int, Mapping[str, Any]]] = {}
    for result in results:
        if "arm" in result:
            by_arm.setdefault(result["arm"], {})[result["seed"]] = result
    given = [[seeds[seed] for seed in sorted(seeds)] for seeds in by_arm.values()]
    differing = _differing([group[0] for group in given])
    sections: dict[str, list[_Measured]] = {}
    for group, differs in zip(given, differing, strict=True):
        for benchmark in group[0]["per_problem"]:
            measured = _Measured(group, benchmark, differs)
            sections.setdefault(measured.section, []).append(measured)
    rows: list[ArmRow] = []
    for section in sorted(sections):
        together = sorted(sections[section], key=lambda one: (-one.score, one.first["label"], one.first["arm"]))
        controls = {(one.first["setting"], one.dynamic): one for one in together if one.first["selector"] == CONTROL}
        for one in together:
            static = controls.get((one.first["setting"], False))
            same = controls.get((one.first["setting"], one.dynamic), static)
            rows.append(one.row(together[0], static if same is one else same))
    return rows


class _Measured:
    """The runs of an arm on one benchmark, averaged over seeds by problem."""

    def __init__(self, results: Sequence[Mapping[str, Any]], benchmark: str, differs: dict[str, Any]) -> None:
        self.results = results
        self.first = results[0]
        self.benchmark = benchmark
        self.differs = differs
        columns = [result["per_problem"][benchmark] for result in results]
        self.metric: str = columns[0]["metric"]
        self.problems: list[str] = columns[0]["problems"]
        self.values = _mean_by_problem([column["trained"] for column in columns])
        self.score = statistics.mean(self.values)
        self.base: list[float] | None = columns[0]["untrained"]
        self.seed_scores = [statistics.mean(column["trained"]) for column in columns]
        asked = {key: value for key, value in self.first["settings"].get("evaluation", {}).items() if key != "k"}
        asked.pop("benchmarks", None)
        self.section = json.dumps([benchmark, self.metric, asked, self.problems], sort_keys=True)
        self.dynamic: bool = self.first["selection"]["dynamic"]

    def row(self, best: _Measured, control: _Measured | None) -> ArmRow:
        """The arm's line, beside the best of its section and its random control."""
        score = statistics.interval(self.values)
        base = None if self.base is None else statistics.interval(self.base)
        gain = _difference(self.values, self.base)
        random = None if control is None or control is self else control
        against = _difference(self.values, None if random is None else random.values)
        behind = _difference(self.values, best.values)
        covers = behind[1] is None or behind[2] is None or behind[1] <= 0.0 <= behind[2]
        return {
            "arm": self.first["arm"],
            "recipe": self.first["recipe"],
            "selector": self.first["selector"],
            "label": self.first["label"],
            "dynamic": self.dynamic,
            "differs": self.differs,
            "student": self.first["settings"].get("student"),
            "seeds": [result["seed"] for result in self.results],
            "runs": [result["run"] for result in self.results],
            "benchmark": self.benchmark,
            "metric": self.metric,
            "k": int(self.metric.split("@")[1]),
            "n_problems": len(self.problems),
            "score": self.score,
            "ci_low": None if score is None else score.low,
            "ci_high": None if score is None else score.high,
            "seed_scores": self.seed_scores,
            "seed_sd": plain.stdev(self.seed_scores) if len(self.seed_scores) > 1 else None,
            "base_score": None if self.base is None else statistics.mean(self.base),
            "base_ci_low": None if base is None else base.low,
            "base_ci_high": None if base is None else base.high,
            "gain": gain[0],
            "gain_ci_low": gain[1],
            "gain_ci_high": gain[2],
            "minus_random": against[0],
            "minus_random_ci_low": against[1],
            "minus_random_ci_high": against[2],
            "random_arm": None if random is None else random.first["arm"],
            "minus_best": self.score - best.score,
            "minus_best_ci_low": behind[1],
            "minus_best_ci_high": behind[2],
            "standing": "best" if self is best else "within noise of the best" if covers else "below the best",
            "truncated": self._mean("truncated"),
            "no_answer": self._mean("no_answer"),
            "timed_out": self._mean("timed_out"),
            "train_tokens": self._mean("train_tokens"),
            "seconds": self._mean("seconds"),
        }

    def _mean(self, name: str) -> float:
        """Over seeds, of a figure of the arm's rows of this benchmark and metric."""
        found = [
            row[name]
            for result in self.results
            for row in result["rows"]
            if (row["benchmark"], row["metric"]) == (self.benchmark, self.metric)
        ]
        return plain.fmean(found)


def _difference(
    values: Sequence[float], others: Sequence[float] | None
) -> tuple[float | None, float | None, float | None]:
    """Mean of values - others by problem, and the ends of its interval."""
    if others is None:
        return None, None, None
    differences = [one - other for one, other in zip(values, others, strict=True)]
    bounds = statistics.interval(differences)
    return statistics.mean(differences), bounds and bounds.low, bounds and bounds.high


def _mean_by_problem(columns: Sequence[Sequence[float]]) -> list[float]:
    return [plain.fmean(values) for values in zip(*columns, strict=True)]


def _differing(firsts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each arm the settings that tell it from the others of its recipe and label; the arm itself if none does."""
    alike: dict[tuple[str, str], list[int]] = {}
    for place, result in enumerate(firsts):
        alike.setdefault((result["recipe"], result["label"]), []).append(place)
    found: list[dict[str, Any]] = [{} for _ in firsts]
    for places in alike.values():
        if len(places) == 1:
            continue
        settings = [_flat(firsts[place]["settings"]) for place in places]
        names = sorted({name for one in settings for name in one} - {"label"})
        telling = [name for name in names if len({json.dumps(one.get(name)) for one in settings}) > 1]
        for place, one in zip(places, settings, strict=True):
            found[place] = {name: one.get(name) for name in telling}
        shown = [json.dumps(found[place], sort_keys=True) for place in places]
        for place, text in zip(places, shown, strict=True):
            if shown.count(text) > 1:
                found[place]["arm"] = firsts[place]["arm"]
    return found


def _flat(values: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{path}{name}.")
        else:
            found[f"{path}{name}"] = value
    return found
