"""Grades the final answer of every row, traces and samples alike, against its gold answer."""

from __future__ import annotations

from collections import Counter

from distill_app.evaluation import grading
from distill_app.evaluation.grading import Answerable
from distill_app.records import Sample, Trace, Verdict
from distill_app.stages import Context, Summary, evaluate, generate
from distill_app.store import rows

VERSION = 2
MODEL = False
FILE = "verdicts.parquet"


def run(stage: Context) -> Summary:
    """Write verdicts.parquet: one verdict a row, in the rows' order. A trace without a gold answer is `ungraded`."""
    folder = stage.input("rows")
    given: list[Trace] | list[Sample]
    if (folder / generate.FILE).exists():
        given = rows.read(folder / generate.FILE, Trace)
    else:
        given = rows.read(folder / evaluate.FILE, Sample)
    graded = grading.grade(
        [Answerable(row.id, row.text, row.answer, row.kind, row.tolerance) for row in given if row.answer],
        workers=stage.runtime.grade_workers,
        limit_seconds=stage.options["limit_seconds"],
        progress=lambda done, total: stage.progress(done, total, "answers"),
    )
    by_id = {verdict.id: verdict for verdict in graded}
    verdicts = [by_id.get(row.id, Verdict(row.id, "ungraded", None, None)) for row in given]
    rows.write(stage.folder / FILE, Verdict, verdicts)
    return Summary(len(verdicts), counts=dict(sorted(Counter(v.verdict for v in verdicts).items())))
