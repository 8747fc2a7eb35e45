"""What of a model's answer is its answer: after the think block, and as a list or a phrase."""

from __future__ import annotations

import json
import re

from distill_app.thinking import split

_LIST = re.compile(r"\[\s*[\"\]]")
_FENCE = re.compile(r"```[a-zA-Z]*\s*\n(.*?)```", re.DOTALL)


def after_think(text: str) -> str:
    """The text behind the last think block, without white space at its ends: all of it where there is no block,
    nothing where a block is never closed (a trace that was cut while thinking)."""
    return split(text).answer.strip()


def string_list(text: str) -> list[str] | None:
    """The one JSON list of strings in an answer; words around it and a code fence are passed over.

    None where there is no such list, or two that differ: then there is no telling which was meant.
    """
    answer = after_think(text)
    fenced = _FENCE.search(answer)
    lists = _lists(fenced.group(1) if fenced else answer)
    if not lists or any(found != lists[0] for found in lists):
        return None
    return lists[0]


def _lists(text: str) -> list[list[str]]:
    decoder = json.JSONDecoder()
    found: list[list[str]] = []
    start = _LIST.search(text)
    while start is not None:
        end = start.start() + 1
        try:
            value, end = decoder.raw_decode(text, start.start())
            if all(isinstance(item, str) for item in value):
                found.append(value)
        except json.JSONDecodeError:
            pass  # brackets of prose: the list may come later
        start = _LIST.search(text, end)
    return found


def phrase(text: str, longest: int = 200) -> str | None:
    """The first line of an answer that says something, without list marks, quotes and a final full stop.

    None where there is none, or where it is longer than `longest` characters: that is no phrase but a talk. Arrows,
    which join the names of a chain, become the word "to".
    """
    for line in after_think(text).splitlines():
        tidy = re.sub(r"^\s*(?:[-*•#>]+|\d+[.)])\s+", "", line)
        tidy = re.sub(r"\s*(?:->|→)\s*", " to ", tidy)
        tidy = " ".join("".join(c if c.isprintable() else " " for c in tidy).split()).strip("\"'`*“” ").rstrip(".")
        if tidy:
            return tidy if len(tidy) <= longest else None
    return None
