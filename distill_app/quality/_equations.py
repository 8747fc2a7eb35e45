"""Finds the equations written in a text and recomputes them exactly, with a small parser and no `eval`.

Understood: + - * / x × ÷ · and parentheses, `4(7)`, currency signs, thousands commas, decimals, %, chains such as
`16-3-4=9` and `a = b = c`, GSM8K marks `<<48/2=24>>`, LaTeX `\\times \\cdot \\div \\frac{a}{b}`. An equation counts
only where the numbers around the sign are all there is: algebra (`2s + 30 = 110`) and units in between (`10 miles *
5 = 50`) are passed over, as is a bare `12 = 12`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

_MARK = re.compile(r"<<([^<>\n]*)>>")
_FRAC = re.compile(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}")
_BULLET = re.compile(r"^\s*(?:[-*•+]\s+|\(?\d+[.)]\s+)(?=\S)")
_TIMES = re.compile(r"(?<=[\d)%])(\s*)[xX](\s*)(?=[\d(.])")
_EQUALS = re.compile(r"(?<![<>=!:≠≈])=(?!=)")
_TOKEN = re.compile(
    r"(?P<number>(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)"
    r"|(?P<math>[-+*/()%])|(?P<space>\s+)|(?P<word>[^\W\d]+|[\\^{}])|(?P<other>.)"
)
# What stands left of the arithmetic and belongs to it: a letter glued on (`x2`), the rest of a number or a time of
# day (`16,0000`, `6:48`), an operator in words (`60 students x 2/3`, `25% of 40 + 3`).
_TAKES_PART = re.compile(r"(?:[^\W\d]|\d[,.:]|[\\^{}]|\d%?\s+of\s+|\b(?:x|times|plus|minus)\s+)$", re.IGNORECASE)
_MIXED = re.compile(r"\d\s+and\s+(\d{1,9})\s*/\s*(\d{1,9})\b")
_SYMBOLS = str.maketrans(
    {"×": "*", "÷": "/", "·": "*", "∙": "*", "−": "-", "–": "-", "$": None, "£": None, "€": None, "\u00a0": " "}
)
_LONGEST_RUN = 64
_LONGEST_NUMBER = 30


@dataclass(frozen=True, slots=True)
class Equation:
    """`left = right` as found. `operands` are the numbers of the left side, `result` the value of the right."""

    text: str
    holds: bool
    operands: tuple[Fraction, ...]
    result: Fraction | None


def find(text: str) -> list[Equation]:
    """The equations of `text` in order; one written twice on a line (GSM8K's mark and its text) counts once."""
    found: list[Equation] = []
    for line in text.splitlines():
        seen: set[str] = set()
        for part in (_MARK.sub("", line), *_MARK.findall(line)):
            for equation in _in_line(part):
                if equation.text not in seen:
                    seen.add(equation.text)
                    found.append(equation)
    return found


def numbers(text: str) -> list[tuple[Fraction, bool]]:
    """The numbers written in digits in `text`, each with whether a percent sign (or the word) follows it."""
    plain = _plain(text)
    values = []
    for match in _TOKEN.finditer(plain):
        if match["number"] and len(match["number"]) <= _LONGEST_NUMBER:
            percent = re.match(r"\s*(%|percent)", plain[match.end() :]) is not None
            values.append((_value(match["number"]), percent))
    return values


def _plain(text: str) -> str:
    text = text.replace("\\$", "").replace("\\%", "%").replace("\\times", "*").replace("\\cdot", "*")
    text = _FRAC.sub(r"((\1)/(\2))", text.replace("\\div", "/"))
    return text.translate(_SYMBOLS)


def _in_line(line: str) -> Iterator[Equation]:
    line = _BULLET.sub("", _plain(line)).replace("**", "")
    line = _TIMES.sub(r"\1*\2", line)
    segments = _EQUALS.split(line)
    for left_text, right_text in pairwise(segments):
        left, right = _last_run(left_text), _first_run(right_text)
        if left and right and (_has_operator(left) or _has_operator(right)):
            equation = _check(left, right)
            if equation is not None:
                yield equation


def _tokens(text: str) -> list[tuple[str, str]]:
    return [(match.lastgroup or "", match.group()) for match in _TOKEN.finditer(text)]


def _last_run(text: str) -> list[str] | None:
    """The arithmetic that ends `text`; None where it ends in a word, or where a word takes part in it."""
    run: list[str] = []
    depth = 0
    tokens = _tokens(text)
    start = len(tokens)
    for place in range(len(tokens) - 1, -1, -1):
        kind, token = tokens[place]
        if kind in ("word", "other") or (token == "(" and depth == 0):
            break
        depth += (token == ")") - (token == "(")
        if kind != "space":
            run.insert(0, token)
            start = place
            if len(run) > _LONGEST_RUN:
                return None
    before = "".join(token for _, token in tokens[:start])
    if not run or depth > 0 or run[0] in "+*/%)" or _TAKES_PART.search(before):
        return None
    for mixed in _MIXED.finditer(text):  # 1 and 1/4
        if mixed.start(1) == len(before) and int(mixed[1]) < int(mixed[2]):
            return None
    if run[0] == "-" and before.strip()[-1:].isalnum():
        return None
    return run


def _first_run(text: str) -> list[str] | None:
    """The arithmetic that begins `text`, without a dash or a unit's slash at its end; None where algebra goes on."""
    run: list[str] = []
    depth = 0
    rest = ""
    for match in _TOKEN.finditer(text):
        token = match.group()
        if match.lastgroup in ("word", "other") or (token == ")" and depth == 0):
            rest = text[match.start() :]
            glued = match.lastgroup == "word" and match.start() > 0 and not text[match.start() - 1].isspace()
            if glued and (token in "\\^" or len(token) == 1):
                return None
            break
        depth += (token == "(") - (token == ")")
        if match.lastgroup != "space":
            run.append(token)
            if len(run) > _LONGEST_RUN:
                return None
    if rest and run and run[-1] in "-/(":
        run.pop()
    if not run or run[-1] in "+-*/(":
        return None
    return run


def _has_operator(run: list[str]) -> bool:
    return any(token in "+-*/" for token in run[1:])


def _check(left: list[str], right: list[str]) -> Equation | None:
    text = f"{''.join(left)}={''.join(right)}"
    if any(len(token) > _LONGEST_NUMBER for token in left + right):
        return None
    operands = tuple(_value(token) for token in left if token[0].isdigit() or token[0] == ".")
    holds, result = False, None
    try:
        # "100 - 40 = 60%" and "20% * 50 = 10" are both common: a percent sign may be read either way.
        for hundredth in (Fraction(1, 100), Fraction(1)):
            a, b = _Parser(left, hundredth).value(), _Parser(right, hundredth).value()
            result = b
            holds = holds or abs(a - b) <= max(_rounding(right, b, hundredth), _rounding(left, a, hundredth))
    except ZeroDivisionError:
        return Equation(text, False, operands, None)
    except SyntaxError:
        return None
    return Equation(text, holds, operands, result)


def _rounding(run: list[str], value: Fraction, hundredth: Fraction) -> Fraction:
    """Half a unit of the last decimal of a lone decimal number, and what a double cannot show; else 0."""
    lone = [token for token in run if token != "%"]
    if len(lone) != 1 or "." not in lone[0]:
        return Fraction(0)
    half = Fraction(1, 2 * 10 ** len(lone[0].partition(".")[2]))
    return max(half * (hundredth if "%" in run else 1), abs(value) / 10**12)


def _value(token: str) -> Fraction:
    return Fraction(token.replace(",", ""))


class _Parser:
    """Recursive descent over tokens: sum, product, sign, then number or parentheses, each with % after it."""

    def __init__(self, tokens: list[str], hundredth: Fraction) -> None:
        self.tokens = tokens
        self.place = 0
        self.hundredth = hundredth

    def value(self) -> Fraction:
        """The value of all tokens. Raises `SyntaxError` where they are no arithmetic."""
        value = self._sum()
        if self.place != len(self.tokens):
            raise SyntaxError("tokens are left over")
        return value

    def _next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def _take(self) -> str:
        token = self._next()
        self.place += 1
        return token

    def _sum(self) -> Fraction:
        value = self._product()
        while self._next() in ("+", "-"):
            value = value + self._product() if self._take() == "+" else value - self._product()
        return value

    def _product(self) -> Fraction:
        value = self._signed()
        while self._next() in ("*", "/", "("):
            operator = "*" if self._next() == "(" else self._take()
            value = value * self._signed() if operator == "*" else value / self._signed()
        return value

    def _signed(self) -> Fraction:
        if self._next() == "-":
            self._take()
            return -self._signed()
        token = self._take()
        if token == "(":
            value = self._sum()
            if self._take() != ")":
                raise SyntaxError("a parenthesis is not closed")
        elif token and (token[0].isdigit() or token[0] == "."):
            value = _value(token)
        else:
            raise SyntaxError(f"a number was expected, not {token!r}")
        while self._next() == "%":
            self._take()
            value *= self.hundredth
        return value
