"""Scores every trace under the untrained student: with the question (CPPL), without (PPL), and its tokens' ranks."""

from __future__ import annotations

from typing import Any

from distill_app.records import Difficulty, Trace
from distill_app.stages import Context, Summary, generate
from distill_app.store import rows
from distill_app.students import device as devices
from distill_app.students.load import load
from distill_app.students.locate import fetch, locate
from distill_app.students.scoring import Score, ScoreRequest, score, start_token
from distill_app.students.template import ChatTemplate

VERSION = 1
MODEL = True
FILE = "difficulty.parquet"


def run(stage: Context) -> Summary:
    """Write difficulty.parquet: one row a trace that is not empty, in the traces' order."""
    options: dict[str, Any] = dict(stage.options)
    student = options["student"]
    devices.set_threads(stage.runtime.threads)
    device = devices.pick(stage.runtime.device, student["dtype"])
    model, tokenizer = load(fetch(locate(stage.local["model"], stage.local["revision"]), stage.log), device)
    template = ChatTemplate(tokenizer, student["system_prompt"], student["prompt"], student["thinking"])
    for note in template.check().notes:
        stage.log(note)
    traces = [row for row in rows.read(stage.input("traces") / generate.FILE, Trace) if row.text.strip()]
    requests = score_requests(traces, template)
    log = rows.RowLog(stage.work / "scores.jsonl", Score)
    done = frozenset(row.id for row in log.rows)
    before = sum(row.tokens for row in log.rows)
    for batch in score(
        model,
        requests,
        start_id=start_token(tokenizer),
        alone=True,
        max_tokens=options["max_tokens"],
        pack_tokens=stage.runtime.score_tokens,
        done=done,
        progress=lambda n, tokens: stage.progress(len(done) + n, len(requests), "traces", before + tokens),
    ):
        log.append(batch)
    log.close()
    by_id = {row.id: row for row in log.rows}
    scored = [difficulty(by_id[trace.id]) for trace in traces]
    rows.write(stage.folder / FILE, Difficulty, scored)
    cut = sum(row.cut for row in scored)
    if cut:
        stage.log(f"{cut} of {len(scored)} traces are longer than what is scored: their scores are of their beginning")
    return Summary(
        len(scored),
        sum(row.tokens for row in scored),
        {"scored": len(scored), "cut": cut},
        {"template": template.hash, "device": device.name, "dtype": device.dtype, "dtype_why": device.why},
    )


def score_requests(traces: list[Trace], template: ChatTemplate) -> list[ScoreRequest]:
    """Traces as token rows: the prompt the student is asked with, and the trace's own tokens without the end token."""
    return [
        ScoreRequest(trace.id, template.prompt_ids(trace.question), template.target_ids(trace.text)[:-1])
        for trace in traces
    ]


def difficulty(row: Score) -> Difficulty:
    """A score of both conditionings as a row of the artifact."""
    if row.nll_alone is None:
        raise ValueError(f"{row.id} was not scored without its question")
    return Difficulty(row.id, row.tokens, row.nll, row.nll_alone, row.rank_sum, row.cut)
