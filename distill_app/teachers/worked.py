"""The worked-solutions teacher: a program, not a language model, and said so wherever it is named.

It writes out the known steps of a built-in problem in one of several styles, and makes mistakes of named kinds at
the stated rates, so that a selector has something to select. Style, mistake and every detail are drawn from the
request's own seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from fractions import Fraction
from typing import Any

from distill_app.errors import StageError
from distill_app.records import Completion, Problem, Request, Step
from distill_app.seeds import derive
from distill_app.teachers import _worked_styles as write

VERSION = 1
MODEL = False
FOLLOWS = "question"
LOCAL: frozenset[str] = frozenset()
PROGRAM = True
"""Not a language model: whoever reads a report is told so."""
BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Styles:
    """Relative weight of each way of writing."""

    clean: float
    verbose: float
    chatty: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistakes:
    """Share of the traces with each kind of mistake; together at most 1."""

    wrong_arithmetic: float
    wrong_operation: float
    off_topic: float
    guess: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    styles: Styles
    mistakes: Mistakes


def complete(
    requests: Sequence[Request],
    options: Options,
    *,
    problems: Sequence[Problem] | None = None,
    **context: Any,  # noqa: ARG001
) -> Iterator[list[Completion]]:
    """A completion for each request, in order, in batches; `note` names style and mistake: "verbose+guess".

    Off-topic traces solve another of `problems` (of the requests' problems where it is null), chosen by the
    request's seed from the list sorted by id, never one with the same answer. Raises `StageError` where a problem
    has no steps, the weights are unusable, or no other problem has another answer.
    """
    _check(requests, options)
    pool = sorted({p.id: p for p in problems or [request.problem for request in requests]}.values(), key=lambda p: p.id)
    for start in range(0, len(requests), BATCH):
        yield [_complete(request, options, pool) for request in requests[start : start + BATCH]]


def _check(requests: Sequence[Request], options: Options) -> None:
    if sum(astuple(options.styles)) <= 0:
        raise StageError("All styles of the worked teacher weigh 0.", "Give one of them a weight above 0.")
    if sum(astuple(options.mistakes)) > 1 + 1e-9:
        raise StageError(
            f"The worked teacher's mistakes add up to {sum(astuple(options.mistakes)):g}.",
            "They are shares of the traces: together at most 1.",
        )
    for request in requests:
        if not request.problem.steps:
            raise StageError(
                f"The worked teacher needs the steps of a problem, and {request.problem.id!r} has none.",
                "Take problems from builtin:word_problems, or another teacher.",
            )


def _complete(request: Request, options: Options, pool: Sequence[Problem]) -> Completion:
    rng = random.Random(derive(request.seed, "worked"))
    style = _draw_style(rng, options.styles)
    mistake = _draw_mistake(rng, options.mistakes)
    steps = _exact(request.problem.steps)
    note = style
    if mistake == "guess":
        return Completion(request.id, f"Answer: {_guess(rng, steps[-1].result)}", "stop", note="guess")
    if mistake == "off_topic":
        style = "clean"
        steps = _exact(_other(rng, request.problem, pool).steps)
    elif mistake == "wrong_arithmetic":
        steps = _wrong_arithmetic(rng, steps)
    elif mistake == "wrong_operation":
        steps = _wrong_operation(rng, steps)
    note = style if mistake is None else f"{style}+{mistake}"
    return Completion(request.id, write.STYLES[style](rng, steps), "stop", note=note)


def _draw_style(rng: random.Random, styles: Styles) -> str:
    names = [field.name for field in fields(styles)]
    return rng.choices(names, weights=astuple(styles))[0]


def _draw_mistake(rng: random.Random, mistakes: Mistakes) -> str | None:
    place = rng.random()
    for field, share in zip(fields(mistakes), astuple(mistakes), strict=True):
        if place < share:
            return field.name
        place -= share
    return None


def _exact(steps: Sequence[Step]) -> list[write.Line]:
    return [write.Line(Fraction(s.left), s.operator, Fraction(s.right), Fraction(s.result), s.label) for s in steps]


def _guess(rng: random.Random, gold: Fraction) -> str:
    """A number near the gold answer: in 1 of 11 draws or so the answer itself, as luck has it."""
    near = [int(gold) + offset for offset in range(-5, 6) if int(gold) + offset > 0]
    return str(rng.choice(near))


def _other(rng: random.Random, problem: Problem, pool: Sequence[Problem]) -> Problem:
    # Drawing a place and walking on from it takes no pass over the whole pool for each trace.
    start = rng.randrange(len(pool))
    for offset in range(len(pool)):
        other = pool[(start + offset) % len(pool)]
        if other.answer != problem.answer and other.steps:
            return other
    raise StageError(
        f"There is no other problem with another answer than {problem.id!r} to go off topic to.",
        "Take more problems, or set mistakes.off_topic to 0.",
    )


def _wrong_arithmetic(rng: random.Random, steps: list[write.Line]) -> list[write.Line]:
    """The steps with one result off by a plausible amount, carried through all later steps and the answer."""
    places = list(range(len(steps)))
    rng.shuffle(places)
    for place in places:
        offsets = [1, -1, 2, -2, 10, -10, 3, -3]
        rng.shuffle(offsets)
        for offset in offsets:
            old = steps[place]
            changed = _carry(steps, place, old.operator, old.result + offset)
            if changed is not None:
                return changed
    # Of +1, +2, +3 and +10 on the last step, each is positive, writable and wrong.
    raise AssertionError("no wrong result could be written")


def _wrong_operation(rng: random.Random, steps: list[write.Line]) -> list[write.Line]:
    """The steps with one operator replaced and the rest recomputed, so that the answer is another one."""
    choices = [
        (place, operator) for place in range(len(steps)) for operator in "+-*/" if operator != steps[place].operator
    ]
    rng.shuffle(choices)
    for place, operator in choices:
        old = steps[place]
        changed = _carry(steps, place, operator, write.compute(old.left, operator, old.right))
        if changed is not None:
            return changed
    # On the last step: a sum for a difference, product or quotient, a product or quotient for a sum.
    raise AssertionError("no wrong operation could be written")


def _carry(steps: list[write.Line], place: int, operator: str, result: Fraction) -> list[write.Line] | None:
    """The steps with another operator and result at `place`; None where the outcome cannot be written.

    Every result must be positive with at most two decimals, and the answer another than before. Which operands
    are results of earlier steps is known by their value: the generator makes these unambiguous.
    """
    changed = list(steps)
    new = {steps[place].result: result}
    changed[place] = write.Line(steps[place].left, operator, steps[place].right, result, steps[place].label)
    for index in range(place + 1, len(steps)):
        old = steps[index]
        left, right = new.get(old.left, old.left), new.get(old.right, old.right)
        if right == 0:
            return None
        new[old.result] = write.compute(left, old.operator, right)
        changed[index] = write.Line(left, old.operator, right, new[old.result], old.label)
    writable = all(line.result > 0 and (line.result * 100).denominator == 1 for line in changed)
    return changed if writable and changed[-1].result != steps[-1].result else None


def survey(problems: Sequence[Problem], options: Options) -> dict[str, int]:  # noqa: ARG001 - the teachers' contract
    """Nothing to tell: every problem has its steps, or `complete` has refused it."""
    return {}


def content(options: Options) -> dict[str, str]:  # noqa: ARG001 - the teachers' contract
    """Nothing stands for anything: all options say what is written."""
    return {}
