"""Problems from the built-in generator, a file or a hub, as rows of one shape."""

from __future__ import annotations

from typing import Any

from distill_app.evaluation import grading
from distill_app.problems import benchmarks, sources
from distill_app.recipe.model import ProblemSource, build
from distill_app.records import Problem
from distill_app.stages import Context, Summary
from distill_app.store import rows
from distill_app.store.files import write_json

VERSION = 2
MODEL = False
FILE = "problems.parquet"


def run(stage: Context) -> Summary:
    """Write problems.parquet; where the problems will be scored on, every gold must verify against itself.

    `local` holds the `dataset` as this machine finds it and, for a benchmark, its name as `benchmark`.
    """
    options: dict[str, Any] = {
        key: value for key, value in stage.options.items() if key not in ("content", "check_golds")
    }
    content = stage.options["content"] or ""
    if content.startswith("hub:"):
        options["revision"] = content.rpartition("@")[2]  # what was planned is read, though the hub move on meanwhile
    source = build(ProblemSource, {**options, "dataset": stage.local["dataset"]})
    result = sources.read(source)
    if stage.options["check_golds"]:
        result = _with_golds(stage, source, result)
    rows.write(stage.folder / FILE, Problem, result.problems)
    if note := benchmarks.remark(stage.local.get("benchmark", ""), source, len(result.problems)):
        stage.log(note)
    counts = {"problems": len(result.problems), "skipped": len(result.skipped)}
    if source.where:
        counts["left out by where"] = result.left_out
    if result.skipped:
        write_json(stage.folder / "skipped.json", result.skipped)
        first = "; ".join(f"{where}: {why}" for where, why in result.skipped[:3])
        stage.log(f"skipped {len(result.skipped)} bad rows ({first}); all are listed in skipped.json")
    return Summary(len(result.problems), counts=counts)


def _with_golds(stage: Context, source: ProblemSource, result: sources.ReadResult) -> sources.ReadResult:
    """The problems whose gold verifies against itself; one that does not is a bad row like any other."""
    limits: dict[str, Any] = {
        "workers": stage.runtime.grade_workers,
        "limit_seconds": stage.runtime.grade_seconds,
    }
    if source.bad_rows == "stop":
        grading.check_golds(result.problems, **limits)
        return result
    bad = {row: f"the gold answer {gold!r} {why}" for row, gold, why in grading.bad_golds(result.problems, **limits)}
    kept = [problem for problem in result.problems if problem.id not in bad]
    return sources.ReadResult(kept, [*result.skipped, *bad.items()], result.left_out)
