"""The result of a run as plain data: what `result.json` holds and `schemas/result.schema.json` describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, TypedDict

from distill_app.errors import StageError, UsageError
from distill_app.evaluation import statistics
from distill_app.problems.benchmarks import MACRO
from distill_app.reports.measured import Key, Table, table
from distill_app.reports.measured import Measured as Measured

VERSION = 3
UNTRAINED = "untrained"
"""What stands in the `selector` column of the student before training."""
UNTRAINED_LABEL = "Untrained"


class Row(TypedDict):
    """One line of a leaderboard: one benchmark, or their macro average, under one metric. Fractions, 0 to 1."""

    run: str
    recipe: str
    selector: str
    label: str
    seed: int
    benchmark: str
    metric: str
    k: int
    n_problems: int
    n_clusters: int | None
    score: float
    se: float | None
    ci_low: float | None
    ci_high: float | None
    base_score: float | None
    gain: float | None
    gain_ci_low: float | None
    gain_ci_high: float | None
    gain_p: float | None
    truncated: float
    no_answer: float
    timed_out: float
    train_tokens: int
    seconds: float


class PerProblem(TypedDict):
    """avg@k by problem, problems sorted by id: what pairs one run with another. `untrained` is null without a base.

    `questions` holds a fingerprint of each problem's question and gold answer, so that an id which stands for another
    problem elsewhere is noticed; `clusters` is null where no problem has one.
    """

    metric: str
    problems: list[str]
    questions: list[str]
    clusters: list[str | None] | None
    untrained: list[float] | None
    trained: list[float]


class Result(TypedDict):
    """A whole `result.json`.

    `label` is what a person reads instead of `selector`. `arm` is shared by runs that differ in seed alone, `setting`
    by runs that differ in seed and selector alone. `selection` holds `selection.json` and the epochs of a dynamic one.
    `agreement` is what the check of the trained student through vLLM found, null where it was not made. `run` and
    `memory` (see `reports.memory`) are filled in beside the run.
    """

    version: int
    run: str
    recipe: str
    selector: str
    label: str
    seed: int
    arm: str
    setting: str
    status: str
    rows: list[Row]
    base_rows: list[Row]
    per_problem: dict[str, PerProblem]
    selection: dict[str, Any]
    agreement: dict[str, Any] | None
    counts: dict[str, Any]
    timings: dict[str, float]
    memory: list[dict[str, Any]]
    settings: dict[str, Any]
    notes: list[str]


def build(
    *,
    run: str,
    recipe: str,
    selector: str,
    label: str,
    seed: int,
    arm: str,
    setting: str,
    status: str,
    trained: Sequence[Measured],
    base: Sequence[Measured],
    samples: int,
    k: Sequence[int],
    train_tokens: int,
    seconds: float,
    selection: Mapping[str, Any],
    counts: Mapping[str, Any],
    timings: Mapping[str, float],
    settings: Mapping[str, Any],
    notes: Sequence[str],
    agreement: Mapping[str, Any] | None = None,
) -> Result:
    """The result of a run: for each benchmark avg@`samples`, then pass@ and maj@ for each of `k`.

    Two benchmarks or more are followed by their macro average under each metric (`MACRO`), with a gain where every one
    of them has a base. `trained` and `base` are joined by benchmark, and their problems by id: gains are paired, so a
    benchmark that both have must have the same problems in both (`StageError`). A benchmark without a base has null
    gains. A k above the samples, and more samples than one at temperature 0 in `settings`, are refused (`UsageError`).
    `train_tokens` are the tokens the loss was taken over, `seconds` the run's own wall time. Pure: no clock, no files.
    """
    if samples > 1 and settings.get("evaluation", {}).get("temperature") == 0:
        raise UsageError(
            f"At temperature 0 all {samples} samples of a problem are the same: that is no avg@{samples}.",
            "Write evaluation.samples: 1, or a temperature above 0 such as 0.6.",
        )
    before = {entry.benchmark: table(entry, samples, k) for entry in base}
    after = {entry.benchmark: table(entry, samples, k) for entry in trained}
    for name, one in after.items():
        if name in before and before[name].problems != one.problems:
            raise StageError(
                f"Benchmark {name!r} was not answered on the same problems before and after training "
                f"({len(before[name].problems)} and {len(one.problems)} problems).",
                "Evaluate both students with the same recipe; see the evaluate stages of the run.",
            )
    common = {"run": run, "recipe": recipe, "seed": seed}
    untrained = {**common, "selector": UNTRAINED, "label": UNTRAINED_LABEL, "train_tokens": 0, "seconds": 0.0}
    own = {**common, "selector": selector, "label": label, "train_tokens": train_tokens, "seconds": seconds}
    average = Key("avg", samples)
    return {
        "version": VERSION,
        "run": run,
        "recipe": recipe,
        "selector": selector,
        "label": label,
        "seed": seed,
        "arm": arm,
        "setting": setting,
        "status": status,
        "rows": _rows(own, after, before),
        "base_rows": _rows(untrained, before, {}),
        "per_problem": {
            name: {
                "metric": average.text,
                "problems": list(one.problems),
                "questions": list(one.questions),
                "clusters": None if one.clusters is None else list(one.clusters),
                "untrained": before[name].values[average] if name in before else None,
                "trained": one.values[average],
            }
            for name, one in after.items()
        },
        "selection": dict(selection),
        "agreement": None if agreement is None else dict(agreement),
        "counts": dict(counts),
        "timings": dict(timings),
        "memory": [],
        "settings": dict(settings),
        "notes": [*notes, *_remarks(after)],
    }


def _rows(shared: Mapping[str, Any], tables: Mapping[str, Table], before: Mapping[str, Table]) -> list[Row]:
    """The rows of one student: each benchmark, then the macro average of two or more."""
    groups = [(name, [one]) for name, one in tables.items()]
    if len(tables) > 1:
        groups.append((MACRO, list(tables.values())))
    rows: list[Row] = []
    for name, group in groups:
        bases = [before[one.benchmark] for one in group if one.benchmark in before]
        rows += _group(shared, name, group, bases if len(bases) == len(group) else None)
    return rows


def _group(shared: Mapping[str, Any], name: str, tables: Sequence[Table], bases: Sequence[Table] | None) -> list[Row]:
    """The rows of one benchmark, or of the macro average of several: one a metric."""
    keys = list(tables[0].values)
    strata = []
    for place, one in enumerate(tables):
        lines = [one.values[key] for key in keys]
        if bases is not None:
            others = [bases[place].values[key] for key in keys]
            gains = [[a - b for a, b in zip(*pair, strict=True)] for pair in zip(lines, others, strict=True)]
            lines += [*others, *gains]
        strata.append(statistics.Stratum(one.benchmark, lines, one.clusters))
    found = statistics.differences(strata)
    rows: list[Row] = []
    for place, key in enumerate(keys):
        score = found[place]
        base, gain = (None, None) if bases is None else (found[len(keys) + place], found[2 * len(keys) + place])
        gain_ends = None if gain is None else gain.interval
        rows.append(
            {
                "run": shared["run"],
                "recipe": shared["recipe"],
                "selector": shared["selector"],
                "label": shared["label"],
                "seed": shared["seed"],
                "benchmark": name,
                "metric": key.text,
                "k": key.k,
                "n_problems": sum(len(one.problems) for one in tables),
                "n_clusters": statistics.n_clusters(strata),
                "score": score.mean,
                "se": score.standard_error,
                "ci_low": None if score.interval is None else score.interval.low,
                "ci_high": None if score.interval is None else score.interval.high,
                "base_score": None if base is None else base.mean,
                "gain": None if gain is None else gain.mean,
                "gain_ci_low": None if gain_ends is None else gain_ends.low,
                "gain_ci_high": None if gain_ends is None else gain_ends.high,
                "gain_p": None if gain is None else gain.p_value,
                "truncated": fmean(one.truncated for one in tables),
                "no_answer": fmean(one.no_answer for one in tables),
                "timed_out": fmean(one.timed_out for one in tables),
                "train_tokens": shared["train_tokens"],
                "seconds": shared["seconds"],
            }
        )
    return rows


def _remarks(tables: Mapping[str, Table]) -> list[str]:
    """What a reader must know of the intervals."""
    found = []
    for name, one in tables.items():
        found += [
            f"{name} {key.text}: every problem has the same score, so the interval has no width; it is not a sign of "
            "certainty."
            for key, values in one.values.items()
            if min(values) == max(values)
        ]
        drawn = statistics.n_clusters([statistics.Stratum(name, list(one.values.values()), one.clusters)])
        if drawn is not None:
            found.append(
                f"{name}: problems share sources, so intervals are over {drawn} clusters, not {len(one.problems)} "
                "problems."
            )
    return found
