"""Plain requests: one prompt a problem, each with an id and a seed of its own."""

from __future__ import annotations

from distill_app.augmentations import chain_of_thought
from distill_app.records import Problem, Trace
from distill_app.seeds import derive

PROBLEMS = [Problem("p1", "What is {x}?", "1", "s"), Problem("p2", "And {question}?", "2", "s")]
OPTIONS = chain_of_thought.Options(prompt="Q: {question}\nPut it in \\boxed{}.")


def test_requests_have_ids_prompts_and_seeds() -> None:
    asked = chain_of_thought.requests(PROBLEMS, OPTIONS, samples=2, seed=3, teacher="tutor")
    assert [r.id for r in asked] == [
        "p1/tutor/chain_of_thought/0", "p1/tutor/chain_of_thought/1",
        "p2/tutor/chain_of_thought/0", "p2/tutor/chain_of_thought/1",
    ]  # fmt: skip
    assert asked[0].prompt == "Q: What is {x}?\nPut it in \\boxed{}."
    assert asked[2].prompt == "Q: And {question}?\nPut it in \\boxed{}."
    assert asked[3].seed == derive(3, "p2", "tutor", "chain_of_thought", 1)
    assert {r.temperature for r in asked} == {None}


def test_order_of_the_problems_changes_no_request() -> None:
    forward = chain_of_thought.requests(PROBLEMS, OPTIONS, samples=2, seed=3, teacher="tutor")
    backward = chain_of_thought.requests(PROBLEMS[::-1], OPTIONS, samples=2, seed=3, teacher="tutor")
    assert sorted(forward, key=lambda r: r.id) == sorted(backward, key=lambda r: r.id)


def test_all_traces_stay() -> None:
    trace = Trace("t", "p1", "q", "1", "same", "tutor", "chain_of_thought", 0, 0, "stop")
    finished = chain_of_thought.finish([trace, trace])
    assert (len(finished.kept), finished.rejected) == (2, [])
