from __future__ import annotations

import pytest

from distill_app.skills.reading import after_think, phrase, string_list


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>\nlong\n</think>\n\nShort 4.\n", "Short 4."),
        ("opened by the template </think> Short", "Short"),
        ("plain text", "plain text"),
        ("<think>cut while thin", ""),
        ("Before <think>cut", ""),
        ("<think>a</think>b<think>cut", ""),
        ("<think>a</think>b<think>c</think>d", "d"),
        ("", ""),
    ],
)
def test_the_answer_is_what_follows_the_think_block(text: str, answer: str) -> None:
    assert after_think(text) == answer


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('["a", "b"]', ["a", "b"]),
        ("[]", []),
        ('Sure! ["a"]', ["a"]),
        ('```json\n[\n  "a"\n]\n```\nHope that helps [x].', ["a"]),
        ('<think>maybe ["b"]</think>["a"]', ["a"]),
        ('["a"] Again: ["a"]', ["a"]),
        ('For x in [0, 1): ["a [b]"]', ["a [b]"]),
        ('Not ["b"] but ["a"]', None),
        ('["a", 3]', None),
        ('{"skills": ["a"]}', ["a"]),
        ('["a", ["b"]]', None),
        ('["a", "b', None),
        ("a, b", None),
        ("", None),
        ("[" * 50_000, None),
    ],
)
def test_a_list_is_read_or_none_is(text: str, found: list[str] | None) -> None:
    assert string_list(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Adding whole numbers.", "Adding whole numbers"),
        ('<think>hm</think>\n\n1. "Adding"\nBecause ...', "Adding"),
        ("- **Adding and   dividing**", "Adding and dividing"),
        ("Going a -> b", "Going a to b"),
        ("\n \n", None),
        ("...", None),
        ("x" * 201, None),
        ("x" * 200, "x" * 200),
    ],
)
def test_a_phrase_is_one_line(text: str, found: str | None) -> None:
    assert phrase(text) == found
