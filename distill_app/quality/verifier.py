"""A program's check of a trace: its answer, its arithmetic, its use of the question's numbers, its form.

Our choice, not a paper's: a weighted mean of four parts, each from 0 to 1. Of the pool's traces many share a score
exactly (every right and tidy one has nearly the same), so what ranks by it must break ties on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from distill_app.errors import StageError
from distill_app.quality import _equations
from distill_app.records import Quality, Trace, Verdict
from distill_app.thinking import split

VERSION = 2
MODEL = False

COMMON = frozenset(Fraction(number) for number in (1, 2, 7, 10, 12, 24, 30, 52, 60, 100, 365, 1000))
"""Numbers anyone may bring to a problem (halves, days, months, hours, percent): never held against a trace."""

_WORDS = {
    "two": 2, "twice": 2, "double": 2, "doubled": 2, "half": 2, "pair": 2, "three": 3, "thrice": 3, "triple": 3,
    "third": 3, "thirds": 3, "four": 4, "fourth": 4, "quarter": 4, "quarters": 4, "five": 5, "fifth": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "dozen": 12, "fifteen": 15,
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "hundred": 100, "thousand": 1000,
}  # fmt: skip
_ANSWER_LINE = re.compile(
    r"^\W{0,4}(?:(?:the\s+)?(?:final\s+)?answer\W{0,4}[:=]|the (?:final )?answer is\b|a:|####)", re.I
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    answer: float
    steps: float
    coherence: float
    format: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    weights: Weights


def score(rows: Sequence[tuple[Trace, Verdict]], options: Options) -> list[Quality]:
    """A score in [0, 1] for each trace, in order, with its parts.

    `schemas/quality/verifier.json` says what each part is. Raises `StageError` where all weights are 0.
    """
    weights = options.weights
    total = weights.answer + weights.steps + weights.coherence + weights.format
    if total <= 0:
        raise StageError("All weights of the verifier are 0.", "Give at least one part a weight above 0.")
    scores = []
    for trace, verdict in rows:
        if trace.id != verdict.id:
            raise ValueError(f"the verdict of {verdict.id!r} came with the trace {trace.id!r}")
        equations = _equations.find(trace.text)
        answer = float(verdict.verdict in ("correct", "ungraded"))
        held = steps(equations)
        agreement = coherence(trace.question, equations)
        form = form_of(trace.text)
        quality = (
            weights.answer * answer + weights.steps * held + weights.coherence * agreement + weights.format * form
        ) / total
        parts = (("answer", answer), ("steps", held), ("coherence", agreement), ("format", form))
        scores.append(Quality(trace.id, quality, parts))
    return scores


def steps(equations: Sequence[_equations.Equation]) -> float:
    """Share of the equations that hold; 0 where there is none."""
    return sum(equation.holds for equation in equations) / len(equations) if equations else 0.0


def coherence(question: str, equations: Sequence[_equations.Equation]) -> float:
    """Harmonic mean of the share of starting numbers that the question gives and of its numbers that are used.

    Starting numbers are the operands that no earlier equation gave as its result. `COMMON` numbers are left out of
    both shares where they are not shared. A share of nothing is 1. Without an equation it is 0.
    """
    if not equations:
        return 0.0
    given = _given(question)
    results: set[Fraction] = set()
    starting: set[Fraction] = set()
    operands: set[Fraction] = set()
    for equation in equations:
        starting.update(value for value in equation.operands if value not in results)
        operands.update(equation.operands)
        if equation.result is not None:
            results.add(equation.result)
    allowed = {form for forms in given for form in forms}
    judged = {value for value in starting if value in allowed or value not in COMMON}
    precision = sum(value in allowed for value in judged) / len(judged) if judged else 1.0
    needed = [forms for forms in given if forms & operands or not forms <= COMMON]
    recall = sum(bool(forms & operands) for forms in needed) / len(needed) if needed else 1.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _given(question: str) -> set[frozenset[Fraction]]:
    """The question's numbers; a percentage may be used as written or as its hundredth."""
    given = set()
    for value, percent in _equations.numbers(question):
        given.add(frozenset({value, value / 100}) if percent else frozenset({value}))
    for word in re.findall(r"[a-z]+", question.casefold()):
        if word in _WORDS:
            forms = {Fraction(_WORDS[word])}
            if word in ("half", "third", "thirds", "quarter", "quarters", "fourth", "fifth"):
                forms.add(Fraction(1, _WORDS[word]))
            given.add(frozenset(forms))
    return given


def form_of(text: str) -> float:
    """1 for one final-answer line and nothing after it, halved for each of: several of them, text after the last.

    A think block is not looked at. 0 where there is no such line: one that begins with `Answer:`, `The answer is`, `A:`
    or `####`, or holds `\\boxed{...}`.
    """
    lines = [line for line in split(text).answer.splitlines() if line.strip()]
    places = [place for place, line in enumerate(lines) if _ANSWER_LINE.match(line) or "\\boxed{" in line]
    if not places:
        return 0.0
    faults = (len(places) > 1) + (places[-1] != len(lines) - 1)
    return (1.0, 0.5, 0.25)[faults]
