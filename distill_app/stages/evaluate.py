"""Has a student, untrained or with its adapter, answer every problem of a benchmark k times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from distill_app import seeds
from distill_app.records import Completion, Problem, Sample
from distill_app.stages import Context, Summary, problems
from distill_app.store import rows
from distill_app.students import device as devices
from distill_app.students.load import load
from distill_app.students.locate import fetch, locate
from distill_app.students.sampling import SamplingRequest, sample
from distill_app.students.template import ChatTemplate

VERSION = 1
MODEL = True
FILE = "samples.parquet"


def run(stage: Context) -> Summary:
    """Write samples.parquet: k answers a problem, each with its own seed and finish reason."""
    return answer(stage, rows.read(stage.input("problems") / problems.FILE, Problem))


def answer(stage: Context, asked: Sequence[Problem]) -> Summary:
    """Have the stage's student answer these problems, and write samples.parquet."""
    options: dict[str, Any] = dict(stage.options)
    student = options["student"]
    devices.set_threads(stage.runtime.threads)
    device = devices.pick(stage.runtime.device, student["dtype"])
    folder = fetch(locate(stage.local["model"], stage.local["revision"]), stage.log)
    adapter = stage.input("adapter") / "adapter" if "adapter" in stage.inputs else None
    model, tokenizer = load(folder, device, adapter=adapter)
    template = ChatTemplate(tokenizer, student["system_prompt"], student["prompt"])
    for note in template.check().notes:
        stage.log(note)
    draws = [
        (problem, number, seeds.derive(options["seed"], problem.id, number))
        for problem in asked
        for number in range(options["samples"])
    ]
    requests = [
        SamplingRequest(_id(problem, number), template.prompt_ids(problem.question), seed)
        for problem, number, seed in draws
    ]
    log = rows.RowLog(stage.work / "completions.jsonl", Completion)
    done = {answer.id for answer in log.rows}
    for batch in sample(
        model,
        tokenizer,
        requests,
        temperature=options["temperature"],
        top_p=options["top_p"],
        max_tokens=options["max_tokens"],
        stop_ids=template.stop_ids,
        rows=stage.runtime.sample_rows,
        done=done,
        progress=lambda finished, tokens: stage.progress(len(done) + finished, len(requests), "answers", tokens),
    ):
        log.append(batch)
    log.close()
    answers = {answer.id: answer for answer in log.rows}
    samples = [_sample(problem, number, seed, answers[_id(problem, number)]) for problem, number, seed in draws]
    rows.write(stage.folder / FILE, Sample, samples)
    return Summary(
        len(samples),
        sum(row.tokens for row in samples),
        {f"finish {why}": n for why, n in sorted(Counter(row.finish_reason for row in samples).items())},
        {"template": template.hash, "device": device.name, "dtype": device.dtype, "dtype_why": device.why},
    )


def _id(problem: Problem, number: int) -> str:
    return f"{problem.id}/{number}"


def _sample(problem: Problem, number: int, seed: int, answer: Completion) -> Sample:
    return Sample(
        id=answer.id,
        problem_id=problem.id,
        question=problem.question,
        answer=problem.answer,
        text=answer.text,
        sample=number,
        seed=seed,
        finish_reason=answer.finish_reason,
        tokens=answer.tokens or 0,
    )
