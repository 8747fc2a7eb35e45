"""Chooses what the student learns from: the candidates by the recipe's `keep`, then the selector's best."""

from __future__ import annotations

import importlib
from collections import Counter
from typing import Any

from distill_app.errors import StageError
from distill_app.recipe.model import build
from distill_app.records import Decision, Quality, Trace, Verdict
from distill_app.selectors import Candidates, _top
from distill_app.stages import Context, Summary, generate, grade, quality, tokens
from distill_app.store import rows

VERSION = 1
MODEL = False
SELECTED = "selected.parquet"
DECISIONS = "decisions.parquet"


def run(stage: Context) -> Summary:
    """Write selected.parquet (the kept traces, best first) and decisions.parquet (every row with its reason)."""
    import numpy as np

    traces = _all(stage, "traces", generate.FILE, Trace)
    verdicts = {row.id: row.verdict for row in _all(stage, "verdicts", grade.FILE, Verdict)}
    lengths = {row.id: row.tokens for row in _all(stage, "tokens", tokens.FILE, tokens.TraceTokens)}
    scores = {row.id: row.quality for row in _all(stage, "quality", quality.FILE, Quality)}
    left: list[Decision] = []
    candidates: list[Trace] = []
    for trace in traces:
        reason = _left_out(trace, verdicts[trace.id], lengths.get(trace.id), stage.options["keep"])
        if reason:
            left.append(Decision(trace.id, False, None, None, reason))
        else:
            candidates.append(trace)
    if not candidates:
        reasons = ", ".join(f"{count} {why}" for why, count in Counter(row.reason for row in left).most_common())
        raise StageError(
            f"None of the {len(traces)} traces is a candidate ({reasons}).",
            "Loosen pool.keep, or take a better teacher. `distill-app show latest` counts how the answers were graded.",
        )
    signals = {
        name: np.array([values[trace.id] for trace in candidates], dtype=np.float64)
        for name, values in (("quality", scores), ("tokens", lengths))
        if values
    }
    pool = Candidates([trace.id for trace in candidates], [trace.problem_id for trace in candidates], signals)
    module = importlib.import_module(f"distill_app.selectors.{stage.options['selector']}")
    options = build(module.Options, stage.options["selector_options"])
    ranking = module.rank(pool, options, stage.options["seed"])
    decided = _top.keep(pool, ranking, options.top, options.per_problem)
    by_id = {trace.id: trace for trace in candidates}
    kept = sorted((row for row in decided if row.kept), key=lambda row: row.rank or 0)
    rows.write(stage.folder / SELECTED, Trace, [by_id[row.id] for row in kept])
    rows.write(stage.folder / DECISIONS, Decision, [*decided, *left])
    counts = {"traces": len(traces), "candidates": len(candidates), "selected": len(kept)}
    counts |= {f"left out: {why}": n for why, n in sorted(Counter(row.reason for row in left).items())}
    return Summary(len(kept), counts=counts)


def _all(stage: Context, role: str, name: str, kind: type[Any]) -> list[Any]:
    return [row for folder in stage.inputs.get(role, ()) for row in rows.read(folder / name, kind)]


def _left_out(trace: Trace, verdict: str, length: int | None, keep: Any) -> str | None:
    """Why a trace is no candidate, in few words that are counted; None when it is one."""
    if not trace.text.strip():
        return "empty"
    if keep["correct"] and verdict != "correct":
        return {"wrong": "wrong answer", "no_answer": "no answer", "timeout": "grading timed out"}[verdict]
    if keep["max_tokens"] is not None and length is not None and length > keep["max_tokens"]:
        return f"longer than {keep['max_tokens']} tokens"
    return None
