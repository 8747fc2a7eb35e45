"""Augmentations: how a teacher is asked, and traces made of what it says. A name in a recipe is the module here.

Each module holds

- `VERSION`: raised when the same options and completions would now give other traces;
- `Options`: a frozen dataclass that mirrors `schemas/augmentations/<name>.json` without `name`;
- `ASKS`: "question" where nothing but the problem's own question is asked, so that any teacher that answers questions
  serves; "instructions" where the teacher has to do as it is told (write a new wording, judge), which takes a teacher
  whose `FOLLOWS` is "instructions";
- `ROWS`: the most traces that one sample of one problem makes;
- `PLACEHOLDERS`: which `{names}` each prompt among the options has to hold; where that is more than the question,
  which the schema asks for, `check(options)` says what is wrong with them;
- `make(problems, options, *, samples, seed, teacher, grade) -> Rounds`: a generator that yields a round of requests, is
  sent their completions by id, and so on; it returns what it made of them. A round may be empty.

`make` is a function of its arguments and of the completions: whoever has these in a log can answer from there and gets
the same requests and the same traces again. Of ids and seeds see `Row`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from distill_app.records import Completion, Problem, Request, Trace, Verdict
from distill_app.seeds import derive

Answerable = tuple[str, str, str, str, float | None]
"""An answer to be graded: id, text, gold answer, and the kind and tolerance of the problem."""

Grade = Callable[[list[Answerable]], Mapping[str, Verdict]]
"""Grades answers as everywhere else in the program: a verdict for each id."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A sample of a problem that became no trace: at which step it fell, and why.

    `why` is the reason in the words it is counted by ("near copy"), `reason` the whole of it. `question` is the
    augmentation's own, where it had one by then; `text` what the teacher wrote in that step.
    """

    id: str
    problem_id: str
    step: str
    why: str
    reason: str
    text: str
    question: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """The traces that an augmentation made, each sample that became none, and counts of its own."""

    kept: list[Trace]
    rejected: list[Rejected]
    counts: Mapping[str, int] = field(default_factory=dict)


Rounds = Generator[list[Request], Mapping[str, Completion], Made]


class Refused(Exception):
    """What a teacher wrote cannot be used; `why` and `reason` as in `Rejected`."""

    def __init__(self, why: str, reason: str) -> None:
        super().__init__(reason)
        self.why = why
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Row:
    """One sample of one problem on its way through the rounds: what its requests and its trace are named by.

    Ids are `<problem id>/<teacher>/<augmentation>/<sample>`, and `/<step>` behind it for a step that is not the one
    whose text is the trace. Seeds come from the pool's and the parts of the id alone.
    """

    problem: Problem
    sample: int
    teacher: str
    augmentation: str
    seed: int
    """The pool's."""

    @property
    def id(self) -> str:
        return f"{self.problem.id}/{self.teacher}/{self.augmentation}/{self.sample}"

    def request(
        self,
        prompt: str,
        step: str = "",
        *,
        problem: Problem | None = None,
        temperature: float | None = None,
        schema: str | None = None,
    ) -> Request:
        """The request of this step; `problem` is the row's own unless the step asks another."""
        parts = [self.problem.id, self.teacher, self.augmentation, self.sample, *([step] if step else [])]
        return Request(
            id=f"{self.id}/{step}" if step else self.id,
            problem=problem or self.problem,
            prompt=prompt,
            sample=self.sample,
            seed=derive(self.seed, *parts),
            temperature=temperature,
            schema=schema,
        )

    def trace(self, request: Request, completion: Completion, /, **changes: Any) -> Trace:
        """What came to one of this row's requests as a trace; `changes` are fields that are to be otherwise."""
        problem = request.problem
        trace = Trace(
            id=request.id,
            problem_id=self.problem.id,
            question=problem.question,
            answer=problem.answer,
            text=completion.text,
            teacher=self.teacher,
            augmentation=self.augmentation,
            sample=self.sample,
            seed=request.seed if completion.seed is None else completion.seed,
            finish_reason=completion.finish_reason,
            tokens=completion.tokens,
            note=completion.note,
            skills=problem.skills,
            numbers=completion.numbers,
            group=completion.group,
            kind=problem.kind,
            tolerance=problem.tolerance,
        )
        return replace(trace, **changes) if changes else trace

    def rejected(self, step: str, fault: Refused, text: str, question: str | None = None) -> Rejected:
        """This row as one that fell at `step`."""
        return Rejected(self.id, self.problem.id, step, fault.why, fault.reason, text, question)


def rows(problems: Sequence[Problem], *, samples: int, seed: int, teacher: str, augmentation: str) -> list[Row]:
    """`samples` rows for each problem; problems in order, the samples of one together."""
    return [Row(problem, sample, teacher, augmentation, seed) for problem in problems for sample in range(samples)]


def fill(template: str, **values: str) -> str:
    """The template with each `{name}` replaced by its value, in one pass: other braces stay, those of values too."""
    # Not str.format: a template may hold other braces, as \\boxed{} and JSON do.
    return re.sub(r"\{(" + "|".join(values) + r")\}", lambda match: values[match[1]], template)


def lacking(options: Any, placeholders: Mapping[str, Sequence[str]]) -> list[tuple[str, str, str]]:
    """The prompts that lack a placeholder: the option, what is wrong, and what to do."""
    return [
        (option, f"{{{name}}} is lacking in this prompt.", f"Write {{{name}}} where it is to stand.")
        for option, names in placeholders.items()
        for name in names
        if f"{{{name}}}" not in getattr(options, option)
    ]


def ask(
    problems: Sequence[Problem],
    prompt: str,
    *,
    samples: int,
    seed: int,
    teacher: str,
    augmentation: str,
    temperature: float | None = None,
) -> list[Request]:
    """`samples` requests for each problem with the question in the prompt's `{question}`; problems in order."""
    return [
        row.request(fill(prompt, question=row.problem.question), temperature=temperature)
        for row in rows(problems, samples=samples, seed=seed, teacher=teacher, augmentation=augmentation)
    ]
