"""Values of a recipe that remember where they were written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from distill_app.errors import Fault, Position

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A value, where it stands, and where the key that names it stands.

    `key` is None for the root and for items of a list. `span` is the value's first and one-past-last character
    in its file, None for values that no file holds. `implied` marks a level that the file does not write out,
    such as the list around a single teacher.
    """

    value: dict[str, Node] | list[Node] | str | int | float | bool | None
    position: Position
    key: Position | None = None
    span: tuple[int, int] | None = None
    implied: bool = False


def plain(node: Node) -> Any:
    """The value as plain maps, lists and scalars."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def step(node: Node, part: str | int) -> Node | None:
    """The child under a key or an index; None when there is none."""
    if isinstance(node.value, dict):
        return node.value.get(part) if isinstance(part, str) else None
    if isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
        return node.value[part]
    return None


def find(node: Node, path: Path) -> Node | None:
    """The node at `path`; None when the file says nothing there."""
    found: Node | None = node
    for part in path:
        found = step(found, part) if found else None
    return found


def where(node: Node, path: Path) -> Position:
    """Where the value at `path` stands, else where the nearest value around it does."""
    for part in path:
        child = step(node, part)
        if child is None:
            break
        node = child
    return node.position


def key_of(node: Node, path: Path) -> Position:
    """Where the key at `path` stands; for items of lists and for the root, where the value does."""
    found = find(node, path)
    return (found.key or found.position) if found else where(node, path)


def dotted(node: Node, path: Path) -> str:
    """The path as a person writes it: `teacher.temperature`, `augmentation.1.samples`; implied levels left out."""
    shown = []
    at: Node | None = node
    for part in path:
        at = step(at, part) if at else None
        if not (at and at.implied):
            shown.append(str(part))
    return ".".join(shown)


def fault(node: Node, path: Path, message: str, suggestion: str = "", *, key: bool = False) -> Fault:
    """A fault at the value under `path`, or at its key."""
    position = key_of(node, path) if key else where(node, path)
    return Fault(position, dotted(node, path), message, suggestion)


def walk(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Every node with its path, parents first."""
    yield path, node
    if isinstance(node.value, dict):
        for key, child in node.value.items():
            yield from walk(child, (*path, key))
    elif isinstance(node.value, list):
        for index, child in enumerate(node.value):
            yield from walk(child, (*path, index))


def implied(value: Any, at: Node) -> Node:
    """Plain data as nodes that no file writes out, standing where `at` does."""
    if isinstance(value, dict):
        value = {key: implied(item, at) for key, item in value.items()}
    elif isinstance(value, list | tuple):
        value = [implied(item, at) for item in value]
    return replace(at, value=value, span=None, implied=True)


def completed(node: Node, data: Any) -> Node:
    """A map node with what `data` holds and it does not, maps inside maps likewise."""
    if not isinstance(node.value, dict) or not isinstance(data, dict):
        return node
    filled = dict(node.value)
    for key, item in data.items():
        filled[key] = completed(filled[key], item) if key in filled else implied(item, node)
    return replace(node, value=filled)


def with_item(node: Node, part: str | int, child: Node) -> Node:
    """A copy of a map or list node with one child set."""
    if isinstance(node.value, dict) and isinstance(part, str):
        return replace(node, value={**node.value, part: child})
    if isinstance(node.value, list) and isinstance(part, int):
        return replace(node, value=[*node.value[:part], child, *node.value[part + 1 :]])
    raise TypeError(f"a {type(node.value).__name__} has no item {part!r}")


def without(node: Node, *keys: str) -> Node:
    """A copy of a map node without these keys."""
    if not isinstance(node.value, dict):
        return node
    return replace(node, value={key: child for key, child in node.value.items() if key not in keys})
