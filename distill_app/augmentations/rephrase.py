"""The same problem in other words (question rephrasing of MetaMath, arXiv 2309.12284; methods.md 6).

[paper: code] The teacher rewrites the question from a few examples at temperature 0.7, then answers the new question at
0.7; a row stays where that answer equals the gold one of the original: the check that the meaning was kept. [inferred]
The prompts (of our own wording), JSON as the form of the reply, and the checks before the answer: near-copies, numbers,
length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from distill_app.augmentations import Grade, Made, Refused, Rounds, Row, fill, rows
from distill_app.augmentations._parse import Kind, read, schema
from distill_app.augmentations._rounds import right, sift, to_grade, whole
from distill_app.augmentations._wording import numbers, similarity, words
from distill_app.records import Completion, Problem, Trace

VERSION = 1
ASKS = "instructions"
ROWS = 1
PLACEHOLDERS = {"prompt": ("question",), "answer_prompt": ("question",)}

_FIELDS: dict[str, Kind] = {"question": "text"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    prompt: str
    answer_prompt: str
    temperature: float
    max_similarity: float
    same_numbers: bool
    max_length_ratio: float


def make(
    problems: Sequence[Problem],
    options: Options,
    *,
    samples: int,
    seed: int,
    teacher: str,
    grade: Grade,
) -> Rounds:
    """`samples` new wordings for each problem, each with the teacher's answer to it, where that is the gold answer.

    Two rounds: the wordings (step "wording"), then the answers to those that pass the checks of `Options` ("answer").
    A wording too like an accepted one of an earlier sample is a near-copy too.
    """
    todo = rows(problems, samples=samples, seed=seed, teacher=teacher, augmentation="rephrase")
    asked = {
        row.id: row.request(
            fill(options.prompt, question=row.problem.question),
            "wording",
            temperature=options.temperature,
            schema=schema(_FIELDS),
        )
        for row in todo
    }
    answers = yield list(asked.values())
    accepted: dict[str, list[tuple[str, str]]] = {}

    def wording(row: Row, answer: Completion) -> str:
        whole(answer)
        question: str = read(answer.text, _FIELDS)["question"]
        others = accepted.setdefault(row.problem.id, [("the original", row.problem.question)])
        _check(question, row.problem.question, others, options)
        others.append((f"the wording of sample {row.sample}", question))
        return question

    worded, rejected = sift(todo, asked, answers, "wording", wording)
    new = {row.id: question for row, question in worded}
    left = [row for row, _ in worded]
    asked = {
        row.id: row.request(
            fill(options.answer_prompt, question=new[row.id]),
            # What is known of the solution is about the old wording.
            problem=replace(row.problem, question=new[row.id], solution=None, steps=()),
            temperature=options.temperature,
        )
        for row in left
    }
    answers = yield list(asked.values())
    verdicts = grade([to_grade(asked[row.id], answers[asked[row.id].id]) for row in left])

    def trace(row: Row, answer: Completion) -> Trace:
        whole(answer)
        right(verdicts[row.id], row.problem.answer, known_as="the gold", otherwise=": the meaning may have changed")
        return row.trace(asked[row.id], answer, original_question=row.problem.question)

    made, wrong = sift(left, asked, answers, "answer", trace, lambda row: new[row.id])
    counts = {"wordings asked for": len(todo), "wordings answered": len(left)}
    return Made([trace for _, trace in made], [*rejected, *wrong], counts)


def _check(question: str, original: str, others: Sequence[tuple[str, str]], options: Options) -> None:
    """Raises `Refused` where the new wording is no other wording of the same question, as far as can be seen."""
    old, new = len(words(original)), len(words(question))
    if not old <= new * options.max_length_ratio or not new <= old * options.max_length_ratio:
        raise Refused("length", f"has {new} words where the original has {old}")
    for name, other in others:
        alike = similarity(question, other)
        if alike > options.max_similarity:
            raise Refused("near copy", f"is {alike:.2f} like {name}, more than {options.max_similarity:g}")
    if options.same_numbers:
        was, now = numbers(original), numbers(question)
        if was != now:
            lost, added = (", ".join(f"{number:f}" for number in some.elements()) for some in (was - now, now - was))
            parts = [*([f"{lost} lost"] if lost else []), *([f"{added} added"] if added else [])]
            raise Refused("numbers", f"does not have the original's numbers: {', '.join(parts)}")
