"""YAML 1.2 text as nodes that know their line and column.

Only what a recipe needs is let through: one document, maps with text keys, lists and plain values. Anchors,
aliases, tags and dates are refused, so that what a file says can be seen by looking at the line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

from distill_app.errors import Fault, Position, RecipeError
from distill_app.recipe import nodes
from distill_app.recipe.nodes import Node

if TYPE_CHECKING:
    from ruamel.yaml.events import Event, MappingStartEvent, NodeEvent, ScalarEvent, SequenceStartEvent

DEEPEST = 24
LONGEST_NUMBER = 300
MOST_VALUES = 2000
"""Values, maps and lists of one file: some ten times those of the longest recipe there is."""

_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE, _FALSE = {"true", "True", "TRUE"}, {"false", "False", "FALSE"}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL_ONCE = re.compile(r"[-+]?0[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")


def parse(text: str, file: str, *, first_column: int = 1, block: bool = True) -> Node:
    """The values in YAML `text`, said to be `file`'s; the first line starts at `first_column`.

    With `block` False, only scalars and values in brackets are read as YAML: anything laid out in lines or with
    `key: value` is taken as text. Raises `RecipeError`.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    from distill_app.recipe.syntax import explain

    lines = [0, *(match.end() for match in re.finditer("\n", text))]

    def position(index: int) -> Position:
        line = bisect_right(lines, index)
        column = index - lines[line - 1] + 1
        if line == 1:
            column += first_column - 1 - text.startswith("\ufeff")
        return Position(file, line, max(column, 1))

    if found := _CONTROL.search(text):
        raise refused(
            position(found.start()),
            f"the file holds a control character (U+{ord(found[0]):04X}).",
            "Delete it, or write it with an escape in double quotes.",
        )
    reader = _Reader(text, position)
    try:
        return reader.document(iter(YAML(typ="safe", pure=True).parse(text)), block=block)
    except YAMLError as error:
        found_fault = explain(error, text, position)
    except ValueError:
        # ruamel.yaml hands the number of a \\U escape to chr() unchecked.
        at = position(max(text.find("\\U"), 0))
        found_fault = Fault(at, "", "this escape names no character.", "Correct the number after `\\U`.")
    raise RecipeError([*reader.faults, found_fault])


