"""Rates every trace by itself with the recipe's scorer."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from distill_app.recipe.model import build
from distill_app.records import Quality, Trace, Verdict
from distill_app.stages import Context, Summary, generate, grade
from distill_app.store import rows

VERSION = 2
MODEL = False  # the scorer's own MODEL decides: see plan.pool
FILE = "quality.parquet"


def run(stage: Context) -> Summary:
    """Write quality.parquet: one score a trace, in the traces' order."""
    scorer = importlib.import_module(f"distill_app.quality.{stage.options['scorer']}")
    traces = rows.read(stage.input("traces") / generate.FILE, Trace)
    verdicts = rows.read(stage.input("verdicts") / grade.FILE, Verdict)
    given = list(zip(traces, verdicts, strict=True))
    values = {**stage.options, **stage.local}
    if "teacher" in stage.local:
        values["teacher"] = {**stage.options["teacher"], **stage.local["teacher"]}
    options = build(scorer.Options, {key: values[key] for key in scorer.Options.__dataclass_fields__})
    scores = _rated(stage, scorer, given, options) if scorer.MODEL else scorer.score(given, options)
    rows.write(stage.folder / FILE, Quality, scores)
    counts = scorer.survey(scores) if hasattr(scorer, "survey") else {}
    return Summary(len(scores), counts={"rated": len(scores), **counts})


def _rated(stage: Context, scorer: Any, given: Sequence[tuple[Trace, Verdict]], options: Any) -> list[Quality]:
    """Scores by a model; batches are on disk as they finish, so an attempt that died is gone on from."""
    log = rows.RowLog(stage.work / "scores.jsonl", Quality)
    done = frozenset(row.id for row in log.rows)
    batches = scorer.score(
        given,
        options,
        runtime=stage.runtime,
        done=done,
        say=stage.log,
        progress=lambda n, tokens: stage.progress(len(done) + n, len(given), "traces", tokens),
    )
    for batch in batches:
        log.append(batch)
    log.close()
    by_id = {row.id: row for row in log.rows}
    return [by_id[trace.id] for trace, _ in given]
