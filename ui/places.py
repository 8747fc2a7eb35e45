"""Where the values of a recipe begin and end in its text, comments and blank lines left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from distill_app.errors import Position
from distill_app.recipe.nodes import Node, Path


@dataclass(frozen=True)
class Places:
    """Character offsets in `text` of nodes that were read from it."""

    text: str

    @cached_property
    def _lines(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.text))]

    def offset(self, position: Position) -> int:
        """The offset of a line and column."""
        skipped = position.line == 1 and self.text.startswith("\ufeff")
        return self._lines[position.line - 1] + position.column - 1 + skipped

    def column(self, node: Node) -> int:
        """How many characters stand before the node's key, or before its value, on its line."""
        return (node.key or node.position).column - 1

    def start(self, node: Node) -> int:
        """Where the value begins."""
        assert node.span is not None
        return node.span[0]

    def end(self, node: Node, key: str = "") -> int:
        """One past the value's last character; for a value left out, the place after its key's colon."""
        assert node.span is not None
        start, end = node.span
        if isinstance(node.value, dict | list) and not self.is_flow(node):
            entries = node.value.items() if isinstance(node.value, dict) else (("", item) for item in node.value)
            name, last = list(entries)[-1]
            return self.end(last, name)
        if start == end and node.key is not None:
            return self.after_colon(node, (key,))
        return start + len(self.text[start:end].rstrip())

    def is_flow(self, node: Node) -> bool:
        """True for maps and lists in brackets."""
        return isinstance(node.value, dict | list) and self.text[self.start(node)] in "[{"

    def key_start(self, node: Node) -> int:
        """Where the key begins that names this value."""
        assert node.key is not None
        return self.offset(node.key)

    def after_colon(self, node: Node, path: Path) -> int:
        """The offset behind the colon of the key that names this value, `path`'s last part."""
        start = self.key_start(node)
        if self.text[start] in "\"'":
            quoted = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^']|'')*'""").match(self.text, start)
            start = quoted.end() if quoted else start
        else:
            start += len(str(path[-1]))
        return self.text.index(":", start) + 1

    def dash(self, item: Node) -> int:
        """Where the dash stands that makes this value an entry of a list in lines."""
        return self.text.rindex("-", 0, self.start(item))

    def rest_of_line(self, at: int) -> int:
        """Where the line after `at`'s begins."""
        found = self.text.find("\n", at)
        return len(self.text) if found < 0 else found + 1

    def line_end(self, at: int) -> str:
        """How the lines around `at` end."""
        found = self.text.find("\n", at)
        if found < 0:
            found = self.text.rfind("\n", 0, at)
        return "\r\n" if found > 0 and self.text[found - 1] == "\r" else "\n"

    def with_lines(self, at: int, lines: Sequence[str]) -> str:
        """The text with whole lines put in below the line of `at`."""
        below, end = self.rest_of_line(at), self.line_end(at)
        above = self.text[:below]
        if not above.endswith("\n"):
            above += end
            return above + end.join(lines) + self.text[below:]
        return above + "".join(f"{line}{end}" for line in lines) + self.text[below:]
