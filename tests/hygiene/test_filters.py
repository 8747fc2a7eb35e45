"""What a trace must satisfy by itself: each rule alone, their order, and a lesson that goes as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from distill_app.hygiene import Removed, filters, lessons, whole
from distill_app.recipe.model import Keep
from tests.hygiene.rows import trace


def keep(**given: Any) -> Keep:
    off = {"correct": False, "max_tokens": None, "min_tokens": None, "finished": False, "think": "any"}
    return Keep(**{**off, **given})


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        ({}, {"empty": "empty"}),
        (
            {"correct": True},
            {
                "empty": "empty",
                "wrong": "wrong answer",
                "none": "no answer",
                "late": "grading timed out",
            },
        ),
        ({"finished": True}, {"empty": "empty", "cut": "cut at the token limit"}),
        ({"max_tokens": 20}, {"empty": "empty", "thought": "longer than 20 tokens"}),
        ({"min_tokens": 10}, {"empty": "empty", "wrong": "shorter than 10 tokens"}),
        ({"min_tokens": 10, "max_tokens": 21}, {"empty": "empty", "wrong": "shorter than 10 tokens"}),
        (
            {"think": "required"},
            {
                **dict.fromkeys(("wrong", "none", "late", "ungraded", "right"), "no think block"),
                "cut": "the think block never ends",
                "empty": "empty",
            },
        ),
        ({"think": "forbidden"}, {"empty": "empty", **dict.fromkeys(("cut", "thought"), "has a think block")}),
        (
            {"correct": True, "finished": True, "max_tokens": 1, "think": "forbidden"},
            {
                "empty": "empty",
                "wrong": "wrong answer",
                "none": "no answer",
                "late": "grading timed out",
                "cut": "cut at the token limit",
                "thought": "longer than 1 tokens",
                "ungraded": "longer than 1 tokens",
                "right": "longer than 1 tokens",
            },
        ),
    ],
)
def test_each_rule_and_their_order(options: dict[str, Any], left_out: dict[str, str]) -> None:
    rows = {
        "empty": (trace("empty", " \n"), "no_answer", 10),
        "wrong": (trace("wrong"), "wrong", 9),
        "none": (trace("none"), "no_answer", 10),
        "late": (trace("late"), "timeout", 10),
        "ungraded": (trace("ungraded", task="backward_question"), "ungraded", 10),
        "cut": (trace("cut", "<think>hm", finish_reason="length"), "correct", 20),
        "thought": (trace("thought", "<think>hm</think>4"), "correct", 21),
        "right": (trace("right"), "correct", 20),
    }
    verdicts = {name: verdict for name, (_, verdict, _) in rows.items()}
    lengths = {name: length for name, (*_, length) in rows.items()}
    found = filters.check([row for row, *_ in rows.values()], verdicts, lengths, keep(**options))
    assert {name: row.reason for name, row in found.items()} == left_out


def test_lengths_are_not_asked_for_without_a_limit() -> None:
    assert filters.check([trace("a")], {"a": "wrong"}, {}, keep()) == {}


def test_a_lesson_goes_as_a_whole_and_a_group_of_samples_does_not() -> None:
    rows = [
        trace("p/1/a", group="g", task="solve"),
        trace("p/1/b", group="g", task="backward_question"),
        trace("p/1/c", group="g", task="backward_solve"),
        trace("p/2/a", group="h"),
        trace("p/2/b", group="h"),
        trace("p/3"),
    ]
    units = lessons(rows[::-1])
    assert [[row.id for row in unit] for unit in units] == [
        ["p/1/a", "p/1/b", "p/1/c"], ["p/2/a"], ["p/2/b"], ["p/3"],
    ]  # fmt: skip
    verdicts = {row.id: "wrong" if row.id in ("p/1/b", "p/2/b") else "correct" for row in rows}
    found = whole(filters.check(rows, verdicts, {}, keep(correct=True)), units)
    assert found.keys() == {"p/1/a", "p/1/b", "p/1/c", "p/2/b"}
    assert found["p/1/b"] == Removed("p/1/b", "correct", "wrong answer")
    assert found["p/1/c"].said == "another row of its group is left out; p/1/b: wrong answer"
    assert found["p/1/c"].rule == "correct"
