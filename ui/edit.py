"""Changes to a recipe's text that leave every other byte alone: comments, line ends, indentation, blank lines.

Values are replaced where they stand, by the places that the parser keeps; keys and list entries are written in as
lines of their own, or between the brackets of their map or list. Every result is read again and compared with what
was wanted, so a text that these rules do not fit is refused, never damaged.
"""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from distill_app.errors import RecipeError, UsageError
from distill_app.recipe import nodes
from distill_app.recipe.nodes import Node, Path
from distill_app.recipe.parse import parse
from distill_app.recipe.save import flow

from .places import Places


class EditError(UsageError):
    """The text cannot be changed in this way without changing more than was asked."""


def set_value(text: str, path: Path, value: Any, order: Sequence[str] = ()) -> str:
    """`text` with plain data `value` at `path`; maps and lists that are not there yet are made.

    A new key goes below the nearest key that `order` (names as the schema lists them) puts before it, else to the end
    of its map. Of a map or list that is there, only what differs is changed. Raises `EditError`, and `RecipeError`
    where `text` is not YAML.
    """
    root = parse(text, "recipe")
    wanted = _with(nodes.plain(root), path, value)
    return _first_right(_changed(text, root, path, value, order), wanted, path)


def remove(text: str, path: Path) -> str:
    """`text` without the key or list entry at `path`; the same text where there is none.

    The line goes, and a comment on it; comments on lines of their own stay. Raises as `set_value`.
    """
    root = parse(text, "recipe")
    if nodes.find(root, path) is None:
        return text
    return _first_right(_removed(text, root, path), _without(nodes.plain(root), path), path)


def into_list(text: str, path: Path) -> str:
    """`text` with the map at `path` as a list of one, its lines moved two columns to the right."""
    root = parse(text, "recipe")
    node = nodes.find(root, path)
    if node is None or not isinstance(node.value, dict):
        raise EditError(f"{'.'.join(map(str, path))} is not a map.")
    places = Places(text)
    start, end = places.start(node), places.end(node)
    before = text[text.rfind("\n", 0, start) + 1 : start]
    if places.is_flow(node) or before.strip():
        moved = f"{text[:start]}[{text[start:end]}]{text[end:]}"
    else:
        first, *rest = text[start:end].split("\n")
        lines = [f"- {first}", *(f"  {line}" if line.strip() else line for line in rest)]
        moved = text[:start] + "\n".join(lines) + text[end:]
    return _first_right(iter([moved]), _with(nodes.plain(root), path, [nodes.plain(node)]), path)


def _first_right(candidates: Iterator[str], wanted: Any, path: Path) -> str:
    for text in candidates:
        try:
            found = nodes.plain(parse(text, "recipe"))
        except RecipeError:
            continue
        if same(found, wanted):
            return text
    raise EditError(f"{'.'.join(map(str, path))} cannot be changed here.", "Change it in the text.")


