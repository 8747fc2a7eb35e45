"""Boxes: the `\\boxed{...}` that a text ends with, and the ones listed with it."""

from __future__ import annotations

import re

from distill_app.evaluation.numbers import tidy

_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|(?<!\\)[{}]")
_BETWEEN = re.compile(r"(?:[\s,;.$&]|\\[()\[\],;: ]|\\quad|\\qquad|\\text\{\s*(?:and|or)\s*\}|\b(?:and|or)\b)*")
_LOOSE = re.compile(r"\W*(?:text\W+)?(?:\w+\W+){0,4}(?:and|or)\W*")


def last_boxed(text: str, several: bool = False) -> str | None:
    """The content of the last non-empty `\\boxed{...}`, joined by ", " with the boxes it is listed with.

    Boxes with only "and", "or" or commas between them make one list, so that naming several answers where one is
    asked for is not a way to be right. `several`: up to four words may stand before the "and", and nothing at all
    between two boxes. `\\boxed 5` has no braces: its one number or letter counts.
    """
    if "box" not in text:
        return None
    boxes = [(start, end, inner) for start, end, inner in _boxes(text) if tidy(inner)]
    if not boxes:
        naked = re.findall(r"\\boxed\s+(-?\d+(?:\.\d+)?|[A-Za-z](?![A-Za-z]))", text)
        return naked[-1] if naked else None
    start, _, inner = boxes[-1]
    parts = [inner]
    for earlier_start, earlier_end, earlier in reversed(boxes[:-1]):
        gap = text[earlier_end:start]
        if len(gap) > 100:
            break
        listed = _BETWEEN.fullmatch(gap) and (re.search(r"and|or|,", gap) or (several and not gap.strip()))
        if not listed and not (several and _LOOSE.fullmatch(gap)):
            break
        parts.append(earlier)
        start = earlier_start
    return ", ".join(part.strip() for part in reversed(parts))


def _boxes(text: str) -> list[tuple[int, int, str]]:
    """Start, end and content of every `\\boxed{...}` or `\\fbox{...}` that is closed and in no other box, in order."""
    found: list[tuple[int, int, str]] = []
    opened: list[re.Match[str]] = []
    for token in _BRACE.finditer(text):
        if token.group() != "}":
            opened.append(token)
        elif opened:
            start = opened.pop()
            if start.group() != "{":
                inner = text[start.end() : token.start()]
                while found and found[-1][0] > start.start():
                    nested = found.pop()
                    if inner.strip() == text[nested[0] : nested[1]]:
                        inner = nested[2]
                found.append((start.start(), token.end(), inner))
    return found
