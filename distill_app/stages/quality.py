"""Rates every trace by itself with the recipe's scorer."""

from __future__ import annotations

import importlib

from distill_app.recipe.model import build
from distill_app.records import Quality, Trace, Verdict
from distill_app.stages import Context, Summary, generate, grade
from distill_app.store import rows

VERSION = 1
MODEL = False  # the scorer's own MODEL decides: see plan.graph
FILE = "quality.parquet"


def run(stage: Context) -> Summary:
    """Write quality.parquet: one score a trace, in the traces' order."""
    scorer = importlib.import_module(f"distill_app.quality.{stage.options['scorer']}")
    traces = rows.read(stage.input("traces") / generate.FILE, Trace)
    verdicts = rows.read(stage.input("verdicts") / grade.FILE, Verdict)
    options = {key: stage.options[key] for key in scorer.Options.__dataclass_fields__}
    scores = scorer.score(list(zip(traces, verdicts, strict=True)), build(scorer.Options, options))
    rows.write(stage.folder / FILE, Quality, scores)
    return Summary(len(scores))
