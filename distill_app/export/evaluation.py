"""What the student answered to every benchmark problem, untrained and trained, and how each answer was graded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from distill_app.errors import UsageError
from distill_app.export.finished import AGAIN, Finished
from distill_app.stages import evaluate, grade

if TYPE_CHECKING:
    import pyarrow as pa

STUDENTS = ("base", "trained")
"""The two splits: the untrained student and the trained one."""

COLUMNS = {
    "benchmark": "the benchmark's name in the recipe",
    "problem_id": "the problem; the same in both splits",
    "sample": "which of the problem's samples, from 0",
    "question": "what was asked",
    "gold": "the answer it was graded against",
    "completion": "what the student wrote, whole",
    "extracted": "the final answer found in it; null where none was",
    "rule": "which rule found it",
    "verdict": "correct, wrong, no_answer, or timeout (of grading)",
    "tokens": "length of the completion in the student's tokens",
    "finish_reason": "stop, or length where it was cut at the limit",
    "seed": "the seed it was sampled with",
}
_OF_SAMPLE = {"problem_id": "problem_id", "sample": "sample", "question": "question", "gold": "answer",
              "completion": "text", "tokens": "tokens", "finish_reason": "finish_reason", "seed": "seed"}  # fmt: skip
_OF_VERDICT = ("extracted", "rule", "verdict")


def write(finished: Finished, folder: Path) -> dict[str, int]:
    """Write `<student>-00000-of-00001.parquet` for both students, a row a sample; returns their numbers of rows.

    Columns are `COLUMNS`, in that order; benchmarks follow one another in the recipe's order.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [benchmark["name"] for benchmark in finished.recipe["evaluation"]["benchmarks"]]
    counts = {}
    folder.mkdir(parents=True)
    for student in STUDENTS:
        answered, graded = finished.inputs[student], finished.inputs[f"{student}_verdicts"]
        table = pa.concat_tables([_table(*given) for given in zip(names, answered, graded, strict=True)])
        pq.write_table(table, folder / f"{student}-00000-of-00001.parquet", compression="zstd")
        counts[student] = table.num_rows
    return counts


def _table(benchmark: str, answered: Path, graded: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    samples, verdicts = pq.read_table(answered / evaluate.FILE), pq.read_table(graded / grade.FILE)
    places = {name: place for place, name in enumerate(verdicts["id"].to_pylist())}
    ids = samples["id"].to_pylist()
    if set(ids) != set(places):
        raise UsageError(f"The answers in {answered} and the verdicts in {graded} are not of the same rows.", AGAIN)
    verdicts = verdicts.take(pa.array([places[name] for name in ids], type=pa.int64()))
    columns = {"benchmark": pa.array([benchmark] * len(ids), type=pa.string())}
    columns |= {name: samples[source] for name, source in _OF_SAMPLE.items()}
    columns |= {name: verdicts[name] for name in _OF_VERDICT}
    return pa.table({name: columns[name] for name in COLUMNS})
