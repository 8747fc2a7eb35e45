"""What augmentations do with a round's completions: sift them, check what all of them check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from distill_app import thinking
from distill_app.augmentations import Answerable, Made, Refused, Rejected, Rounds, Row, fill
from distill_app.records import Completion, Request, Trace, Verdict

T = TypeVar("T")


def answered(todo: Sequence[Row], prompt: str, temperature: float | None = None) -> Rounds:
    """One round: each row's question in the prompt. Every answer is a trace, whatever it says, but missing ones."""
    asked = {row.id: row.request(fill(prompt, question=row.problem.question), temperature=temperature) for row in todo}
    answers = yield list(asked.values())
    traces, rejected = sift(todo, asked, answers, "answer", lambda row, answer: _trace(row, asked[row.id], answer))
    return Made([trace for _, trace in traces], rejected)


def sift(
    todo: Sequence[Row],
    asked: Mapping[str, Request],
    answers: Mapping[str, Completion],
    step: str,
    use: Callable[[Row, Completion], T],
    question: Callable[[Row], str | None] = lambda row: None,  # noqa: ARG005 - most steps ask none of their own
) -> tuple[list[tuple[Row, T]], list[Rejected]]:
    """What `use` makes of each row's answer, in order, and the rows where it raises `Refused`.

    `asked` holds the step's request of each row by the row's id. `use` is not given missing answers.
    """
    used: list[tuple[Row, T]] = []
    rejected: list[Rejected] = []
    for row in todo:
        answer = answers[asked[row.id].id]
        try:
            if answer.finish_reason == "missing":
                raise Refused("missing", answer.note or "the teacher has no answer to this")
            used.append((row, use(row, answer)))
        except Refused as fault:
            rejected.append(row.rejected(step, fault, answer.text, question(row)))
    return used, rejected


def whole(answer: Completion) -> None:
    """Raises `Refused` where the answer was cut, or says nothing after its think block."""
    if answer.finish_reason == "length":
        after = "" if answer.tokens is None else f" after {answer.tokens} tokens"
        raise Refused("cut", f"cut at the teacher's token limit{after}")
    if not thinking.split(answer.text).answer.strip():
        raise Refused("empty", "the teacher wrote nothing, or nothing after thinking")


def to_grade(request: Request, answer: Completion) -> Answerable:
    """The answer as it is graded, against the gold answer of the request's problem."""
    problem = request.problem
    return (request.id, answer.text, problem.answer, problem.kind, problem.tolerance)


def right(verdict: Verdict, gold: str, *, known_as: str, otherwise: str = "") -> None:
    """Raises `Refused` where the verdict is not correct. `known_as` says what `gold` is ("the gold"), `otherwise` what
    a wrong answer may mean."""
    if verdict.verdict == "no_answer":
        raise Refused("no answer", "no final answer was found")
    if verdict.verdict == "timeout":
        raise Refused("timeout", f"the check of {verdict.extracted!r} against {known_as} {gold!r} ran out of time")
    if verdict.verdict != "correct":
        raise Refused("wrong answer", f"answered {verdict.extracted}, not {known_as} {gold}{otherwise}")


def _trace(row: Row, request: Request, answer: Completion) -> Trace:
    return row.trace(request, answer)
