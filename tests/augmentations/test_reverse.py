"""Groups of a problem and the problem turned around: every way to be kept or not, with its reason and step."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from distill_app.augmentations import reverse
from distill_app.records import Completion
from distill_app.seeds import derive
from tests.augmentations.scripted import Said, defaults, example_objects, grade, play, problem

OPTIONS = reverse.Options(**defaults("reverse"))
PENS = problem(
    "pens",
    "Tom buys 3 pens for 2 dollars each. How much does he pay?",
    "6",
    skills=("finding a total",),
    kind="number",
    tolerance=0.1,
)
BACK = "Tom pays 6 dollars for pens at 2 dollars each. How many does he buy?"
NAME = "pens/tutor/reverse/0"
SCRIPT: dict[str, Said] = {
    NAME: "<think>Easy {answer}.</think>3 * 2 = 6\nAnswer: 6",
    f"{NAME}/backward_question": json.dumps({"question": BACK, "answer": "3"}),
    f"{NAME}/backward_solve": "6 / 2 = 3\nAnswer: 3",
    f"{NAME}/consistency": '{"why": "They fit.", "consistent": true}',
}


def rounds(options: reverse.Options = OPTIONS, samples: int = 1) -> reverse.Rounds:
    return reverse.make([PENS], options, samples=samples, seed=3, teacher="tutor", grade=grade)


def test_four_rounds_of_requests() -> None:
    _, asked = play(rounds(), SCRIPT)
    ((forward,), (turned,), (backward,), (judged,)) = asked
    assert [request.id for (request,) in asked] == list(SCRIPT)
    assert forward.seed == derive(3, "pens", "tutor", "reverse", 0)
    assert judged.seed == derive(3, "pens", "tutor", "reverse", 0, "consistency")
    assert forward.prompt.startswith(PENS.question)
    assert f"Problem: {PENS.question} Its answer: 6\n" in turned.prompt
    assert turned.schema is not None
    assert json.loads(turned.schema)["required"] == ["question", "answer"]
    assert backward.prompt.startswith(BACK)
    assert (backward.problem.question, backward.problem.answer, backward.problem.kind) == (BACK, "3", "auto")
    for part in (PENS.question, "3 * 2 = 6\nAnswer: 6", BACK, "6 / 2 = 3\nAnswer: 3"):
        assert part in judged.prompt
    assert "Easy" not in judged.prompt, "the judge is not shown what was thought"
    assert judged.schema is not None
    assert list(json.loads(judged.schema)["properties"]) == ["why", "consistent"]
    assert (forward.schema, backward.schema) == (None, None)


def test_a_group_is_three_rows_with_tasks_of_their_own() -> None:
    made, _ = play(rounds(), SCRIPT)
    solve, turned, backward = made.kept
    assert [trace.id for trace in made.kept] == list(SCRIPT)[:3]
    assert {trace.group for trace in made.kept} == {NAME}
    assert {trace.skills for trace in made.kept} == {("finding a total",)}
    assert [trace.task for trace in made.kept] == ["solve", "backward_question", "backward_solve"]
    assert (solve.question, solve.text, solve.answer) == (PENS.question, SCRIPT[NAME], "6")
    assert (solve.original_question, solve.kind, solve.tolerance) == (None, "number", 0.1)
    assert turned.question.endswith(f"\n\n{PENS.question}")
    assert turned.question.startswith("Turn the problem below around")
    assert (turned.text, turned.answer, turned.kind, turned.tolerance) == (BACK, "", "auto", None)
    assert (turned.original_question, turned.tokens) == (PENS.question, 18)
    assert (backward.question, backward.text, backward.answer) == (BACK, "6 / 2 = 3\nAnswer: 3", "3")
    assert (backward.original_question, backward.kind, backward.tolerance) == (PENS.question, "auto", None)
    assert made.counts == {
        "groups asked for": 1, "backward questions": 1, "backward solutions": 1, "consistency judged": 1,
        "groups kept": 1,
    }  # fmt: skip


def back(question: str, answer: str) -> str:
    return json.dumps({"question": question, "answer": answer})


@pytest.mark.parametrize(
    ("step", "said", "why", "reason"),
    [
        ("", "Answer: 5", "wrong answer", "answered 5, not the gold 6"),
        ("", "No idea.", "no answer", "no final answer was found"),
        ("", Completion(NAME, "3 * 2 = 6", "length", 5), "cut", "cut at the teacher's token limit after 5 tokens"),
        ("", Completion(NAME, "", "missing", note="refused"), "missing", "refused"),
        ("backward_question", "What is it?", "unreadable", "the reply is not the JSON object asked for"),
        ("backward_question", back(BACK, ""), "empty", "'answer' is empty"),
        ("backward_question", back(BACK, "4"), "not given",
         "the answer to the backward question, 4, is not given in the original"),
        ("backward_question", back(PENS.question + "!", "3"), "not turned around",
         "the backward question is the original one"),
        ("backward_solve", "Answer: 4", "wrong answer", "answered 4, not the stated 3"),
        ("backward_solve", "", "empty", "the teacher wrote nothing"),
        ("consistency", '{"why": "It gives the 3 away.", "consistent": false}', "inconsistent",
         "the teacher judged the two inconsistent: It gives the 3 away."),
        ("consistency", '{"why": "", "consistent": false}', "inconsistent",
         "the teacher judged the two inconsistent: no reason given"),
        ("consistency", "Yes, consistent.", "unreadable", "the reply is not the JSON object asked for"),
        ("consistency", Completion(f"{NAME}/consistency", '{"why": "Well', "length", 4), "cut",
         "cut at the teacher's token limit after 4 tokens"),
    ],
)  # fmt: skip
def test_a_group_falls_whole_at_the_step_that_fails(step: str, said: Said, why: str, reason: str) -> None:
    name = f"{NAME}/{step}" if step else NAME
    made, asked = play(rounds(), {**SCRIPT, name: said})
    (row,) = made.rejected
    assert made.kept == []
    assert (row.id, row.problem_id, row.step, row.why) == (NAME, "pens", step or "forward", why)
    assert row.reason.startswith(reason)
    assert row.text == (said if isinstance(said, str) else said.text)
    assert row.question == (BACK if step in ("backward_solve", "consistency") else None)
    # Nothing is asked about a group that has fallen.
    assert [len(some) for some in asked] == [int(at <= list(SCRIPT).index(name)) for at in range(4)]


def test_the_two_checks_besides_the_papers_are_options() -> None:
    wrong = {**SCRIPT, f"{NAME}/backward_solve": "Answer: 4"}
    made, _ = play(rounds(replace(OPTIONS, backward_correct=False)), wrong)
    assert len(made.kept) == 3
    made, _ = play(rounds(replace(OPTIONS, answer_given=False)), {
        **SCRIPT, f"{NAME}/backward_question": back(BACK, "4"), f"{NAME}/backward_solve": "Answer: 4",
    })  # fmt: skip
    assert [trace.answer for trace in made.kept] == ["6", "", "4"]


def test_samples_are_groups_apart() -> None:
    second = {name.replace("/reverse/0", "/reverse/1"): said for name, said in SCRIPT.items()}
    script = {**SCRIPT, **second, f"{NAME}/backward_solve": "Answer: 4"}
    made, asked = play(rounds(samples=2), script)
    assert [len(some) for some in asked] == [2, 2, 2, 1]
    assert {trace.group for trace in made.kept} == {"pens/tutor/reverse/1"}
    assert len(made.kept) == 3 * made.counts["groups kept"] == 3
    assert made.counts["groups kept"] + len(made.rejected) == made.counts["groups asked for"] == 2


def test_prompts_that_lack_a_part_are_named() -> None:
    assert reverse.check(OPTIONS) == []
    faults = reverse.check(replace(OPTIONS, backward_prompt="Turn {question} around.", backward_task="Turn it around."))
    assert [(option, message) for option, message, _ in faults] == [
        ("backward_prompt", "{answer} is lacking in this prompt."),
        ("backward_task", "{question} is lacking in this prompt."),
    ]


def test_the_example_of_the_default_prompt_passes_the_checks() -> None:
    original = OPTIONS.backward_prompt.split("\n\nProblem: ")[1].partition(" Its answer: 4\n")[0]
    (new,) = example_objects(OPTIONS.backward_prompt)
    assert original.startswith("Tom buys 3 pens")
    reverse._check(new["question"], new["answer"], original, OPTIONS)
