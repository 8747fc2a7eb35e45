"""What is printed: text that others wrote (recipes, models, servers, data) cannot steer the terminal it is shown on.

An escape sequence in a recipe's name or a model's answer could rewrite what stands on the screen, set the window's
title, or answer for the person. Such characters are shown as what they are: `\\x1b`.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import Any, TextIO

_HARMLESS = frozenset("\n\t\u200c\u200d")
"""Line feed and tab; and what joins letters, or keeps them apart, in some scripts and in emoji."""

_STEERING = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Unicode's control and format characters (those that turn the direction of writing among them), halves of
characters, and its own line breaks."""


def printable(text: str) -> str:
    """`text` with every character that could steer a terminal written out as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) if _steers(character) else character for character in text)


def line(text: str) -> str:
    """`printable` text that stays on one line: line feeds and tabs written out too."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def tell(text: object = "", *, file: TextIO | None = None, end: str = "\n", flush: bool = False) -> None:
    """Print `text`, made printable, on standard output or `file`."""
    print(printable(str(text)), file=file or sys.stdout, end=end, flush=flush)


def tell_json(value: Any, *, indent: int | None = 2, flush: bool = False) -> None:
    """Print `value` as JSON; what could steer a terminal is an escape in it, which reads back as the same text."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    print("".join(_json_escaped(c) if _steers(c) else c for c in text), flush=flush)


def _steers(character: str) -> bool:
    return character not in _HARMLESS and unicodedata.category(character) in _STEERING


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escaped(character: str) -> str:
    return json.dumps(character)[1:-1]
