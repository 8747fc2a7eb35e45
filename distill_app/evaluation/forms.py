"""Notations that algebra does not know: numbers with a base, ratios, congruences, times of day."""

from __future__ import annotations

import re

from distill_app.evaluation import reading
from distill_app.evaluation.numbers import WRAPPED

_CLOCK = re.compile(r"(\d{1,2})(?:(?::([0-5]\d))\s*(?:([ap])\.? ?m\.?)?|\s*([ap])\.? ?m\.?)", re.I)
_CONGRUENT = re.compile(r"(.*?)\\equiv\s*(-?\d+)\s*\(?\\[pb]?mod\s*\{?\s*(\d+)\s*\}?\)?")
_BASE = re.compile(r"(\d[0-9A-Za-z]*)_\{?(\d+)\}?")
_RATIO = re.compile(r"[^:=,\s()]+(?:\s*:\s*[^:=,\s()]+){2,}")


def same_form(gold: str, answer: str) -> bool | None:
    """Whether two texts in canonical form are the same; None where they are not written in one of these forms.

    - `52_8` and `52_9` differ; where one side leaves the base out, the digits are compared.
    - `3:4:5` is `6:8:10`; a ratio of two is a fraction, and algebra's.
    - `x \\equiv 3 \\pmod 7` is `x \\equiv 10 \\pmod 7`; against a plain number, the residue as written counts.
    - `4:30 p.m.` is `4:30`, and is not `4:30 a.m.`.
    """
    left, right = _BASE.fullmatch(gold.replace(" ", "")), _BASE.fullmatch(answer.replace(" ", ""))
    if left and right:
        return left[1].lower() == right[1].lower() and left[2] == right[2]
    if left or right:
        one, other = (left[1], answer) if left else (gold, right[1] if right else "")
        return one.lower().replace(" ", "") == other.lower().replace(" ", "")
    if _RATIO.fullmatch(gold) and _RATIO.fullmatch(answer):
        return _same_ratio(gold.split(":"), answer.split(":"))
    if (left := _CONGRUENT.fullmatch(gold)) and (right := _CONGRUENT.fullmatch(answer)):
        same_left = left[1].replace(" ", "") == right[1].replace(" ", "")
        return same_left and left[3] == right[3] and (int(left[2]) - int(right[2])) % max(1, int(left[3])) == 0
    if left or (right := _CONGRUENT.fullmatch(answer)):
        return (left[2] if left else gold.strip()) == (right[2] if right else answer.strip())
    one_time, other_time = _CLOCK.fullmatch(_plain(gold)), _CLOCK.fullmatch(_plain(answer))
    if one_time and other_time:
        halves = {half.lower() for time in (one_time, other_time) if (half := time[3] or time[4])}
        same_time = (int(one_time[1]), one_time[2] or "00") == (int(other_time[1]), other_time[2] or "00")
        return same_time and len(halves) < 2
    return None


def has_form(text: str) -> bool:
    """Whether `text` is written in one of these forms."""
    return same_form(text, text) is True


def _plain(text: str) -> str:
    return WRAPPED.sub(r"\1", text).strip()


def _same_ratio(left: list[str], right: list[str]) -> bool:
    return len(left) == len(right) and all(
        reading.equal(f"({a})\\cdot ({right[0]})", f"({b})\\cdot ({left[0]})") for a, b in zip(left, right, strict=True)
    )
