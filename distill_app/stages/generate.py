"""One teacher, one augmentation: what the augmentation asks, round by round, answered and made into traces."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from distill_app.augmentations import Answerable, Grade, Made, Rejected, Rounds
from distill_app.errors import StageError
from distill_app.evaluation import grading
from distill_app.recipe.model import build
from distill_app.records import Completion, Problem, Request, Trace, Verdict
from distill_app.seeds import derive
from distill_app.stages import Context, Summary, problems
from distill_app.store import rows
from distill_app.store.files import write_json

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
    teacher = importlib.import_module(f"distill_app.teachers.{chosen['backend']}")
    augmentation = importlib.import_module(f"distill_app.augmentations.{_module(augmented['name'])}")
    options = _typed(teacher, {**chosen, **stage.local})
    given = limited(
        rows.read(stage.input("problems") / problems.FILE, Problem), chosen.get("limit"), stage.options["seed"]
    )
    with _Asked(stage, teacher, options, given, "traces" if augmentation.ASKS == "question" else "answers") as asked:
        made = _drive(
            augmentation.make(
                given,
                _typed(augmentation, augmented),
                samples=stage.options["samples"],
                seed=stage.options["seed"],
                teacher=chosen["name"],
                grade=_grader(stage),
            ),
            asked,
        )
    (stage.folder / REJECTED).unlink(missing_ok=True)  # an attempt before may have left its own
    if made.rejected:
        write_json(stage.folder / REJECTED, [_shown(one) for one in made.rejected])
    if not made.kept:
        raise _nothing(stage, chosen["name"], teacher, made, asked.requests)
    rows.write(stage.folder / FILE, Trace, made.kept)
    why = Counter(one.why for one in made.rejected)
    missing = why.pop("missing", 0)
    counts = {"asked": asked.requests, "missing": missing, "rejected": len(made.rejected) - missing}
    counts |= {f"rejected: {name}": count for name, count in sorted(why.items())}
    counts |= made.counts
    counts |= teacher.survey(given, options)
    counts |= {f"finish {name}": n for name, n in sorted(Counter(t.finish_reason for t in made.kept).items())}
    if asked.prompt_tokens is not None:
        counts["prompt tokens"] = asked.prompt_tokens
    return Summary(len(made.kept), asked.tokens, counts)


def limited(given: list[Problem], limit: int | None, seed: int) -> list[Problem]:
    """At most `limit` of the problems, in their order. They are drawn by the seed and their ids alone: a smaller limit
    takes some of those that a larger one takes."""
    if limit is None or limit >= len(given):
        return given
    drawn = {problem.id for problem in sorted(given, key=lambda p: (derive(seed, "limit", p.id), p.id))[:limit]}
    return [problem for problem in given if problem.id in drawn]


class _Asked:
    """Answers the rounds of one stage through its teacher; to be closed.

    A teacher that is a model has each batch in the log on disk at once. What an attempt before left there is not asked
    for again, and a round that is all there does not reach the teacher.
    """

    def __init__(self, stage: Context, teacher: Any, options: Any, given: Sequence[Problem], unit: str) -> None:
        self._stage, self._teacher, self._options, self._given, self._unit = stage, teacher, options, given, unit
        self._log = rows.RowLog(stage.work / "completions.jsonl", Completion) if teacher.MODEL else None
        self._known = {answer.id: answer for answer in self._log.rows} if self._log else {}
        self._used: dict[str, Completion] = {}
        self._said: set[str] = set()
        self._new_tokens = 0
        self.requests = 0
        """Asked so far, over all rounds."""

    def __enter__(self) -> _Asked:
        return self

    def __exit__(self, *_: object) -> None:
        if self._log:
            self._log.close()

    def __call__(self, asked: Sequence[Request]) -> Mapping[str, Completion]:
        """A completion for every request of a round, by id. Raises `StageError` where the teacher leaves one out."""
        before = self.requests
        self.requests += len(asked)
        done = frozenset(request.id for request in asked if request.id in self._known)
        if len(done) < len(asked):
            batches = self._teacher.complete(
                asked,
                self._options,
                runtime=self._stage.runtime,
                done=done,
                finished=tuple(self._known.values()),
                problems=self._given,
                say=self._say,
                progress=lambda count, tokens: self._stage.progress(
                    before + len(done) + count, self.requests, self._unit, self._new_tokens + tokens
                ),
            )
            for batch in batches:
                self._keep([answer for answer in batch if answer.id not in done])
        lacking = [request.id for request in asked if request.id not in self._known]
        if lacking:
            raise StageError(
                f"The teacher gave no answer to {len(lacking)} of {len(asked)} prompts, such as {lacking[0]!r}.",
                "Issue the command again: what is answered is kept.",
            )
        answers = {request.id: self._known[request.id] for request in asked}
        self._used |= answers
        self._new_tokens += sum(answer.tokens or 0 for name, answer in answers.items() if name not in done)
        return answers

    @property
    def tokens(self) -> int | None:
        """Tokens that the teacher wrote in answer to all rounds; None where nobody counts them."""
        return _total(answer.tokens for answer in self._used.values())

    @property
    def prompt_tokens(self) -> int | None:
        """Tokens of all prompts; None where nobody counts them."""
        return _total(answer.prompt_tokens for answer in self._used.values())

    def _keep(self, new: list[Completion]) -> None:
        if self._log:
            self._log.append(new)
        self._known |= {answer.id: answer for answer in new}

    def _say(self, sentence: str) -> None:
        """Each round has the teacher say what it runs on; a person needs to hear it once."""
        if sentence not in self._said:
            self._said.add(sentence)
            self._stage.log(sentence)


def _drive(rounds: Rounds, asked: _Asked) -> Made:
    answers: Mapping[str, Completion] | None = None
    while True:
        try:
            wanted = next(rounds) if answers is None else rounds.send(answers)
        except StopIteration as end:
            made: Made = end.value
            return made
        answers = asked(wanted)


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


def _total(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


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
