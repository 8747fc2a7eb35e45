"""How the worked teacher writes: the same lines of arithmetic in three styles of our own wording."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Line:
    """A step in exact numbers. A mistaken step's `result` need not be what its operation gives."""

    left: Fraction
    operator: str
    right: Fraction
    result: Fraction
    label: str


def compute(left: Fraction, operator: str, right: Fraction) -> Fraction:
    """`left operator right`, exactly; `right` must not be 0 for a division."""
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    return left * right if operator == "*" else left / right


def number(value: Fraction) -> str:
    """The number as it is written: no decimals where it is whole, else at most two."""
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.2f}".rstrip("0").rstrip(".")


def equation(line: Line) -> str:
    """`3 * 5 = 15`"""
    return f"{number(line.left)} {line.operator} {number(line.right)} = {number(line.result)}"


def clean(rng: random.Random, lines: Sequence[Line]) -> str:  # noqa: ARG001
    """An equation a line, then the answer line."""
    return "\n".join([*map(equation, lines), _answer(lines)])


def verbose(rng: random.Random, lines: Sequence[Line]) -> str:
    """A sentence for each step, with what the step finds, then the answer line."""
    first = ("First we find the {}: {}.", "We start with the {}: {}.", "To begin with, we need the {}: {}.")
    later = ("Next comes the {}: {}.", "From this we get the {}: {}.", "Now we can work out the {}: {}.")
    sentences = [
        rng.choice(first if index == 0 else later).format(line.label, equation(line))
        for index, line in enumerate(lines)
    ]
    return "\n".join([*sentences, _answer(lines)])


def chatty(rng: random.Random, lines: Sequence[Line]) -> str:
    """The steps between greetings, asides and self-praise; a closing sentence follows the answer line."""
    hello = (
        "Oh, what a lovely question! I really enjoy puzzles like this one.",
        "Hi there! Thanks so much for asking, let me think about it out loud.",
        "Great, a riddle! Give me a moment to warm up my brain.",
    )
    aside = (
        "Easy enough so far, and I must say I am on a roll.",
        "I always liked this kind of sum, ever since school.",
        "Let me take a breath here, as haste makes waste.",
    )
    bye = (
        "That was fun! Do come back with more of these.",
        "I am quite proud of how that went, hope it helps!",
        "There you go! Have a wonderful day and keep on asking.",
    )
    text = [rng.choice(hello)]
    for line in lines:
        text += [f"So, for the {line.label} I write {equation(line)}.", rng.choice(aside)]
    return "\n".join([*text, _answer(lines), rng.choice(bye)])


def _answer(lines: Sequence[Line]) -> str:
    return f"Answer: {number(lines[-1].result)}"


STYLES: dict[str, Callable[[random.Random, Sequence[Line]], str]] = {
    "clean": clean,
    "verbose": verbose,
    "chatty": chatty,
}
