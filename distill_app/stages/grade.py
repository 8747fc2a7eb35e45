"""Grades the final answer of every row, traces and samples alike, against its problem's gold answer."""

from __future__ import annotations

from collections import Counter

from distill_app.evaluation import grading
from distill_app.records import Sample, Trace, Verdict
from distill_app.stages import Context, Summary, evaluate, generate
from distill_app.store import rows

VERSION = 1
MODEL = False
FILE = "verdicts.parquet"


def run(stage: Context) -> Summary:
    """Write verdicts.parquet: one verdict a row, in the rows' order."""
    folder = stage.input("rows")
    given: list[Trace] | list[Sample]
    if (folder / generate.FILE).exists():
        given = rows.read(folder / generate.FILE, Trace)
    else:
        given = rows.read(folder / evaluate.FILE, Sample)
    verdicts = grading.grade(
        [(row.id, row.text, row.answer) for row in given],
        workers=stage.runtime.grade_workers,
        limit_seconds=stage.options["limit_seconds"],
        progress=lambda done, total: stage.progress(done, total, "answers"),
    )
    rows.write(stage.folder / FILE, Verdict, verdicts)
    return Summary(len(verdicts), counts=dict(sorted(Counter(v.verdict for v in verdicts).items())))
