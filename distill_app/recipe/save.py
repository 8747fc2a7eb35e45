"""Writing a resolved recipe as YAML: the same data gives the same text, and the text reads back as the data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./%+-]*(:[A-Za-z0-9_./%+-]+)*|[0-9]+(\.[0-9]+)?%")
_OTHER_MEANING = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


def dump(data: Mapping[str, Any]) -> str:
    """`data` (maps, lists, text, finite numbers, booleans, None) as block YAML, keys in the order given."""
    return "".join(f"{line}\n" for line in _lines(data))


def flow(value: Any) -> str:
    """`value` as YAML on one line: `{name: dmc, top: 12.5%}`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _text(value) if isinstance(value, str) else repr(value)


def _lines(value: Any) -> list[str]:
    if not value or not isinstance(value, Mapping | list | tuple):
        return [flow(value)]
    lines = []
    if isinstance(value, Mapping):
        for key, item in value.items():
            below = _lines(item)
            if item and isinstance(item, Mapping | list | tuple):
                lines += [f"{_text(key)}:", *(f"  {line}" for line in below)]
            else:
                lines.append(f"{_text(key)}: {below[0]}")
        return lines
    for item in value:
        first, *rest = _lines(item)
        lines += [f"- {first}", *(f"  {line}" for line in rest)]
    return lines


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _OTHER_MEANING:
        return text
    # JSON's quoting is YAML's; YAML wants line breaks of its own and unprintable characters escaped as well.
    return "".join(
        character if character.isprintable() else _escape(character)
        for character in json.dumps(text, ensure_ascii=False)
    )


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
