"""Counts each trace's tokens with the student's tokenizer, for length limits and selectors that look at length."""

from __future__ import annotations

from dataclasses import dataclass

from distill_app.records import Trace
from distill_app.stages import Context, Summary, generate
from distill_app.store import rows
from distill_app.students.load import load_tokenizer
from distill_app.students.locate import fetch, locate

VERSION = 1
MODEL = True
FILE = "tokens.parquet"


@dataclass(frozen=True, slots=True)
class TraceTokens:
    """Length of one trace in tokens of the student's tokenizer, without prompt and end token."""

    id: str
    tokens: int


def run(stage: Context) -> Summary:
    """Write tokens.parquet: one count a trace, in the traces' order."""
    tokenizer = load_tokenizer(fetch(locate(stage.local["model"], stage.local["revision"]), stage.log))
    traces = rows.read(stage.input("traces") / generate.FILE, Trace)
    ids = tokenizer([trace.text for trace in traces], add_special_tokens=False)["input_ids"]
    counted = [TraceTokens(trace.id, len(row)) for trace, row in zip(traces, ids, strict=True)]
    rows.write(stage.folder / FILE, TraceTokens, counted)
    return Summary(len(counted), sum(row.tokens for row in counted))
