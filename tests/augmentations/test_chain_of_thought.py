"""Plain requests: one prompt a problem, each with an id and a seed of its own."""

from __future__ import annotations

from distill_app.augmentations import _as_written, chain_of_thought
from distill_app.records import Completion, Problem
from distill_app.seeds import derive
from tests.augmentations.scripted import grade, play

PROBLEMS = [
    Problem("p1", "What is {x}?", "1", "s", skills=("naming",), kind="integer"),
    Problem("p2", "And {question}?", "2", "s", tolerance=0.5),
]
OPTIONS = chain_of_thought.Options(prompt="Q: {question}\nPut it in \\boxed{}.")
SETTINGS = {"samples": 2, "seed": 3, "teacher": "tutor", "grade": grade}
ANSWERS = {
    "p1/tutor/chain_of_thought/0": "It is 1.",
    "p1/tutor/chain_of_thought/1": "It is 1.",
    "p2/tutor/chain_of_thought/0": Completion(
        "p2/tutor/chain_of_thought/0", "Two", "length", 9, "clean", (("reward", 0.5),), "g", seed=77
    ),
    "p2/tutor/chain_of_thought/1": Completion("p2/tutor/chain_of_thought/1", "", "missing", note="the server is full"),
}


def test_requests_have_ids_prompts_and_seeds() -> None:
    _, (asked,) = play(chain_of_thought.make(PROBLEMS, OPTIONS, **SETTINGS), ANSWERS)  # type: ignore[arg-type]
    assert [r.id for r in asked] == list(ANSWERS)
    assert asked[0].prompt == "Q: What is {x}?\nPut it in \\boxed{}."
    assert asked[2].prompt == "Q: And {question}?\nPut it in \\boxed{}."
    assert asked[3].seed == derive(3, "p2", "tutor", "chain_of_thought", 1)
    assert {r.temperature for r in asked} == {None}


def test_order_of_the_problems_changes_no_request() -> None:
    _, (forward,) = play(chain_of_thought.make(PROBLEMS, OPTIONS, **SETTINGS), ANSWERS)  # type: ignore[arg-type]
    _, (backward,) = play(chain_of_thought.make(PROBLEMS[::-1], OPTIONS, **SETTINGS), ANSWERS)  # type: ignore[arg-type]
    assert sorted(forward, key=lambda r: r.id) == sorted(backward, key=lambda r: r.id)


def test_all_traces_stay_with_what_the_problem_and_the_completion_hold() -> None:
    made, _ = play(chain_of_thought.make(PROBLEMS, OPTIONS, **SETTINGS), ANSWERS)  # type: ignore[arg-type]
    first, again, other = made.kept
    assert (first.text, again.text) == ("It is 1.", "It is 1.")
    assert (first.question, first.answer, first.skills, first.kind, first.tolerance) == (
        "What is {x}?", "1", ("naming",), "integer", None,
    )  # fmt: skip
    assert (first.teacher, first.augmentation, first.task, first.sample, again.sample) == (
        "tutor", "chain_of_thought", "solve", 0, 1,
    )  # fmt: skip
    assert (other.seed, other.finish_reason, other.tokens, other.note) == (77, "length", 9, "clean")
    assert (other.numbers, other.group, other.tolerance) == ((("reward", 0.5),), "g", 0.5)


def test_a_missing_answer_is_rejected_in_the_teachers_words() -> None:
    made, _ = play(chain_of_thought.make(PROBLEMS, OPTIONS, **SETTINGS), ANSWERS)  # type: ignore[arg-type]
    (one,) = made.rejected
    assert (one.id, one.problem_id, one.step) == ("p2/tutor/chain_of_thought/1", "p2", "answer")
    assert (one.why, one.reason) == ("missing", "the server is full")


def test_traces_as_written_are_asked_for_without_a_prompt() -> None:
    script = {name.replace("chain_of_thought", "as_written"): "It is 1." for name in ANSWERS}
    made, (asked,) = play(_as_written.make(PROBLEMS, _as_written.Options(), **SETTINGS), script)  # type: ignore[arg-type]
    assert [r.prompt for r in asked] == ["What is {x}?"] * 2 + ["And {question}?"] * 2
    assert ([t.id for t in made.kept], {t.augmentation for t in made.kept}) == (list(script), {"as_written"})
