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
    return text.translate({ord(character): _escaped(character) for character in _steering(text)})


def line(text: str) -> str:
    """`printable` text that stays on one line: line feeds and tabs written out too."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def tell(text: object = "", *, file: TextIO | None = None, end: str = "\n", flush: bool = False) -> None:
    """Print `text`, made printable, on standard output or `file`."""
    print(printable(str(text)), file=file or sys.stdout, end=end, flush=flush)


def tell_json(value: Any, *, indent: int | None = 2, flush: bool = False) -> None:
    """Print `value` as JSON; what could steer a terminal is an escape in it, which reads back as the same text."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    print(text.translate({ord(character): _json_escaped(character) for character in _steering(text)}), flush=flush)


def _steering(text: str) -> list[str]:
    """The characters of a text that could steer a terminal, each once."""
    return [one for one in set(text) - _HARMLESS if unicodedata.category(one) in _STEERING]


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escaped(character: str) -> str:
    return json.dumps(character)[1:-1]
