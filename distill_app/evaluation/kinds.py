"""What is asked for and how an answer of each kind is judged: `auto`, `number`, `integer`, `choice`, `yes_no`.

- `auto`: the gold says it. One capital letter is a choice, one of yes, no, true, false a yes or no; else the policy of
  `equivalence`. Where the answer is a single letter and the gold is the option with its text ("C Cecile"), letters are
  compared.
- `number`: as `auto`, and a tolerance (absolute) takes numbers, and the numbers of a list or tuple, that are near.
- `integer`: AIME's: digits, with a sign perhaps; `073` is `73`, and `73.0` or `146/2` is no integer. A left side
  (`m + n = 73`), thousands commas, degrees and a unit do not matter.
- `choice`: the letter, in either case. `yes_no`: yes is true, no is false.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from distill_app.evaluation import choices
from distill_app.evaluation.answers import Extracted, extract, gold_answer, kind_of
from distill_app.evaluation.equivalence import quick
from distill_app.evaluation.numbers import as_number, as_words, tidy

KINDS = ("auto", "number", "integer", "choice", "yes_no")


class Answerable(NamedTuple):
    """A text to grade. `gold` is the answer asked for, `kind` one of `KINDS`, `tolerance` absolute (for numbers)."""

    id: str
    text: str
    gold: str
    kind: str = "auto"
    tolerance: float | None = None


class Asked(NamedTuple):
    """An `Answerable` as it is graded: the answer in its gold, and its kind settled."""

    gold: str
    kind: str
    tolerance: float | None


def answerables(rows: Iterable[Answerable | tuple[str, str, str]]) -> list[Answerable]:
    """The rows, each as an `Answerable`; a plain (id, text, gold) is one of kind `auto`."""
    return [row if isinstance(row, Answerable) else Answerable(*row) for row in rows]


def asked(row: Answerable) -> Asked:
    """What `row` asks for. The text is looked at only to see whether it is an option's letter."""
    if row.kind == "auto" and row.gold.isdecimal():
        return Asked(row.gold, "auto", row.tolerance)
    gold = gold_answer(row.gold)
    kind = kind_of(gold, row.kind)
    if kind == "auto" and len(row.text) < 200 and (letter := _option(row.gold, row.text)):
        return Asked(letter, "choice", None)
    return Asked(gold, kind, row.tolerance if kind in ("number", "auto") else None)


def answer_of(row: Answerable, question: Asked) -> Extracted:
    """The final answer of the row's text, for the kind that is asked for.

    A text that is its gold, character for character, is found by the rule `verbatim`, whatever it looks like.
    """
    if row.text.strip() == row.gold.strip() and row.gold.strip():
        return Extracted(question.gold, "verbatim")
    return extract(row.text, question.gold, question.kind)


def settle(answer: str, question: Asked) -> bool | None:
    """Whether `answer` is right; None where that takes algebra (`number` and `auto` only)."""
    if question.kind == "choice":
        return (letter := choices.as_letter(answer)) is not None and letter == choices.as_letter(question.gold)
    if question.kind == "yes_no":
        return (word := choices.as_yes_no(answer)) is not None and word == choices.as_yes_no(question.gold)
    if question.kind == "integer":
        return (value := as_integer(answer)) is not None and value == as_integer(question.gold)
    return quick(answer, question.gold, question.tolerance)


def as_integer(text: str) -> int | None:
    """The integer that `text` is written as, behind its last "=" if it has one; None for `73.0` and `146/2`."""
    text = tidy(tidy(text).rsplit("=", 1)[-1])
    number = as_number(text)
    if number is None or number.percent or re.search(r"\d\.|\.\d|10\s*\^|\d[eE]\d", text):
        return None
    return int(number.value)


def gold_fault(gold: str, kind: str) -> str | None:
    """What is wrong with a gold answer of this kind, as far as that takes no algebra: "is empty", ...; else None."""
    if not gold.strip():
        return "is empty"
    faults = {
        "choice": (choices.as_letter, "is no letter"),
        "yes_no": (choices.as_yes_no, "is neither yes nor no"),
        "integer": (as_integer, "is no plain integer"),
    }
    if kind in faults:
        reader, fault = faults[kind]
        return fault if reader(gold_answer(gold)) is None else None
    return None


def needs_no_algebra(gold: str) -> bool:
    """Whether a gold of kind `auto` or `number` is a plain number, plain words, a letter, or a yes or no."""
    gold = gold_answer(gold)
    return as_number(gold) is not None or as_words(gold) is not None or kind_of(gold, "auto") != "auto"


def _option(gold: str, text: str) -> str | None:
    """The letter of a gold that is an option with its text, where the answer is an option too."""
    if choices.as_letter(text) is None or not re.search(r"[^\W\d_]{3,}", gold) or re.search(r"[\\$=^]", gold):
        return None
    return extract(gold, "A", "choice").answer
