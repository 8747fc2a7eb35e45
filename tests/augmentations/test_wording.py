"""How alike two questions are, and the numbers they speak of."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from distill_app.augmentations._wording import numbers, similarity, states


def test_similarity_is_that_of_the_words_in_order() -> None:
    # 5 and 5 words, "tom has" and "pens" in common: 2 * 3 / 10.
    assert similarity("Tom has 3 red pens.", "tom HAS four blue pens!") == pytest.approx(0.6)
    assert similarity("Tom has 3 pens.", "Tom has 3 pens?") == 1
    assert similarity("Tom has 3 pens.", "What is it") == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3 pens at 2.50 and 3 cups", ["3", "2.5", "3"]),
        ("1,234,567.5 people in 1,2,3 towns", ["1234567.5", "1", "2", "3"]),
        ("$\\frac{1}{2}$ of .5 and 5%", ["1", "2", "0.5", "5"]),
        ("10,00 and 3.", ["10", "0", "3"]),
        ("no number, not even three", []),
    ],
)
def test_numbers_are_counted_by_value(text: str, found: list[str]) -> None:
    assert numbers(text) == Counter(map(Decimal, found))


@pytest.mark.parametrize(
    ("answer", "given"),
    [
        ("3", True),
        ("3.0 pens", True),
        ("2", True),  # "two"
        ("12", True),  # "a dozen"
        ("4", False),
        ("on Monday", True),
        ("monday morning", False),
        ("?", False),
    ],
)
def test_what_a_question_states(answer: str, given: bool) -> None:
    assert states("Tom buys 3 pens, two cups and a dozen eggs on Monday.", answer) == given