def same(one: Any, other: Any) -> bool:
    """True for equal data of equal types: 1, 1.0 and true are three values."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _changed(text: str, root: Node, path: Path, value: Any, order: Sequence[str]) -> Iterator[str]:
    """Texts that may hold `value` at `path`, the best first."""
    known = path
    while nodes.find(root, known) is None:
        known = known[:-1]
    node = nodes.find(root, known)
    assert node is not None
    if known != path:
        value = _nested(path[len(known) + 1 :], value)
        part = path[len(known)]
        if node.value is None or node.value in ({}, []):
            yield from _replaced(text, known, node, {part: value} if isinstance(part, str) else [value])
        elif isinstance(node.value, dict) and isinstance(part, str):
            yield from _key_added(text, node, part, value, order)
        elif isinstance(node.value, list) and part == len(node.value):
            yield from _item_added(text, node, len(node.value), value)
        return
    old = nodes.plain(node)
    if same(old, value):
        yield text
    elif isinstance(value, dict) and isinstance(node.value, dict) and _keeps_order(node.value, value):
        yield from _in_steps(text, _map_steps(path, old, value))
    elif isinstance(value, list) and isinstance(node.value, list) and value and old:
        yield from _in_steps(text, _list_steps(path, old, value))
    yield from _replaced(text, known, node, value)


Step = tuple[str, Path, Any]


def _map_steps(path: Path, old: dict[str, Any], new: dict[str, Any]) -> list[Step]:
    steps: list[Step] = [("set", (*path, key), item) for key, item in new.items() if not same(old.get(key), item)]
    return steps + [("remove", (*path, key), None) for key in old if key not in new]


def _list_steps(path: Path, old: list[Any], new: list[Any]) -> list[Step]:
    """From the end to the beginning, so that the places of earlier entries hold."""
    matcher = difflib.SequenceMatcher(None, [json.dumps(item) for item in old], [json.dumps(item) for item in new])
    steps: list[Step] = []
    for kind, i1, i2, j1, j2 in reversed(matcher.get_opcodes()):
        if kind == "equal":
            continue
        common = min(i2 - i1, j2 - j1)
        steps += [("insert", (*path, i1 + common), item) for item in reversed(new[j1 + common : j2])]
        steps += [("remove", (*path, index), None) for index in reversed(range(i1 + common, i2))]
        steps += [("set", (*path, i1 + offset), new[j1 + offset]) for offset in range(common)]
    return steps


def _in_steps(text: str, steps: Sequence[Step]) -> Iterator[str]:
    try:
        for kind, path, value in steps:
            if kind == "set":
                text = set_value(text, path, value)
            elif kind == "remove":
                text = remove(text, path)
            else:
                text = _inserted(text, path, value)
    except EditError:
        return
    yield text


def _inserted(text: str, path: Path, value: Any) -> str:
    root = parse(text, "recipe")
    node = nodes.find(root, path[:-1])
    assert node is not None
    index = int(path[-1])
    wanted = nodes.plain(node)
    wanted.insert(index, value)
    return _first_right(_item_added(text, node, index, value), _with(nodes.plain(root), path[:-1], wanted), path)


def _keeps_order(old: dict[str, Node], new: dict[str, Any]) -> bool:
    kept = [key for key in old if key in new]
    return bool(kept) and list(new)[: len(kept)] == kept


def _replaced(text: str, path: Path, node: Node, value: Any) -> Iterator[str]:
    """The value alone written anew: as it was quoted before, else as it can be written."""
    places = Places(text)
    start, end = places.start(node), places.end(node)
    if start == end:
        at = places.after_colon(node, path)
        yield f"{text[:at]} {flow(value)}{text[at:]}"
        return
    old = text[start:end]
    for written in _spellings(old, value):
        yield text[:start] + written + text[end:]
    if node.key is not None:
        at = places.after_colon(node, path)
        yield f"{text[:at]} {flow(value)}{text[end:]}"


def _spellings(old: str, value: Any) -> Iterator[str]:
    if isinstance(value, str) and value and "\n" not in value:
        if old[0] == "'":
            yield "'" + value.replace("'", "''") + "'"
        elif old[0] == '"' and not flow(value).startswith('"'):
            yield f'"{value}"'
        elif old[0] not in "\"'[{|>":
            yield value
    if isinstance(value, str) and old[0] == "|":
        body = old.split("\n", 1)[1].splitlines()
        indent = min((len(line) - len(line.lstrip()) for line in body if line.strip()), default=2)
        lines = [" " * indent + line if line else "" for line in value.removesuffix("\n").split("\n")]
        header = old.split("\n", 1)[0]
        yield "\n".join([header, *lines])
        yield "\n".join(["|" if value.endswith("\n") else "|-", *lines])
    yield flow(value)


def _key_added(text: str, node: Node, key: str, value: Any, order: Sequence[str]) -> Iterator[str]:
    assert isinstance(node.value, dict)
    places = Places(text)
    before = list(order[: order.index(key)]) if key in order else []
    present = list(node.value)
    neighbour = next((name for name in reversed(before) if name in node.value), present[-1])
    at = places.end(node.value[neighbour], neighbour)
    if places.is_flow(node):
        yield f"{text[:at]}, {_word(key)}: {flow(value)}{text[at:]}"
        return
    indent = places.column(node.value[present[0]])
    yield places.with_lines(at, [f"{' ' * indent}{line}" for line in _lines(key, value)])


def _lines(key: str, value: Any) -> list[str]:
    """A key and its value: maps in lines, whatever else on one."""
    if isinstance(value, dict) and value:
        below = [line for name, item in value.items() for line in _lines(name, item)]
        return [f"{_word(key)}:", *(f"  {line}" for line in below)]
    return [f"{_word(key)}: {flow(value)}"]


def _word(key: str) -> str:
    return flow({key: 0}).removeprefix("{").removesuffix(": 0}")


def _item_added(text: str, node: Node, index: int, value: Any) -> Iterator[str]:
    assert isinstance(node.value, list)
    places = Places(text)
    if places.is_flow(node):
        if index < len(node.value):
            at = places.start(node.value[index])
            yield f"{text[:at]}{flow(value)}, {text[at:]}"
        else:
            at = places.end(node.value[-1])
            yield f"{text[:at]}, {flow(value)}{text[at:]}"
        return
    dash = places.dash(node.value[min(index, len(node.value) - 1)])
    line = text.rfind("\n", 0, dash) + 1
    written = f"{' ' * (dash - line)}- {flow(value)}"
    if index:
        yield places.with_lines(places.end(node.value[index - 1]), [written])
    else:
        yield f"{text[:line]}{written}{places.line_end(line)}{text[line:]}"


def _removed(text: str, root: Node, path: Path) -> Iterator[str]:
    parent, node = nodes.find(root, path[:-1]), nodes.find(root, path)
    assert parent is not None
    assert node is not None
    places = Places(text)
    children = list(parent.value.values()) if isinstance(parent.value, dict) else parent.value
    assert isinstance(children, list)
    index = next(place for place, child in enumerate(children) if child is node)
    keys = list(parent.value) if isinstance(parent.value, dict) else [""] * len(children)
    starts = [places.key_start(child) if child.key and keys[0] else places.start(child) for child in children]
    ends = [places.end(child, key) for child, key in zip(children, keys, strict=True)]
    if len(children) == 1:
        empty = "{}" if isinstance(parent.value, dict) else "[]"
        start, end = places.start(parent), places.end(parent)
        if parent.key is not None and not places.is_flow(parent):
            at = places.after_colon(parent, path[:-1])
            rest = places.rest_of_line(end)
            comment = text[at : text.find("\n", at)].rstrip("\r")
            yield f"{text[:at]} {empty}{comment}{places.line_end(at)}{text[rest:]}"
        yield text[:start] + empty + text[end:]
        return
    if not places.is_flow(parent):
        first = starts[index] if isinstance(parent.value, dict) else places.dash(node)
        line = text.rfind("\n", 0, first) + 1
        if not text[line:first].strip("\ufeff ") and not (first and text[line:first].startswith("\ufeff")):
            yield text[:line] + text[places.rest_of_line(ends[index]) :]
    if index + 1 < len(children):
        yield text[: starts[index]] + text[starts[index + 1] :]
    elif index:
        yield text[: ends[index - 1]] + text[ends[index] :]


def _nested(path: Path, value: Any) -> Any:
    for part in reversed(path):
        value = {part: value} if isinstance(part, str) else [value]
    return value


def _with(data: Any, path: Path, value: Any) -> Any:
    """A copy of plain data with `value` at `path`. Raises `EditError` where a value stands in the way."""
    if not path:
        return value
    part, below = path[0], path[1:]
    changed = copy.copy(data)
    if isinstance(data, dict) and isinstance(part, str):
        changed[part] = _with(data[part], below, value) if part in data else _nested(below, value)
    elif isinstance(data, list) and isinstance(part, int) and part <= len(data):
        changed[part : part + 1] = [_with(data[part], below, value) if part < len(data) else _nested(below, value)]
    elif data is None or data in ({}, []):
        changed = _nested(path, value)
    else:
        raise EditError(f"`{part}` cannot be set in {flow(data)[:60]}.", "Change it in the text.")
    return changed


def _without(data: Any, path: Path) -> Any:
    changed = copy.copy(data)
    if len(path) > 1:
        changed[path[0]] = _without(data[path[0]], path[1:])
    else:
        del changed[path[0]]
    return changed
