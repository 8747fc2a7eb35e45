"""New wordings of a question: every way to be kept or not, with its reason."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from distill_app.augmentations import rephrase
from distill_app.records import Completion
from distill_app.seeds import derive
from tests.augmentations.scripted import Said, defaults, example_objects, grade, play, problem

OPTIONS = rephrase.Options(**defaults("rephrase"))
PENS = problem(
    "pens", "Tom buys 3 pens for 2 dollars each. How much does he pay?", "6", kind="number", solution="3 * 2 = 6"
)
NEW = "What do 3 pens cost Tom, when each of them is 2 dollars?"


def said(question: str) -> str:
    return json.dumps({"question": question})


def one(wording: Said, answer: Said = "3 * 2 = 6\nAnswer: 6", **changes: object) -> tuple[object, ...]:
    """(why, reason, step, question) of the one row, or its trace."""
    script = {"pens/tutor/rephrase/0/wording": wording, "pens/tutor/rephrase/0": answer}
    options = replace(OPTIONS, **changes)  # type: ignore[arg-type]
    made, _ = play(rephrase.make([PENS], options, samples=1, seed=3, teacher="tutor", grade=grade), script)
    assert len(made.kept) + len(made.rejected) == 1
    if made.kept:
        return tuple(made.kept)
    (row,) = made.rejected
    assert (row.id, row.problem_id) == ("pens/tutor/rephrase/0", "pens")
    return row.why, row.reason, row.step, row.question


def test_two_rounds_of_requests() -> None:
    script = {"pens/tutor/rephrase/0/wording": said(NEW), "pens/tutor/rephrase/0": "Answer: 6"}
    rounds = rephrase.make([PENS], OPTIONS, samples=1, seed=3, teacher="tutor", grade=grade)
    _, ((first,), (second,)) = play(rounds, script)
    assert PENS.question in first.prompt
    assert first.schema is not None
    assert json.loads(first.schema)["required"] == ["question"]
    assert first.seed == derive(3, "pens", "tutor", "rephrase", 0, "wording")
    assert second.prompt.startswith(NEW)
    assert second.schema is None
    assert second.seed == derive(3, "pens", "tutor", "rephrase", 0)
    assert (first.temperature, second.temperature) == (0.7, 0.7)
    assert (second.problem.question, second.problem.answer, second.problem.solution) == (NEW, "6", None)


def test_a_wording_whose_answer_is_the_gold_one_is_kept() -> None:
    (trace,) = one(said(NEW), "3 * 2 = 6\nAnswer: 6")
    assert (trace.id, trace.question, trace.original_question) == ("pens/tutor/rephrase/0", NEW, PENS.question)  # type: ignore[attr-defined]
    assert (trace.answer, trace.text, trace.kind) == ("6", "3 * 2 = 6\nAnswer: 6", "number")  # type: ignore[attr-defined]
    assert (trace.augmentation, trace.task, trace.tokens) == ("rephrase", "solve", 7)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("wording", "why", "reason"),
    [
        (Completion("pens/tutor/rephrase/0/wording", "", "missing", note="refused"), "missing", "refused"),
        (
            Completion("pens/tutor/rephrase/0/wording", '{"question": "Tom', "length", 300),
            "cut",
            "cut at the teacher's token limit after 300 tokens",
        ),
        ("", "empty", "the teacher wrote nothing, or nothing after thinking"),
        ("<think>Hm.</think>", "empty", "the teacher wrote nothing, or nothing after thinking"),
        (f"Sure: {said(NEW)}", "unreadable", "the reply is not the JSON object asked for: Expecting value"),
        (said(" "), "empty", "'question' is empty"),
        # 13 words each, 12 of them in common.
        (said(PENS.question.replace("buys", "gets")), "near copy", "is 0.92 like the original, more than 0.9"),
        (said("Tom buys pens for 2 dollars each, all 3 of 3. What is paid for 4?"), "numbers",
         "does not have the original's numbers: 3, 4 added"),
        (said("What do pens cost Tom, when each is a 2 dollar thing?"), "numbers",
         "does not have the original's numbers: 3 lost"),
        (said("3 for 2"), "length", "has 3 words where the original has 13"),
        (said("3 and 2 " + "well " * 37), "length", "has 40 words where the original has 13"),
    ],
)  # fmt: skip
def test_a_wording_that_is_none_is_rejected(wording: Said, why: str, reason: str) -> None:
    found, told, step, question = one(wording)
    assert (found, step, question) == (why, "wording", None)
    assert str(told).startswith(reason)


@pytest.mark.parametrize(
    ("answer", "why", "reason"),
    [
        ("Answer: 5", "wrong answer", "answered 5, not the gold 6: the meaning may have changed"),
        ("I cannot tell.", "no answer", "no final answer was found"),
        ("", "empty", "the teacher wrote nothing, or nothing after thinking"),
        (
            Completion("pens/tutor/rephrase/0", "So 3 * 2 = 6 and then", "length", 8),
            "cut",
            "cut at the teacher's token limit after 8 tokens",
        ),
        (Completion("pens/tutor/rephrase/0", "", "missing"), "missing", "the teacher has no answer to this"),
    ],
)
def test_a_wording_whose_answer_is_another_is_rejected_with_it(answer: Said, why: str, reason: str) -> None:
    assert one(said(NEW), answer) == (why, reason, "answer", NEW)


def test_the_checks_are_options() -> None:
    assert len(one(said(PENS.question), max_similarity=1.0)) == 1
    assert len(one(said("What do three pens cost Tom, when each is 2 dollars?"), same_numbers=False)) == 1
    assert len(one(said("3 for 2"), max_length_ratio=4.34)) == 1
    assert one(said("3 for 2"), max_length_ratio=4.33)[0] == "length"


def test_a_wording_too_like_that_of_another_sample_is_a_near_copy_too() -> None:
    script = {f"pens/tutor/rephrase/{n}/wording": said(text) for n, text in enumerate([PENS.question, NEW, NEW + "!"])}
    script["pens/tutor/rephrase/1"] = "Answer: 5"
    made, rounds = play(rephrase.make([PENS], OPTIONS, samples=3, seed=3, teacher="tutor", grade=grade), script)
    assert [len(asked) for asked in rounds] == [3, 1]
    assert [(row.id[-1], row.why, row.reason.partition(",")[0]) for row in made.rejected] == [
        ("0", "near copy", "is 1.00 like the original"),
        ("2", "near copy", "is 1.00 like the wording of sample 1"),
        ("1", "wrong answer", "answered 5"),
    ]
    assert made.counts == {"wordings asked for": 3, "wordings answered": 1}


def test_the_examples_of_the_default_prompt_pass_the_checks() -> None:
    first, second, _ = OPTIONS.prompt.split("\n\nQuestion: ")[1:]
    for example in (first, second):
        original = example.partition("\n")[0]
        (new,) = example_objects(example)
        rephrase._check(new["question"], original, [("the original", original)], OPTIONS)
