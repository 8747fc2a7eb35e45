"""Reverse thinking: a problem, the problem turned around, and the reasoning of both (RevThink, by way of DC-CoT, arXiv
2505.18759; methods.md 6).

[secondary source, several agree] For each question with its gold answer the teacher writes forward reasoning, a
backward question whose answer is something the original gives, and backward reasoning; a group stays where the forward
answer is the gold one and the teacher judges the two consistent. The student learns three tasks: the question to its
reasoning, the question to the backward question, the backward question to its reasoning. [inferred] Equal weights, the
prompts (of our own wording), JSON as the form of replies, and two checks besides: the backward answer must be the one
stated, and what is stated must stand in the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distill_app import thinking
from distill_app.augmentations import Grade, Made, Refused, Rounds, Row, fill, lacking, rows
from distill_app.augmentations._parse import Kind, read, schema
from distill_app.augmentations._rounds import right, sift, to_grade, whole
from distill_app.augmentations._wording import states, words
from distill_app.records import Completion, Problem, Trace

VERSION = 1
ASKS = "instructions"
ROWS = 3
PLACEHOLDERS = {
    "prompt": ("question",),
    "backward_prompt": ("question", "answer"),
    "backward_task": ("question",),
    "consistency_prompt": ("question", "forward", "backward_question", "backward"),
}

_BACKWARD: dict[str, Kind] = {"question": "text", "answer": "answer"}
# The reason first: it is to lead to the judgement, not to defend it.
_JUDGED: dict[str, Kind] = {"why": "string", "consistent": "truth"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    prompt: str
    backward_prompt: str
    backward_task: str
    consistency_prompt: str
    backward_correct: bool
    answer_given: bool


def check(options: Options) -> list[tuple[str, str, str]]:
    """Prompts that do not say all they are to say."""
    return lacking(options, PLACEHOLDERS)


def make(
    problems: Sequence[Problem],
    options: Options,
    *,
    samples: int,
    seed: int,
    teacher: str,
    grade: Grade,
) -> Rounds:
    """`samples` groups for each problem, of three traces each, that share the id of the first as their `group`.

    Their tasks: `solve` (the question and its reasoning), `backward_question` (the question in `backward_task`, and the
    backward question; it has no gold answer), `backward_solve` (the backward question and its reasoning; the stated
    answer is its gold). Four rounds (steps "forward", "backward_question", "backward_solve", "consistency"), each asked
    for the groups that have come so far.
    """
    todo = rows(problems, samples=samples, seed=seed, teacher=teacher, augmentation="reverse")
    forward = {row.id: row.request(fill(options.prompt, question=row.problem.question)) for row in todo}
    answers = yield list(forward.values())
    verdicts = grade([to_grade(forward[row.id], answers[row.id]) for row in todo])

    def solved(row: Row, answer: Completion) -> Trace:
        whole(answer)
        right(verdicts[row.id], row.problem.answer, known_as="the gold")
        return row.trace(forward[row.id], answer, group=row.id)

    first, rejected = sift(todo, forward, answers, "forward", solved)
    left, solve = [row for row, _ in first], {row.id: trace for row, trace in first}
    counts = {"groups asked for": len(todo), "backward questions": len(left)}

    turned = {
        row.id: row.request(
            fill(options.backward_prompt, question=row.problem.question, answer=row.problem.answer),
            "backward_question",
            schema=schema(_BACKWARD),
        )
        for row in left
    }
    answers = yield list(turned.values())
    stated: dict[str, str] = {}

    def backward_question(row: Row, answer: Completion) -> Trace:
        whole(answer)
        reply = read(answer.text, _BACKWARD)
        _check(reply["question"], reply["answer"], row.problem.question, options)
        stated[row.id] = reply["answer"]
        return row.trace(
            turned[row.id],
            answer,
            question=fill(options.backward_task, question=row.problem.question),
            text=reply["question"],
            answer="",
            task="backward_question",
            original_question=row.problem.question,
            group=row.id,
            kind="auto",
            tolerance=None,
        )

    second, fell = sift(left, turned, answers, "backward_question", backward_question)
    rejected += fell
    left, back = [row for row, _ in second], {row.id: trace for row, trace in second}
    counts["backward solutions"] = len(left)

    backward = {
        row.id: row.request(
            fill(options.prompt, question=back[row.id].text),
            "backward_solve",
            problem=_turned(row.problem, back[row.id].text, stated[row.id]),
        )
        for row in left
    }
    answers = yield list(backward.values())
    again = [to_grade(backward[row.id], answers[backward[row.id].id]) for row in left]
    verdicts = grade(again) if options.backward_correct else {}

    def solved_back(row: Row, answer: Completion) -> Trace:
        whole(answer)
        if options.backward_correct:
            right(verdicts[backward[row.id].id], stated[row.id], known_as="the stated")
        return row.trace(
            backward[row.id],
            answer,
            task="backward_solve",
            original_question=row.problem.question,
            group=row.id,
        )

    third, fell = sift(left, backward, answers, "backward_solve", solved_back, lambda row: back[row.id].text)
    rejected += fell
    left, solve_back = [row for row, _ in third], {row.id: trace for row, trace in third}
    counts["consistency judged"] = len(left)

    judged = {
        row.id: row.request(
            fill(
                options.consistency_prompt,
                question=row.problem.question,
                answer=row.problem.answer,
                forward=_said(solve[row.id]),
                backward_question=back[row.id].text,
                backward_answer=stated[row.id],
                backward=_said(solve_back[row.id]),
            ),
            "consistency",
            schema=schema(_JUDGED),
        )
        for row in left
    }
    answers = yield list(judged.values())
    fourth, fell = sift(left, judged, answers, "consistency", _consistent, lambda row: back[row.id].text)
    rejected += fell
    kept = [part[row.id] for row, _ in fourth for part in (solve, back, solve_back)]
    return Made(kept, rejected, {**counts, "groups kept": len(fourth)})


def _check(question: str, answer: str, original: str, options: Options) -> None:
    if words(question) == words(original):
        raise Refused("not turned around", "the backward question is the original one")
    if options.answer_given and not states(original, answer):
        raise Refused("not given", f"the answer to the backward question, {answer}, is not given in the original")


def _turned(problem: Problem, question: str, answer: str) -> Problem:
    """The problem turned around; of the original it keeps the names of its skills and its source."""
    return Problem(
        problem.id, question, answer, problem.source, family=problem.family, skills=problem.skills,
        cluster=problem.cluster,
    )  # fmt: skip


def _said(trace: Trace) -> str:
    """What the judge is shown of a solution: all of it but the thinking."""
    return thinking.split(trace.text).answer.strip()


def _consistent(row: Row, answer: Completion) -> None:  # noqa: ARG001 - called for each row alike
    whole(answer)
    reply = read(answer.text, _JUDGED)
    if not reply["consistent"]:
        raise Refused("inconsistent", f"the teacher judged the two inconsistent: {reply['why'] or 'no reason given'}")
