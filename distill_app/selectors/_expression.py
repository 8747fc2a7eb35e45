"""Arithmetic that a recipe writes as text: read by a parser of our own, worked out over numbers or numpy columns.

    sum     = product (("+" | "-") product)*            numbers, names, parentheses, unary minus
    product = unary (("*" | "/") unary)*                ** binds tighter than unary minus, and to the right
    unary   = "-" unary | "+" unary | power             exp ln log sqrt abs sigmoid tanh step (one argument; log is ln,
    power   = atom ("**" unary)?                        step is 1 from 0 on and 0 below), min max (two or more),
    atom    = number | name | name "(" sum, ... ")" | "(" sum ")"    clip (value, low, high)

Nothing of Python is evaluated: what is not in this table is an error with its column and the nearest valid name.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LONGEST = 500
"""Characters of an expression."""

DEEPEST = 40
"""Levels of parentheses, functions and signs inside one another."""

STEEPEST = 64
"""Size of an exponent."""

_TOKEN = re.compile(r"\s*(?:((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|([A-Za-z_][A-Za-z0-9_]*)|(\*\*|[-+*/(),])|(\S))")
_ARGUMENTS = {
    **dict.fromkeys(("exp", "ln", "log", "sqrt", "abs", "sigmoid", "tanh", "step"), (1, 1)),
    **dict.fromkeys(("min", "max"), (2, 16)),
    "clip": (3, 3),
}
FUNCTIONS = frozenset(_ARGUMENTS)


class ExpressionError(Exception):
    """What is wrong with an expression, and what to do; `column` counts characters from 1."""

    def __init__(self, column: int, message: str, suggestion: str) -> None:
        super().__init__(f"column {column}: {message} {suggestion}".strip())
        self.column = column
        self.message = message
        self.suggestion = suggestion


@dataclass(frozen=True, slots=True)
class Expression:
    """A read expression: its text, the names it uses, and how to work it out."""

    text: str
    names: frozenset[str]
    _value: Callable[[Mapping[str, Any]], Any]

    def value(self, names: Mapping[str, Any]) -> Any:
        """The expression with numbers or equally long columns for its names. Where it has no value it is NaN or
        infinite, for the caller to refuse. Raises `ExpressionError` for an exponent beyond `STEEPEST`.
        """
        import numpy as np

        with np.errstate(all="ignore"):
            return self._value(names)


def parse(text: str, names: Iterable[str]) -> Expression:
    """Reads `text`, in which `names` may stand. Raises `ExpressionError`."""
    if len(text) > LONGEST:
        raise ExpressionError(
            LONGEST + 1, f"the expression has {len(text)} characters.", f"Write it in at most {LONGEST}."
        )
    return _Parser(text, frozenset(names)).read()


class _Parser:
    def __init__(self, text: str, names: frozenset[str]) -> None:
        self.text = text
        self.valid = names
        self.used: set[str] = set()
        self.depth = 0
        self.tokens = [(match.lastindex or 0, match[match.lastindex or 0], match.start(match.lastindex or 0) + 1)
                       for match in _TOKEN.finditer(text.rstrip())]  # fmt: skip
        self.tokens.append((0, "", len(text.rstrip()) + 1))
        self.at = 0
        for kind, token, column in self.tokens:
            if kind == 4:
                hint = "Powers are written **." if token == "^" else "Use + - * / ** ( ) , numbers and names."
                raise ExpressionError(column, f"{token!r} has no meaning here.", hint)

    @property
    def now(self) -> tuple[int, str, int]:
        return self.tokens[self.at]

    def read(self) -> Expression:
        value = self.sum()
        _, token, column = self.now
        if token:
            raise ExpressionError(column, f"expected an operator, got {token!r}.", _MISSING.get(token, _TIMES))
        return Expression(self.text, frozenset(self.used), value)

    def takes(self, *symbols: str) -> str | None:
        kind, token, _ = self.now
        if kind == 3 and token in symbols:
            self.at += 1
            return token
        return None

    def sum(self) -> Any:
        value = self.product()
        while symbol := self.takes("+", "-"):
            value = _both(symbol, value, self.product())
        return value

    def product(self) -> Any:
        value = self.unary()
        while symbol := self.takes("*", "/"):
            value = _both(symbol, value, self.unary())
        return value

    def unary(self) -> Any:
        self.depth += 1
        if self.depth > DEEPEST:
            raise ExpressionError(
                self.now[2], f"more than {DEEPEST} levels inside one another.", "Write it with fewer parentheses."
            )
        if self.takes("-"):
            inner = self.unary()
            value = lambda names: -inner(names)  # noqa: E731
        else:
            value = self.unary() if self.takes("+") else self.power()
        self.depth -= 1
        return value

    def power(self) -> Any:
        base = self.atom()
        column = self.now[2]
        if not self.takes("**"):
            return base
        exponent = self.unary()

        def value(names: Mapping[str, Any]) -> Any:
            import numpy as np

            size = exponent(names)
            if np.any(np.abs(size) > STEEPEST):
                raise ExpressionError(
                    column, f"an exponent of {float(np.max(np.abs(size))):g}.", f"Keep exponents within {STEEPEST}."
                )
            return np.power(np.asarray(base(names), dtype=np.float64), size)

        return value

    def atom(self) -> Any:
        kind, token, column = self.now
        if kind == 1:
            self.at += 1
            number = float(token)
            return lambda _: number
        if kind == 2:
            self.at += 1
            return self.call(token, column) if self.takes("(") else self.name(token, column)
        if self.takes("("):
            value = self.sum()
            self.close(column)
            return value
        what = f"got {token!r}" if token else "the expression ends"
        raise ExpressionError(column, f"expected a number, a name or a parenthesis, {what}.", "")

    def name(self, token: str, column: int) -> Any:
        if token not in self.valid:
            if token in FUNCTIONS:
                raise ExpressionError(column, f"{token!r} is a function.", f"Write {token}(...).")
            raise ExpressionError(column, f"there is no {token!r} here.", _nearest(token, self.valid))
        self.used.add(token)
        return lambda names: names[token]

    def call(self, token: str, column: int) -> Any:
        if token not in FUNCTIONS:
            if token in self.valid:
                raise ExpressionError(column, f"{token!r} is a number, not a function.", f"Write {token} * (...).")
            raise ExpressionError(column, f"there is no function {token!r}.", _nearest(token, FUNCTIONS))
        given = [self.sum()]
        while self.takes(","):
            given.append(self.sum())
        self.close(column)
        least, most = _ARGUMENTS[token]
        if not least <= len(given) <= most:
            takes = f"{least}" if least == most else f"{least} to {most}"
            raise ExpressionError(
                column, f"{token} takes {takes} values, got {len(given)}.", _USES.get(token, f"Write {token}(x).")
            )
        return lambda names: _call(token, [item(names) for item in given])

    def close(self, opened: int) -> None:
        _, token, column = self.now
        if not self.takes(")"):
            got = f"got {token!r}" if token else "the expression ends"
            raise ExpressionError(
                column, f"expected ) or an operator, {got}.", f"The parenthesis of column {opened} is open."
            )


_TIMES = "Write * to multiply."
_MISSING = {")": "It closes nothing.", ",": "Commas stand between a function's values."}
_USES = {"clip": "Write clip(x, low, high).", "min": "Write min(x, y).", "max": "Write max(x, y)."}


def _both(symbol: str, left: Any, right: Any) -> Any:
    import numpy as np

    apply = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}[symbol]
    return lambda names: apply(left(names), right(names))


def _call(name: str, values: list[Any]) -> Any:
    import numpy as np

    first = values[0]
    if name in ("min", "max"):
        for other in values[1:]:
            first = (np.minimum if name == "min" else np.maximum)(first, other)
        return first
    if name == "clip":
        return np.minimum(np.maximum(first, values[1]), values[2])
    if name == "sigmoid":
        return np.exp(-np.logaddexp(0.0, -first))
    if name == "step":
        return np.where(np.isnan(first), np.nan, np.where(np.asarray(first) >= 0, 1.0, 0.0))
    return {"exp": np.exp, "ln": np.log, "log": np.log, "sqrt": np.sqrt, "abs": np.abs, "tanh": np.tanh}[name](first)


def _nearest(token: str, valid: frozenset[str]) -> str:
    near = difflib.get_close_matches(token, sorted(valid | FUNCTIONS), 1, 0.5)
    return f"{f'Did you mean {near[0]!r}? ' if near else ''}Valid: {', '.join(sorted(valid))}."
