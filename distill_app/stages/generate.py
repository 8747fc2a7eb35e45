"""One teacher, one augmentation: prompts made from the problems, answered, kept as traces."""

from __future__ import annotations

import importlib
from collections import Counter
from typing import Any

from distill_app.errors import StageError
from distill_app.recipe.model import build
from distill_app.records import Completion, Problem, Request, Trace
from distill_app.stages import Context, Summary, problems
from distill_app.store import rows
from distill_app.store.files import write_json

VERSION = 2
MODEL = False  # the teacher's own MODEL decides: see plan.pool
FILE = "traces.parquet"


def run(stage: Context) -> Summary:
    """Write traces.parquet, and rejected.json for what the augmentation itself turned down."""
    teacher_options, augmentation_options = stage.options["teacher"], stage.options["augmentation"]
    teacher = importlib.import_module(f"distill_app.teachers.{teacher_options['backend']}")
    augmentation = importlib.import_module(f"distill_app.augmentations.{augmentation_options['name']}")
    given = rows.read(stage.input("problems") / problems.FILE, Problem)
    asked = augmentation.requests(
        given,
        _typed(augmentation, augmentation_options),
        samples=stage.options["samples"],
        seed=stage.options["seed"],
        teacher=teacher_options["name"],
    )
    answers = _answers(stage, teacher, {**teacher_options, **stage.local}, given, asked)
    missing = [answer for answer in answers.values() if answer.finish_reason == "missing"]
    traces = [
        _trace(request, answers[request.id], teacher_options["name"], augmentation_options["name"])
        for request in asked
        if answers[request.id].finish_reason != "missing"
    ]
    if not traces:
        raise StageError(
            f"The teacher {teacher_options['name']} has no trace for any of the {len(asked)} prompts.",
            "Check that its traces belong to these problems: they are matched by problem id, else by the question.",
        )
    finished = augmentation.finish(traces)
    rows.write(stage.folder / FILE, Trace, finished.kept)
    if finished.rejected:
        write_json(
            stage.folder / "rejected.json", [{"id": trace.id, "reason": why} for trace, why in finished.rejected]
        )
    tokens = [trace.tokens for trace in finished.kept if trace.tokens is not None]
    counts = {"asked": len(asked), "missing": len(missing), "rejected": len(finished.rejected)}
    counts |= teacher.survey(given, _typed(teacher, {**teacher_options, **stage.local}))
    counts |= {f"finish {why}": n for why, n in sorted(Counter(t.finish_reason for t in finished.kept).items())}
    return Summary(len(finished.kept), sum(tokens) if tokens else None, counts)


def _answers(
    stage: Context, teacher: Any, options: dict[str, Any], given: list[Problem], asked: list[Request]
) -> dict[str, Completion]:
    """Every request's completion; batches are on disk as they finish, so an attempt that died is gone on from."""
    if not teacher.MODEL:
        batches = teacher.complete(asked, _typed(teacher, options), problems=given)
        return {answer.id: answer for batch in batches for answer in batch}
    log = rows.RowLog(stage.work / "completions.jsonl", Completion)
    done = {answer.id for answer in log.rows}
    batches = teacher.complete(
        asked,
        _typed(teacher, options),
        runtime=stage.runtime,
        done=done,
        say=stage.log,
        progress=lambda finished, tokens: stage.progress(len(done) + finished, len(asked), "traces", tokens),
    )
    for batch in batches:
        log.append(batch)
    log.close()
    return {answer.id: answer for answer in log.rows}


def _typed(module: Any, options: dict[str, Any]) -> Any:
    """The module's own options out of a map that also holds what the fingerprint needed."""
    return build(module.Options, {key: options[key] for key in module.Options.__dataclass_fields__})


def _trace(request: Request, answer: Completion, teacher: str, augmentation: str) -> Trace:
    return Trace(
        id=request.id,
        problem_id=request.problem.id,
        question=request.problem.question,
        answer=request.problem.answer,
        text=answer.text,
        teacher=teacher,
        augmentation=augmentation,
        sample=request.sample,
        seed=request.seed,
        finish_reason=answer.finish_reason,
        tokens=answer.tokens,
        note=answer.note,
        skills=request.problem.skills,
        numbers=answer.numbers,
        group=answer.group,
    )
