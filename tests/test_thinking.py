"""What a think block is, and that every part of the program that looks for one says the same."""

from __future__ import annotations

import pytest

from distill_app.evaluation.answers import extract
from distill_app.hygiene import filters
from distill_app.quality._conversation import part_of
from distill_app.quality.judge import Scale, rating
from distill_app.quality.verifier import form_of
from distill_app.recipe.model import Keep
from distill_app.records import Trace
from distill_app.skills.reading import after_think
from distill_app.thinking import Thought, split


@pytest.mark.parametrize(
    ("text", "thought"),
    [
        ("", (None, "", "none")),
        (" 7 ", (None, " 7 ", "none")),
        ("<think>a</think>\n7", ("a", "\n7", "closed")),
        ("<think></think>", ("", "", "closed")),
        ("\n<think>a</think>7", ("a", "7", "closed")),
        ("a</think>7", ("a", "7", "closed")),
        ("Skills:\nsums\n<think>a</think>7", ("a", "7", "closed")),
        ("<think>a</think>b<think>c</think>7", ("a</think>b<think>c", "7", "closed")),
        ("a</think>b<think>c</think>7", ("a</think>b<think>c", "7", "closed")),
        ("<think>a<think>b</think>7", ("a<think>b", "7", "closed")),
        ("<think>cut", ("cut", "", "unclosed")),
        ("So <think>cut", ("cut", "", "unclosed")),
        ("<think>a</think>7<think>cut", ("a</think>7<think>cut", "", "unclosed")),
        ("a</think>7<think>cut", ("a</think>7<think>cut", "", "unclosed")),
    ],
)
def test_split(text: str, thought: tuple[str | None, str, str]) -> None:
    assert split(text) == Thought(*thought)  # type: ignore[arg-type]


THOUGHT = "Answer: 3\nIt is \\boxed{4}."
TEXTS = {
    f"<think>{THOUGHT}</think>\nAnswer: 5": "5",
    f"{THOUGHT}</think>\nAnswer: 5": "5",
    f"<think>{THOUGHT}</think>So<think>{THOUGHT}</think>\nAnswer: 5": "5",
    "Answer: 5": "5",
    f"<think>{THOUGHT}": None,
    f"<think>a</think>Answer: 5\n<think>{THOUGHT}": None,
}


@pytest.mark.parametrize(("text", "answer"), TEXTS.items())
def test_everybody_reads_the_same_answer(text: str, answer: str | None) -> None:
    answered = answer is not None
    assert extract(text, "5").answer == answer
    assert after_think(text) == ("Answer: 5" if answered else "")
    assert part_of(text, "answer") == ("Answer: 5" if answered else "")
    assert part_of(text, "trace") == text
    assert form_of(text) == float(answered)
    reply = text.replace("Answer: 5", "Rating: 5").replace("Answer: 3", "Rating: 3")
    assert rating(reply, Scale(low=1, high=10)) == (5 if answered else None)
    keep = Keep(correct=False, max_tokens=None, min_tokens=None, finished=False, think="required")
    trace = Trace("a", "p", "?", "5", text, "t", "c", 0, 1, "stop")
    assert bool(filters.check([trace], {"a": "wrong"}, {}, keep)) == (not answered or "<" not in text)
