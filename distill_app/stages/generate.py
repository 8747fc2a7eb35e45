"""One teacher, one augmentation: what the augmentation asks, round by round, answered and made into traces."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from typing import Any

from distill_app.augmentations import Answerable, Grade, Made, Rejected, Rounds
from distill_app.errors import StageError
from distill_app.evaluation import grading
from distill_app.recipe.model import build
from distill_app.records import Completion, Problem, Trace, Verdict
from distill_app.seeds import derive
from distill_app.stages import Context, Summary, problems
from distill_app.store import rows
from distill_app.store.files import write_json
from distill_app.teachers._asking import Asker

VERSION = 3
MODEL = False  # the teacher's own MODEL decides: see plan.pool
FILE = "traces.parquet"
REJECTED = "rejected.json"

EXCERPT = 2000
"""Characters of a rejected text that are kept: its first half and its last."""


def run(stage: Context) -> Summary:
    """Write traces.parquet, and rejected.json with every sample that became no trace, and why.

    Raises `StageError` where not one trace came of it all; rejected.json is written by then.
    """
    chosen, augmented = stage.options["teacher"], stage.options["augmentation"]
    augmentation = importlib.import_module(f"distill_app.augmentations.{_module(augmented['name'])}")
    given = limited(
        rows.read(stage.input("problems") / problems.FILE, Problem), chosen.get("limit"), stage.options["seed"]
    )
    unit = "traces" if augmentation.ASKS == "question" else "answers"
    ask = Asker(
        {**chosen, **stage.local},
        stage.runtime,
        stage.work / "completions.jsonl",
        stage.log,
        lambda answers, tokens: stage.progress(answers, ask.requests, unit, tokens),
        given,
    )
    with closing(ask):
        made = _drive(
            augmentation.make(
                given,
                _typed(augmentation, augmented),
                samples=stage.options["samples"],
                seed=stage.options["seed"],
                teacher=chosen["name"],
                grade=_grader(stage),
            ),
            ask,
        )
    (stage.folder / REJECTED).unlink(missing_ok=True)  # an attempt before may have left its own
    if made.rejected:
        write_json(stage.folder / REJECTED, [_shown(one) for one in made.rejected])
    if not made.kept:
        raise _nothing(stage, chosen["name"], ask.teacher, made, ask.requests)
    rows.write(stage.folder / FILE, Trace, made.kept)
    why = Counter(one.why for one in made.rejected)
    missing = why.pop("missing", 0)
    counts = {"asked": ask.requests, "missing": missing, "rejected": len(made.rejected) - missing}
    counts |= {f"rejected: {name}": count for name, count in sorted(why.items())}
    counts |= made.counts
    counts |= ask.teacher.survey(given, ask.options)
    counts |= {f"finish {name}": n for name, n in sorted(Counter(t.finish_reason for t in made.kept).items())}
    if ask.prompt_tokens is not None:
        counts["prompt tokens"] = ask.prompt_tokens
    return Summary(len(made.kept), ask.tokens, counts)


def limited(given: list[Problem], limit: int | None, seed: int) -> list[Problem]:
    """At most `limit` of the problems, in their order. They are drawn by the seed and their ids alone: a smaller limit
    takes some of those that a larger one takes."""
    if limit is None or limit >= len(given):
        return given
    drawn = {problem.id for problem in sorted(given, key=lambda p: (derive(seed, "limit", p.id), p.id))[:limit]}
    return [problem for problem in given if problem.id in drawn]


def _drive(rounds: Rounds, ask: Asker) -> Made:
    answers: Mapping[str, Completion] | None = None
    while True:
        try:
            wanted = next(rounds) if answers is None else rounds.send(answers)
        except StopIteration as end:
            made: Made = end.value
            return made
        answers = {answer.id: answer for answer in ask(wanted)}


def _grader(stage: Context) -> Grade:
    limit = stage.options["augmentation"].get("limit_seconds", stage.runtime.grade_seconds)

    def grade(answers: list[Answerable]) -> Mapping[str, Verdict]:
        verdicts = grading.grade(
            [grading.Answerable(*answer) for answer in answers],
            workers=stage.runtime.grade_workers,
            limit_seconds=limit,
        )
        return {verdict.id: verdict for verdict in verdicts}

    return grade


def _module(augmentation: str) -> str:
    """The module of an augmentation; traces as they are written are no noun of the recipe, and so no public one."""
    return "_as_written" if augmentation == "as_written" else augmentation


def _typed(module: Any, options: dict[str, Any]) -> Any:
    """The module's own options out of a map that also holds what the fingerprint needed."""
    return build(module.Options, {key: options[key] for key in module.Options.__dataclass_fields__})


def _shown(one: Rejected) -> dict[str, Any]:
    """A row of rejected.json: long texts by their two ends, with what lies between counted."""
    left_out = len(one.text) - EXCERPT
    text = one.text
    if left_out > 0:
        half = EXCERPT // 2
        text = f"{text[:half]}\n[... {left_out} characters ...]\n{text[-half:]}"
    return {**asdict(one), "text": text}


def _nothing(stage: Context, name: str, teacher: Any, made: Made, requests: int) -> StageError:
    """Says why there is not one trace."""
    why = Counter(one.why for one in made.rejected)
    if not teacher.MODEL and set(why) <= {"missing"}:
        return StageError(
            f"The teacher {name} has no trace for any of the {requests} prompts.",
            "Check that its traces belong to these problems: they are matched by problem id, else by the question.",
        )
    told = ", ".join(f"{word} ({count})" for word, count in why.most_common())
    first = made.rejected[0]
    return StageError(
        f"{stage.name}: of {len(made.rejected)} samples none became a trace: {told}. The first, {first.id}, fell at"
        f" {first.step}: {first.reason}.",
        f"All of them are in {stage.folder / REJECTED}. Take a stronger teacher, other prompts, or leave this"
        " augmentation out.",
    )
