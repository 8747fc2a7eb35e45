"""The result of a run as plain data: what `result.json` holds and `schemas/result.schema.json` describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from distill_app.errors import StageError
from distill_app.evaluation import metrics, statistics
from distill_app.records import Sample, Verdict

VERSION = 2
UNTRAINED = "untrained"
"""What stands in the `selector` column of the student before training."""
UNTRAINED_LABEL = "Untrained"


class Row(TypedDict):
    """One line of a leaderboard: one benchmark under one metric. Scores and shares are fractions, 0 to 1."""

    run: str
    recipe: str
    selector: str
    label: str
    seed: int
    benchmark: str
    metric: str
    k: int
    n_problems: int
    score: float
    ci_low: float | None
    ci_high: float | None
    base_score: float | None
    gain: float | None
    gain_ci_low: float | None
    gain_ci_high: float | None
    truncated: float
    no_answer: float
    timed_out: float
    train_tokens: int
    seconds: float


class PerProblem(TypedDict):
    """avg@k by problem, problems sorted by id: what pairs one run with another. `untrained` is null without a base."""

    metric: str
    problems: list[str]
    untrained: list[float] | None
    trained: list[float]


class Result(TypedDict):
    """A whole `result.json`.

    `label` is what a person reads instead of `selector`. `arm` is shared by runs that differ in seed alone, `setting`
    by runs that differ in seed and selector alone. `selection` holds `selection.json` and the epochs of a dynamic one.
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
    counts: dict[str, Any]
    timings: dict[str, float]
    settings: dict[str, Any]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one student answered on one benchmark.

    `labels` gives each sample id its class of equivalent answers (`grading.answer_classes`), -1 for none.
    """

    benchmark: str
    samples: Sequence[Sample]
    verdicts: Sequence[Verdict]
    labels: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Table:
    problems: tuple[str, ...]
    correct: list[list[bool]]
    labels: list[list[int]]
    truncated: float
    no_answer: float
    timed_out: float


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
) -> Result:
    """The result of a run: for each benchmark avg@`samples`, then pass@ and maj@ for each of `k`.

    `trained` and `base` are joined by benchmark, and their problems by id: gains are paired, so a benchmark that
    both have must have the same problems in both (`StageError`). A benchmark without a base has null gains.
    `train_tokens` are the tokens the loss was taken over, `seconds` the run's own wall time. Pure: no clock, no files.
    """
    before = {entry.benchmark: _table(entry) for entry in base}
    rows: list[Row] = []
    base_rows: list[Row] = []
    per_problem: dict[str, PerProblem] = {}
    remarks = list(notes)
    shared = {"run": run, "recipe": recipe, "seed": seed}
    for entry in trained:
        table, base_table = _table(entry), before.get(entry.benchmark)
        if base_table is not None and base_table.problems != table.problems:
            raise StageError(
                f"Benchmark {entry.benchmark!r} was not answered on the same problems before and after training "
                f"({len(base_table.problems)} and {len(table.problems)} problems).",
                "Evaluate both students with the same recipe; see the evaluate stages of the run.",
            )
        base_values = None if base_table is None else dict(_values(base_table, samples, k))
        average = ("avg", samples)
        per_problem[entry.benchmark] = {
            "metric": f"avg@{samples}",
            "problems": list(table.problems),
            "untrained": None if base_values is None else base_values[average],
            "trained": dict(_values(table, samples, ()))[average],
        }
        for key, values in _values(table, samples, k):
            rows.append(
                _row(
                    {**shared, "selector": selector, "label": label, "train_tokens": train_tokens, "seconds": seconds},
                    entry.benchmark,
                    key,
                    table,
                    values,
                    None if base_values is None else base_values[key],
                )
            )
            if min(values) == max(values):
                remarks.append(
                    f"{entry.benchmark} {key[0]}@{key[1]}: every problem has the same score, so the interval has no "
                    "width; it is not a sign of certainty."
                )
    for entry in base:
        table = before[entry.benchmark]
        empty = {**shared, "selector": UNTRAINED, "label": UNTRAINED_LABEL, "train_tokens": 0, "seconds": 0.0}
        base_rows += [
            _row(empty, entry.benchmark, key, table, values, None) for key, values in _values(table, samples, k)
        ]
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
        "rows": rows,
        "base_rows": base_rows,
        "per_problem": per_problem,
        "selection": dict(selection),
        "counts": dict(counts),
        "timings": dict(timings),
        "settings": dict(settings),
        "notes": remarks,
    }


def _table(entry: Measured) -> _Table:
    """Samples as problems x samples, problems sorted by id, samples by their number."""
    verdicts = {verdict.id: verdict for verdict in entry.verdicts}
    missing = [sample.id for sample in entry.samples if sample.id not in verdicts]
    if missing:
        raise StageError(f"{len(missing)} samples of {entry.benchmark!r} were never graded, {missing[0]!r} first.")
    if not entry.samples:
        raise StageError(f"Benchmark {entry.benchmark!r} has no samples.", "Check its data set and its limit.")
    groups: dict[str, list[Sample]] = {}
    for sample in sorted(entry.samples, key=lambda sample: (sample.problem_id, sample.sample)):
        groups.setdefault(sample.problem_id, []).append(sample)
    n = len(entry.samples)
    outcomes = [verdicts[sample.id].verdict for sample in entry.samples]
    return _Table(
        problems=tuple(groups),
        correct=[[verdicts[sample.id].verdict == "correct" for sample in group] for group in groups.values()],
        labels=[[entry.labels[sample.id] for sample in group] for group in groups.values()],
        truncated=sum(sample.finish_reason == "length" for sample in entry.samples) / n,
        no_answer=outcomes.count("no_answer") / n,
        timed_out=outcomes.count("timeout") / n,
    )


def _values(table: _Table, samples: int, k: Sequence[int]) -> list[tuple[tuple[str, int], list[float]]]:
    """((metric, k), one value per problem) in the order of the rows."""
    return [
        (("avg", samples), metrics.avg_at_k(table.correct, samples)),
        *((("pass", size), metrics.pass_at_k(table.correct, size)) for size in k),
        *((("maj", size), metrics.maj_at_k(table.labels, table.correct, size)) for size in k),
    ]


def _row(
    shared: Mapping[str, Any],
    benchmark: str,
    key: tuple[str, int],
    table: _Table,
    values: list[float],
    base: list[float] | None,
) -> Row:
    bounds = statistics.interval(values)
    gain = None if base is None else statistics.paired_difference(values, base)
    gain_bounds = None if gain is None else gain.interval
    return {
        "run": shared["run"],
        "recipe": shared["recipe"],
        "selector": shared["selector"],
        "label": shared["label"],
        "seed": shared["seed"],
        "benchmark": benchmark,
        "metric": f"{key[0]}@{key[1]}",
        "k": key[1],
        "n_problems": len(values),
        "score": statistics.mean(values),
        "ci_low": None if bounds is None else bounds.low,
        "ci_high": None if bounds is None else bounds.high,
        "base_score": None if base is None else statistics.mean(base),
        "gain": None if gain is None else gain.mean,
        "gain_ci_low": None if gain_bounds is None else gain_bounds.low,
        "gain_ci_high": None if gain_bounds is None else gain_bounds.high,
        "truncated": table.truncated,
        "no_answer": table.no_answer,
        "timed_out": table.timed_out,
        "train_tokens": shared["train_tokens"],
        "seconds": shared["seconds"],
    }
