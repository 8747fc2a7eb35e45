"""What is settled without reading an expression must be what reading it gives; what cannot be read is not equal."""

from __future__ import annotations

import pytest

from distill_app.evaluation import reading
from distill_app.evaluation.equivalence import equivalent


@pytest.mark.parametrize(
    ("text", "name"),
    [("(2, 9]", ""), ("[-3, 9]", ""), ("(-\\infty, 5]", ""), ("2 < x \\le 9", "x"), ("-2 \\le y < 10", "y")],
)
def test_a_plain_interval_is_what_sympy_makes_of_it(text: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = reading._plain_region(text)
    assert fast is not None
    assert fast[1] == name
    monkeypatch.setattr(reading, "_plain_region", lambda _: None)
    assert reading._region(text) == fast


@pytest.mark.parametrize("text", ["(9, 2)", "(2, 2]", "3 < x < 1", "2 \\le e < 5", "(1, 2, 3)", "(0.5, 2)"])
def test_what_is_no_plain_interval_is_left_to_sympy(text: str) -> None:
    assert reading._plain_region(text) is None


def test_intervals_tuples_and_inequalities() -> None:
    assert equivalent("3 < x \\le 9", "(3, 9]")
    assert not equivalent("3 \\le x \\le 9", "(3, 9]")
    assert equivalent("(1,2,3)", "(1, 2, 3)")
    assert not equivalent("(1,2,4)", "(1, 2, 3)")


def test_a_number_too_long_to_write_down_is_not_understood() -> None:
    tower = "2^{2^{2^{2^{7}}}} \\cdot 3 + 3"
    assert reading.read(tower) is None
    assert not equivalent(tower, "3")
