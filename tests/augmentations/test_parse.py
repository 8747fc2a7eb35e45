"""The strict reader of JSON replies: what it takes, and how each other thing is refused."""

from __future__ import annotations

import json

import pytest

from distill_app.augmentations import Refused
from distill_app.augmentations._parse import Kind, read, schema

FIELDS: dict[str, Kind] = {"question": "text", "answer": "answer"}
GOOD = '{"question": "How many?", "answer": "5"}'


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"\n  {GOOD}\n",
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```\n",
        f"<think>{{\"question\": 1}}</think>\n\n{GOOD}",
        '{"answer": 5, "question": " How many? "}',
        json.dumps(json.loads(GOOD), indent=2),
    ],
)  # fmt: skip
def test_one_object_alone_or_in_a_fence_is_read(text: str) -> None:
    assert read(text, FIELDS) == {"question": "How many?", "answer": "5"}


def test_numbers_keep_how_they_are_written() -> None:
    assert read('{"question": "q", "answer": 12.50}', FIELDS)["answer"] == "12.50"


@pytest.mark.parametrize(
    ("text", "why", "reason"),
    [
        ("", "unreadable", "Expecting value"),
        (f"Sure! {GOOD}", "unreadable", "Expecting value"),
        (f"{GOOD} I hope this helps.", "unreadable", "Extra data"),
        (f"{GOOD}\n{GOOD}", "unreadable", "Extra data"),
        (f"Here:\n```json\n{GOOD}\n```", "unreadable", "Expecting value"),
        (f"<think>Let me see: {GOOD}", "unreadable", "the think block never ends"),
        ('{"question": "How many?", "answer": "5"', "unreadable", "delimiter"),
        ("[" * 100_000, "unreadable", "recursion"),
        ('["How many?", "5"]', "unreadable", "no object"),
        ('{"question": "How many?"}', "unreadable", "lacks the field 'answer'"),
        ('{"question": "q", "answer": "5", "hint": ""}', "unreadable", "field 'hint' besides"),
        ('{"question": "q", "answer": "5", "answer": "6"}', "unreadable", "stands there twice"),
        ('{"question": "q", "answer": NaN}', "unreadable", "NaN is no JSON"),
        ('{"question": 7, "answer": "5"}', "unreadable", "'question' is no text"),
        ('{"question": "q", "answer": true}', "unreadable", "'answer' is no text"),
        ('{"question": "q", "answer": null}', "unreadable", "'answer' is no text"),
        ('{"question": "  ", "answer": "5"}', "empty", "'question' is empty"),
        (r'{"question": "What is $\frac{1}{2}$ of it?", "answer": "5"}', "damaged", r"holds \frac with a single"),
        (r'{"question": "What is $3 \times 4$?", "answer": "5"}', "damaged", r"holds \times with a single"),
        (r'{"question": "Where is $x \neq 1$?", "answer": "5"}', "damaged", r"holds \neq with a single"),
        (r'{"question": "q", "answer": "\boxed{5}"}', "damaged", r"holds \boxed with a single"),
        (r'{"question": "a \ud83d b", "answer": "5"}', "damaged", "lone surrogate"),
    ],
)
def test_everything_else_is_refused_with_its_reason(text: str, why: str, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        read(text, FIELDS)
    assert caught.value.why == why
    assert reason in caught.value.reason


def test_escapes_that_are_meant_stay() -> None:
    text = r'{"question": "What is $\\frac{1}{2}$?\nAnd\ttoo: \u00e9", "answer": "-1"}'
    assert read(text, FIELDS)["question"] == "What is $\\frac{1}{2}$?\nAnd\ttoo: é"


def test_truth_is_true_or_false() -> None:
    fields: dict[str, Kind] = {"why": "string", "consistent": "truth"}
    assert read('{"why": "", "consistent": false}', fields) == {"why": "", "consistent": False}
    for wrong in ('"true"', "1", "null"):
        with pytest.raises(Refused, match="neither true nor false"):
            read(f'{{"why": "", "consistent": {wrong}}}', fields)


def test_the_schema_asks_for_these_fields_in_order_and_no_others() -> None:
    assert json.loads(schema(FIELDS)) == {
        "type": "object",
        "properties": {"question": {"type": "string"}, "answer": {"type": "string"}},
        "required": ["question", "answer"],
        "additionalProperties": False,
    }
    assert json.loads(schema({"consistent": "truth"}))["properties"] == {"consistent": {"type": "boolean"}}