def scalar(text: str) -> str | int | float | bool | None:
    """The value of an unquoted YAML 1.2 word. Raises ValueError, with what to say, for words recipes refuse."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"`{text}` is not a number that can be used.\0Write a finite number.")
    if _DATE.fullmatch(text):
        raise ValueError(f'`{text}` is a date in YAML, and recipes hold none.\0If it is text, quote it: "{text}".')
    if not (text[0] in "+-." or text[0].isdigit()):
        return text
    if len(text) > LONGEST_NUMBER and _FLOAT.fullmatch(text):
        raise ValueError("the number is far too long.\0If it is text, put it in quotes.")
    if _OCTAL_ONCE.fullmatch(text):
        tidy = text.lstrip("+-").lstrip("0") or "0"
        raise ValueError(
            f"`{text}` begins with a zero, and readers of YAML disagree whether it is octal.\0"
            f'Write {text[: text[0] in "+-"]}{tidy}; or, if it is text, quote it: "{text}".'
        )
    if _DECIMAL.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise ValueError(f"`{text}` is too large for a number.\0Write a smaller one.")
        return value
    return text


class _Reader:
    """Builds nodes from YAML events and collects what recipes do not allow."""

    def __init__(self, text: str, position: Callable[[int], Position]) -> None:
        self.text = text
        self.position = position
        self.faults: list[Fault] = []
        self.depth = 0
        self.values = 0

    def document(self, events: Iterator[Event], *, block: bool) -> Node:
        from ruamel.yaml import events as kinds

        root: Node | None = None
        for event in events:
            if isinstance(event, kinds.DocumentStartEvent):
                start = event.start_mark.index
                if root:
                    self.refuse(
                        start,
                        "",
                        "a second document starts here (after `---` or `...`), and a recipe file holds one.",
                        "Put the second recipe into a file of its own, or delete that line.",
                    )
                    break
                if event.version or event.tags:
                    self.refuse(0, "", "`%` directives are not part of recipes.", "Delete the line.")
            elif isinstance(event, kinds.NodeEvent):
                layout = getattr(event, "flow_style", True)
                if not block and not layout:
                    return self.raw()
                root = self.node(event, events, (), None)
        if self.faults:
            raise RecipeError(self.faults)
        if root is None or (root.value is None and not self.text.strip()):
            if not block:
                return self.raw(None)
            raise refused(
                self.position(0),
                "the recipe is empty.",
                "`distill-app new my-experiment` writes one to start from.",
            )
        return root

    def raw(self, value: str | None = "") -> Node:
        return Node(self.text if value == "" else value, self.position(0), None, (0, len(self.text)))

    def refuse(self, index: int, path: str, message: str, suggestion: str) -> None:
        self.faults.append(Fault(self.position(index), path, message, suggestion))

    def node(self, event: NodeEvent, events: Iterator[Event], path: nodes.Path, key: Position | None) -> Node:
        from ruamel.yaml import events as kinds

        start, end = event.start_mark.index, event.end_mark.index
        shown = ".".join(map(str, path))
        self.values += 1
        if self.values > MOST_VALUES:
            message = f"the file holds more than {MOST_VALUES} values, so it is hardly a recipe."
            raise self.stopped(start, message, "Data sets are named in a recipe by path, many files by a pattern.")
        written = self.text[start:end].split("\n")[0]
        if isinstance(event, kinds.AliasEvent):
            self.refuse(
                start,
                shown,
                f"`{written}` begins with `*`, which YAML takes for an alias, and recipes have none.",
                f'If it is text, quote it: "{written}". Else write the value out.',
            )
            return Node(None, self.position(start), key, (start, end))
        if event.anchor is not None:
            self.refuse(
                start,
                shown,
                f"`&{event.anchor}` is a YAML anchor, and recipes have none.",
                "If it is text, put it in quotes. Else delete it and write the value out where it is needed.",
            )
        if (tag := getattr(event, "tag", None)) is not None:
            self.refuse(
                start,
                shown,
                f"`{written.split(' ')[0]}` is a YAML tag ({tag}), and recipes have none.",
                "Delete it; put text that begins with `!` in quotes.",
            )
        if isinstance(event, kinds.ScalarEvent):
            return self.scalar(event, shown, key)
        self.depth += 1
        if self.depth > DEEPEST:
            message = f"maps and lists stand more than {DEEPEST} deep in each other."
            raise self.stopped(start, message, "No recipe needs that; look for brackets or indentation gone wrong.")
        if isinstance(event, kinds.MappingStartEvent):
            node = self.mapping(event, events, path, key)
        else:
            node = self.sequence(cast("SequenceStartEvent", event), events, path, key)
        self.depth -= 1
        return node

    def stopped(self, index: int, message: str, suggestion: str) -> RecipeError:
        """The error for a file that is not read further."""
        return RecipeError([*self.faults, Fault(self.position(index), "", message, suggestion)])

    def scalar(self, event: ScalarEvent, shown: str, key: Position | None) -> Node:
        start, end = event.start_mark.index, event.end_mark.index
        value: str | int | float | bool | None = event.value
        if not event.style:
            try:
                value = scalar(event.value)
            except ValueError as error:
                message, suggestion = str(error).split("\0")
                self.refuse(start, shown, message, suggestion)
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            self.refuse(start, shown, "this holds half of a character (a lone surrogate).", "Write all of it.")
        # A value left out has its place on a later line; what a person looks for is the key.
        place = key if key and start == end else self.position(start)
        return Node(value, place, key, (start, end))

    def mapping(
        self, event: MappingStartEvent, events: Iterator[Event], path: nodes.Path, key: Position | None
    ) -> Node:
        from ruamel.yaml import events as kinds

        items: dict[str, Node] = {}
        while not isinstance(found := next(events), kinds.MappingEndEvent):
            start = found.start_mark.index
            name = self.key(found, start, path)
            if name is None:
                self.node(cast("NodeEvent", found), events, path, None)
                name = f"\0{start}"
            elif name in items:
                first = items[name].key
                self.refuse(
                    start,
                    ".".join(map(str, (*path, name))),
                    f"the key `{name}` stands twice; the first is on line {first.line if first else 1}.",
                    "Delete one of them.",
                )
            child = self.node(cast("NodeEvent", next(events)), events, (*path, name), self.position(start))
            items.setdefault(name, child)
        return Node(items, self.position(event.start_mark.index), key, _span(event, found))

    def key(self, event: Event, start: int, path: nodes.Path) -> str | None:
        """The text of a key; None, with a fault noted, for what cannot be one."""
        from ruamel.yaml import events as kinds

        if not isinstance(event, kinds.ScalarEvent):
            if not isinstance(event, kinds.AliasEvent):
                raise self.stopped(start, "a key must be text.", "Give it a name.")
            return None
        before = self.text[self.text.rfind("\n", 0, start) + 1 : start]
        if "\t" in before and not before.strip():
            self.refuse(start - 1, "", "a tab stands in the indentation.", "Indent with spaces.")
        if event.anchor is not None or event.tag is not None:
            return None
        try:
            is_text = bool(event.style) or isinstance(scalar(event.value), str)
        except ValueError:
            is_text = False
        if not is_text:
            shown = event.value or "(nothing)"
            suggestion = f'Quote it if it is meant as a name: "{event.value}".' if event.value else "Give it a name."
            self.refuse(start, ".".join(map(str, path)), f"the key `{shown}` is not text.", suggestion)
            return f"\0{start}"
        return str(event.value)

    def sequence(
        self, event: SequenceStartEvent, events: Iterator[Event], path: nodes.Path, key: Position | None
    ) -> Node:
        from ruamel.yaml import events as kinds

        items: list[Node] = []
        while not isinstance(found := next(events), kinds.SequenceEndEvent):
            items.append(self.node(cast("NodeEvent", found), events, (*path, len(items)), None))
        return Node(items, self.position(event.start_mark.index), key, _span(event, found))


def _span(first: Event, last: Event) -> tuple[int, int]:
    return first.start_mark.index, last.end_mark.index


def refused(position: Position, message: str, suggestion: str) -> RecipeError:
    """The error for a text in which nothing else can be told."""
    return RecipeError([Fault(position, "", message, suggestion)])
