"""Reads the one JSON object that a teacher was told to reply with, strictly: what is not exactly that is refused.

Backends that hold a reply to a JSON Schema need no reading between the lines either, and the others must not get one:
a guess would put a teacher's small talk into the pool.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, NoReturn

from distill_app import thinking
from distill_app.augmentations import Refused

Kind = Literal["text", "string", "answer", "truth"]
"""Of a field: text that says something, text that may be empty, text or a number (as text), true or false."""

_FENCE = re.compile(r"```(?:json)?[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_TYPES = {"text": "string", "string": "string", "answer": "string", "truth": "boolean"}
_EATEN = re.compile(
    r"[\x00-\x08\x0b-\x1f]"
    r"|\t(?=(?:imes|ext[a-z]*|heta|an|anh|o|op|au|frac|riangle[a-z]*|ilde|binom|herefore)(?![a-z]))"
    r"|\n(?=(?:eq|e|u|abla|ot|otin|eg|mid|parallel)(?![a-z]))"
)
"""What JSON makes of a LaTeX command whose backslash is not doubled: \\frac a form feed and "rac", \\neq a line break
and "eq". Other control characters have no business in a question."""
_SHOWN = {"\x08": "\\b", "\x0c": "\\f", "\r": "\\r", "\t": "\\t", "\n": "\\n"}


class _Number(str):
    """A number as it was written."""


def schema(fields: Mapping[str, Kind]) -> str:
    """JSON Schema, as text, of an object with exactly these fields, in this order.

    Only keywords that every grammar engine and server holds to: no lengths, no patterns.
    """
    properties = {name: {"type": _TYPES[kind]} for name, kind in fields.items()}
    spec = {"type": "object", "properties": properties, "required": list(fields), "additionalProperties": False}
    return json.dumps(spec)


def read(text: str, fields: Mapping[str, Kind]) -> dict[str, Any]:
    """The fields of the object in `text`: strings without white space at their ends, or (`truth`) booleans.

    Read is, after the think block, a JSON object with these fields and no others, alone or in one code fence. Raises
    `Refused` for anything else, for a field that is empty, and for text that JSON's escapes have damaged.
    """
    thought = thinking.split(text)
    if thought.state == "unclosed":
        raise _unreadable("the think block never ends")
    body = thought.answer.strip()
    fenced = _FENCE.fullmatch(body)
    try:
        value = json.loads(
            fenced[1] if fenced else body,
            object_pairs_hook=_once,
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError) as error:
        raise _unreadable(str(error)) from None
    if not isinstance(value, dict):
        raise _unreadable("it is JSON, but no object")
    lacking, strange = [name for name in fields if name not in value], [name for name in value if name not in fields]
    if lacking or strange:
        raise _unreadable(f"it lacks the field {lacking[0]!r}" if lacking else f"it has a field {strange[0]!r} besides")
    return {name: _field(name, value[name], kind) for name, kind in fields.items()}


def _field(name: str, value: Any, kind: Kind) -> Any:
    if kind == "truth":
        if not isinstance(value, bool):
            raise _unreadable(f"{name!r} is neither true nor false")
        return value
    if not isinstance(value, str) or (isinstance(value, _Number) and kind != "answer"):
        raise _unreadable(f"{name!r} is no text")
    text = str(value).strip()
    if not text and kind != "string":
        raise Refused("empty", f"{name!r} is empty")
    eaten = _EATEN.search(text)
    if eaten:
        shown = _SHOWN.get(eaten[0], repr(eaten[0])[1:-1])
        rest = re.match("[a-z]*", text[eaten.end() :])
        raise Refused(
            "damaged",
            f"{name!r} holds {shown}{rest[0] if rest else ''} with a single backslash, which JSON reads as a control"
            " character",
        )
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise Refused("damaged", f"{name!r} holds half a character (a lone surrogate)")
    return text


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field stands there twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _unreadable(detail: str) -> Refused:
    return Refused("unreadable", f"the reply is not the JSON object asked for: {detail}")
