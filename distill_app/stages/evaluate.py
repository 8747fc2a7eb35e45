"""Has a student, untrained or with its adapter, answer every problem of a benchmark k times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Any

from distill_app import seeds
from distill_app.records import Completion, Problem, Sample
from distill_app.stages import Context, Summary, problems
from distill_app.store import rows
from distill_app.students import device as devices
from distill_app.students import sampling, vllm_engine
from distill_app.students.device import Device
from distill_app.students.load import load, load_tokenizer
from distill_app.students.locate import fetch, locate
from distill_app.students.merge import merge
from distill_app.students.sampling import SamplingRequest
from distill_app.students.template import ChatTemplate

VERSION = 2
MODEL = True
FILE = "samples.parquet"
MERGED = "merged"
"""Folder of the student with its adapter merged in, for as long as the stage is at work."""


def run(stage: Context) -> Summary:
    """Write samples.parquet: k answers a problem, each with its own seed and finish reason."""
    return answer(stage, rows.read(stage.input("problems") / problems.FILE, Problem))


def answer(stage: Context, asked: Sequence[Problem]) -> Summary:
    """Have the stage's student answer these problems, and write samples.parquet."""
    options: dict[str, Any] = dict(stage.options)
    folder, device, template = opened(stage)
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

    def progress(finished: int, tokens: int) -> None:
        stage.progress(len(done) + finished, len(requests), "answers", tokens)

    draw = _with_vllm if options["backend"] == "vllm" else _with_transformers
    for batch in draw(stage, folder, device, template, requests, done, progress):
        log.append(batch)
    log.close()
    answers = {answer.id: answer for answer in log.rows}
    samples = [_sample(problem, number, seed, answers[_id(problem, number)]) for problem, number, seed in draws]
    rows.write(stage.folder / FILE, Sample, samples)
    return Summary(
        len(samples),
        sum(row.tokens for row in samples),
        {f"finish {why}": n for why, n in sorted(Counter(row.finish_reason for row in samples).items())},
        {
            "template": template.hash,
            "stop_tokens": template.tokenizer.convert_ids_to_tokens(list(template.stop_ids)),
            "device": device.name,
            "dtype": device.dtype,
            "dtype_why": device.why,
        },
    )


def opened(stage: Context) -> tuple[Path, Device, ChatTemplate]:
    """The stage's student: its folder on this machine, where it is to run, and its template, checked."""
    student = stage.options["student"]
    devices.set_threads(stage.runtime.threads)
    device = devices.pick(stage.runtime.device, student["dtype"])
    folder = fetch(locate(stage.local["model"], stage.local["revision"]), stage.log)
    template = ChatTemplate(load_tokenizer(folder), student["system_prompt"], student["prompt"], student["thinking"])
    for note in template.check().notes:
        stage.log(note)
    return folder, device, template


def merged(stage: Context, folder: Path, adapter: Path, device: Device) -> Path:
    """The folder of the student with the adapter worked into its weights; gone when the stage is done."""
    made = stage.work / MERGED
    if not made.exists():
        stage.log(f"The adapter is merged into a copy of the weights ({device.dtype}).")
        merge(folder, adapter, made, dtype=device.dtype)
    return made


def _with_transformers(
    stage: Context,
    folder: Path,
    device: Device,
    template: ChatTemplate,
    requests: Sequence[SamplingRequest],
    done: AbstractSet[str],
    progress: Callable[[int, int], None],
) -> Iterator[list[Completion]]:
    model, tokenizer = load(folder, device, adapter=_adapter(stage))
    batches = sampling.sample(
        model,
        tokenizer,
        requests,
        **_drawing(stage),
        stop_ids=template.stop_ids,
        rows=stage.runtime.sample_rows,
        done=done,
        progress=progress,
    )
    for batch in batches:
        yield [replace(answer, text=template.whole(answer.text)) for answer in batch]


def _with_vllm(
    stage: Context,
    folder: Path,
    device: Device,
    template: ChatTemplate,
    requests: Sequence[SamplingRequest],
    done: AbstractSet[str],
    progress: Callable[[int, int], None],
) -> Iterator[list[Completion]]:
    adapter = _adapter(stage)
    if adapter is not None and stage.options["adapter"] == "merged":
        folder, adapter = merged(stage, folder, adapter, device), None
    return vllm_engine.sample(
        folder,
        template,
        requests,
        dtype=device.dtype,
        runtime=stage.runtime,
        say=stage.log,
        adapter=adapter,
        **_drawing(stage),
        done=done,
        progress=progress,
    )


def _adapter(stage: Context) -> Path | None:
    return stage.input("adapter") / "adapter" if "adapter" in stage.inputs else None


def _drawing(stage: Context) -> dict[str, Any]:
    return {key: stage.options[key] for key in ("temperature", "top_p", "max_tokens")}


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
        seed=seed if answer.seed is None else answer.seed,
        finish_reason=answer.finish_reason,
        tokens=answer.tokens or 0,
        kind=problem.kind,
        tolerance=problem.tolerance,
    )
