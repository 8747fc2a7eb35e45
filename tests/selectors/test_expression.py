"""Arithmetic written in recipes: right values, errors at their column, and nothing else gets through."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_app.selectors._expression import FUNCTIONS, ExpressionError, parse

NAMES = {"q": 0.5, "d": -2.0, "c": 0.25, "b": 3.0}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2*3", 7.0),
        ("(1 + 2)*3", 9.0),
        ("2**3**2", 512.0),
        ("-d**2", -4.0),
        ("(-d)**2", 4.0),
        ("2**-1", 0.5),
        ("8/4/2", 1.0),
        ("7 - 2 - 1", 4.0),
        ("- - 3", 3.0),
        ("+q", 0.5),
        ("q*b + c", 1.75),
        ("1.5e2 + .5", 150.5),
        ("exp(0) + ln(1) + log(exp(2))", 3.0),
        ("sqrt(16) - abs(d)", 2.0),
        ("min(q, d, b) + max(q, c)", -1.5),
        ("clip(d, -1, 1)", -1.0),
        ("clip(b, -1, 1)", 1.0),
        ("sigmoid(0) + tanh(0)", 0.5),
        ("sigmoid(1000) + sigmoid(-1000)", 1.0),
        ("step(0) + step(d) + step(q)", 2.0),
        ("  q\n * 2 ", 1.0),
    ],
)
def test_values_by_hand(text: str, expected: float) -> None:
    assert float(parse(text, NAMES).value(NAMES)) == pytest.approx(expected)


def test_columns_are_worked_out_at_once() -> None:
    found = parse("q * exp(-(d - 1)**2 / 2)", NAMES)
    q, d = np.array([1.0, 0.5, 0.2]), np.array([1.0, 2.0, 3.0])
    assert found.names == {"q", "d"}
    assert found.value({"q": q, "d": d}) == pytest.approx(q * np.exp(-((d - 1) ** 2) / 2))


def test_what_has_no_value_is_not_hidden() -> None:
    assert math.isnan(parse("ln(d)", NAMES).value(NAMES))
    assert math.isnan(parse("d**q", NAMES).value(NAMES))
    assert math.isnan(parse("step(ln(d))", NAMES).value(NAMES))
    assert math.isinf(parse("1/(q - q)", NAMES).value(NAMES))
    assert math.isinf(parse("1e999", NAMES).value(NAMES))


@pytest.mark.parametrize(
    ("text", "column", "message", "suggestion"),
    [
        ("q + e*d", 5, "there is no 'e' here", "Valid: b, c, d, q"),
        ("a*q + qq", 1, "there is no 'a' here", "Valid: b, c, d, q"),
        ("q + qq", 5, "there is no 'qq' here", "Did you mean 'q'?"),
        ("expp(q)", 1, "no function 'expp'", "Did you mean 'exp'?"),
        ("q(d)", 1, "is a number, not a function", "Write q * (...)"),
        ("q*exp + 1", 3, "'exp' is a function", "Write exp(...)"),
        ("q^2", 2, "'^' has no meaning", "Powers are written **"),
        ("q == 2", 3, "'=' has no meaning", "Use + - * /"),
        ("(q + d", 7, "expected ) or an operator, the expression ends", "column 1 is open"),
        ("q + d)", 6, "expected an operator, got ')'", "It closes nothing"),
        ("q d", 3, "expected an operator, got 'd'", "Write * to multiply"),
        ("q, d", 2, "expected an operator, got ','", "Commas stand between"),
        ("q +", 4, "expected a number, a name or a parenthesis, the expression ends", ""),
        ("", 1, "the expression ends", ""),
        ("min(q)", 1, "min takes 2 to 16 values, got 1", "Write min(x, y)"),
        ("clip(q, 1)", 1, "clip takes 3 values, got 2", "Write clip(x, low, high)"),
        ("exp(q, d)", 1, "exp takes 1 values, got 2", "Write exp(x)"),
        ("exp()", 5, "expected a number", ""),
        ("q.real", 2, "'.' has no meaning", "Use"),
        ("__import__('os')", 12, '"\'" has no meaning', "Use"),
        ("q" * 501, 501, "has 501 characters", "at most 500"),
        ("(" * 41 + "q" + ")" * 41, 41, "more than 40 levels", "fewer parentheses"),
        ("-" * 60 + "q", 41, "more than 40 levels", ""),
    ],
)
def test_faults_have_a_place_and_a_remedy(text: str, column: int, message: str, suggestion: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text, NAMES)
    assert caught.value.column == column
    assert message in caught.value.message
    assert suggestion in caught.value.suggestion


def test_exponents_are_limited() -> None:
    assert float(parse("1**64", NAMES).value(NAMES)) == 1.0
    for text in ("2**65", "2**(q*1000)", "2**-65"):
        with pytest.raises(ExpressionError, match="exponent"):
            parse(text, NAMES).value(NAMES)


@given(st.recursive(
    st.sampled_from(["q", "d", "c", "b", "1.5", "2", "10"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" + ", "-", "*", " / "]), inner).map("".join),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"-{text}"),
        inner.map(lambda text: f"abs({text})"),
    ),
    max_leaves=12,
))  # fmt: skip
def test_arithmetic_is_pythons(text: str) -> None:
    try:
        expected = eval(text, {"abs": abs}, dict(NAMES))
    except ZeroDivisionError:
        return
    assert float(parse(text, NAMES).value(NAMES)) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(st.one_of(
    st.text(max_size=40),
    st.lists(
        st.sampled_from(["q", "d", "9", "(", ")", "**", "*", "-", "/", ",", "exp", "min", "zz", "lambda", "[", " "]),
        max_size=30,
    ).map("".join),
))  # fmt: skip
def test_any_text_is_read_or_refused(text: str) -> None:
    refused = None
    try:
        value: Any = parse(text, NAMES).value(NAMES)
    except ExpressionError as error:
        refused = error.column
    assert refused is None or 1 <= refused <= len(text) + 1
    assert refused is not None or np.shape(value) == ()


def test_the_longest_expression_can_be_worked_out() -> None:
    text = "+".join(["q"] * 250)
    assert float(parse(text, NAMES).value(NAMES)) == pytest.approx(125.0)


def test_the_functions_are_these() -> None:
    expected = {"exp", "ln", "log", "sqrt", "abs", "min", "max", "clip", "sigmoid", "tanh", "step"}
    assert expected == FUNCTIONS
