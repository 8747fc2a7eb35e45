"""Two questions held against each other: how alike their wording is, and whether they speak of the same numbers.

All of it our choice: the papers check a new question by its answer alone.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from decimal import Decimal

_NUMBER = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+")
_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_SAID = {
    **{name: Decimal(value) for value, name in enumerate(_NAMES)},
    "dozen": Decimal(12),
    "half": Decimal("0.5"),
    "twice": Decimal(2),
}


def words(text: str) -> list[str]:
    """The words of a text, letter case and punctuation aside."""
    return re.findall(r"\w+", text.casefold())


def similarity(one: str, other: str) -> float:
    """How alike two texts are, from 0 to 1: twice the words they share in the same order, over the words of both."""
    return difflib.SequenceMatcher(None, words(one), words(other), autojunk=False).ratio()


def numbers(text: str) -> Counter[Decimal]:
    """The numbers written in digits, each as often as it stands there; 1,000 is one number, and the same as 1000.0."""
    return Counter(Decimal(found.replace(",", "")) for found in _NUMBER.findall(text))


def states(question: str, answer: str) -> bool:
    """Whether the question gives this: every number of the answer, in digits or as a small number word, or, where the
    answer holds none, its words in a row."""
    wanted = numbers(answer)
    if wanted:
        given = set(numbers(question)) | {_SAID[word] for word in words(question) if word in _SAID}
        return all(number in given for number in wanted)
    part, whole = words(answer), words(question)
    return bool(part) and any(whole[at : at + len(part)] == part for at in range(len(whole)))
