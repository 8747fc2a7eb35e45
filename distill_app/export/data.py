"""The rows that the student was trained on, in TRL's conversational prompt-completion form.

A row's prompt is the conversation that the student's chat template rendered in training, its completion the text that
carried the loss. What `students.template` does beside is stated on the dataset card: it never passes the completion
through the template.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_app.errors import UsageError
from distill_app.export.finished import AGAIN, Finished
from distill_app.records import Decision, Trace, TraceSkills, Verdict
from distill_app.reports import selections
from distill_app.skills import prefix, tree
from distill_app.stages import grade, select
from distill_app.store import rows
from distill_app.store.files import sha256

COLUMNS = {
    "id": "the row's id in the run",
    "prompt": "the messages that the chat template rendered: the system turn, where there was one, and the user turn",
    "completion": "one assistant message: what the loss was taken on, the end token besides",
    "chat_template_kwargs": "what the template was given besides (only where the recipe sets `thinking`)",
    "epochs": "the epochs that trained it, from 1",
    "rank": "its place in the selector's ranking before training, from 1; null where it was chosen later",
    "score": "the selector's score before training",
    "teacher": "the teacher's name in the recipe",
    "augmentation": "how the problem became a prompt for the teacher",
    "sample": "which of the teacher's samples, from 0",
    "problem_id": "the problem it came from",
    "answer": "the gold answer; empty where there is none",
    "verdict": "how the trace's own final answer was graded: correct, wrong, no_answer, timeout, ungraded",
    "extracted": "the final answer found in the trace",
    "task": "what it teaches: solve, or what its augmentation says",
    "group": "rows made of one source share it; null stands alone",
    "original_question": "the pool's question, where the augmentation asks another",
}


@dataclass(frozen=True, slots=True)
class Written:
    """`rows` of the file; `epochs` how many of them each epoch trained, in order."""

    rows: int
    epochs: tuple[int, ...]


def write(finished: Finished, folder: Path) -> Written:
    """Write `train-00000-of-00001.parquet`: every row that was trained, once, in the order in which it was chosen.

    Rows that were selected and left out of training (too long, or empty) are not among them. Columns are `COLUMNS`.
    Raises `UsageError` where the short labels that the skills were written with are no longer the ones used.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    training = finished.manifest("train")["options"]
    student = training["student"]
    trained = _epochs(finished)
    of_row: dict[str, list[int]] = {}
    for number, ids in enumerate(trained, 1):
        for name in ids:
            of_row.setdefault(name, []).append(number)
    traces = _traces(finished)
    texts = _texts(finished, training["training"]["skills"], [traces[name] for name in of_row])
    selection = finished.input("selection")
    decisions = {row.id: row for row in rows.read(selection / select.DECISIONS, Decision)}
    verdicts = {row.id: row for given in finished.inputs["verdicts"] for row in rows.read(given / grade.FILE, Verdict)}
    chosen = [(traces[name], decisions[name], verdicts[name]) for name in of_row]
    text, whole = pa.string(), pa.int64()
    conversation = pa.list_(pa.struct([("role", text), ("content", text)]))
    columns: dict[str, Any] = {
        "id": pa.array(list(of_row), text),
        "prompt": pa.array([prompt(trace.question, student) for trace, _, _ in chosen], conversation),
        "completion": pa.array([[{"role": "assistant", "content": texts[name]}] for name in of_row], conversation),
        "epochs": pa.array(list(of_row.values()), pa.list_(whole)),
        "rank": pa.array([decision.rank for _, decision, _ in chosen], whole),
        "score": pa.array([decision.score for _, decision, _ in chosen], pa.float64()),
        "sample": pa.array([trace.sample for trace, _, _ in chosen], whole),
        "verdict": pa.array([verdict.verdict for _, _, verdict in chosen], text),
        "extracted": pa.array([verdict.extracted for _, _, verdict in chosen], text),
    }
    for name in ("teacher", "augmentation", "problem_id", "answer", "task", "group", "original_question"):
        columns[name] = pa.array([getattr(trace, name) for trace, _, _ in chosen], text)
    if student["thinking"] is not None:
        switch = {"enable_thinking": student["thinking"]}
        columns["chat_template_kwargs"] = pa.array([switch] * len(chosen), pa.struct([("enable_thinking", pa.bool_())]))
    folder.mkdir(parents=True)
    table = pa.table({name: columns[name] for name in COLUMNS if name in columns})
    pq.write_table(table, folder / "train-00000-of-00001.parquet", compression="zstd")
    return Written(table.num_rows, tuple(map(len, trained)))


def prompt(question: str, student: Mapping[str, Any]) -> list[dict[str, str]]:
    """The messages that `students.template` renders for a question, by the student's options."""
    system = student["system_prompt"]
    messages = [] if system is None else [{"role": "system", "content": str(system)}]
    return [*messages, {"role": "user", "content": student["prompt"].replace("{question}", question)}]


def _epochs(finished: Finished) -> list[list[str]]:
    """Ids of the rows that each epoch trained."""
    train = finished.input("train")
    chosen = selections.epochs(train)
    if chosen:
        return [list(epoch["ids"]) for epoch in chosen]
    left_out = {row["id"] for row in json.loads((train / "left_out.json").read_text(encoding="utf-8"))}
    ids = [row.id for row in rows.read(finished.input("selection") / select.SELECTED, Trace)]
    return [[name for name in ids if name not in left_out]] * finished.manifests[train]["options"]["epochs"]


def _traces(finished: Finished) -> dict[str, Trace]:
    selection = finished.input("selection")
    dynamic = finished.result["selection"]["dynamic"]
    return {row.id: row for row in rows.read(selection / (select.LIVE if dynamic else select.SELECTED), Trace)}


def _texts(finished: Finished, skills: Mapping[str, Any] | None, traces: Sequence[Trace]) -> dict[str, str]:
    """What each row taught: the trace, with its skills written at the start where the recipe asks for it."""
    if skills is None:
        return {trace.id: trace.text for trace in traces}
    chains = {row.id: row.chains for row in rows.read(finished.input("selection") / select.CHAINS, TraceSkills)}
    labels = _labels(finished, skills["labels"])
    written = {
        trace.id: prefix.prefix(
            prefix.lines(chains[trace.id], depth=skills["depth"], drop_short=skills["drop_short"], labels=labels)
        )
        for trace in traces
    }
    return {trace.id: prefix.put(trace.text, written[trace.id], skills["place"]) for trace in traces}


def _labels(finished: Finished, content: str | None) -> dict[str, str] | None:
    """The short labels of skills, the very ones that training used; None where it used none."""
    if content is None:
        return None
    path = Path(finished.recipe["training"]["skills"]["labels"])
    if not path.is_file() or f"sha256:{sha256(path)}" != content:
        raise UsageError(
            f"The labels of skills that run {finished.run} was trained with are not in {path} any more.",
            f"Put the file of content {content} there. {AGAIN}",
        )
    return tree.load_labels(path)
