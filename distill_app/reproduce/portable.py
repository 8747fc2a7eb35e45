"""A resolved recipe that holds on another machine: no path leads outside the recipe's own folder, models are pinned."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from distill_app.recipe import paths
from distill_app.recipe.nodes import Node, Path


@dataclass(frozen=True, slots=True)
class Portable:
    """`recipe` is the resolved data with the paths of `names` (absolute -> portable) in place of the absolute ones."""

    recipe: dict[str, Any]
    names: Mapping[str, str]


def portable(root: Node, resolved: Mapping[str, Any], folder: str, contents: Mapping[str, str]) -> Portable:
    """`resolved` for another machine.

    A path under `folder`, the recipe's own, is told from there, any other by its last part alone (in a numbered folder
    where two are called the same): home folders and users' names stay here. What is taken from a hub without a
    revision is pinned to the commit in `contents` (dotted path -> content), which changes no fingerprint.
    """
    data: dict[str, Any] = copy.deepcopy(dict(resolved))
    names: dict[str, str] = {}
    for place in paths.make_absolute(root, data):
        if place.target not in names:
            names[place.target] = _free(_name(place, folder), set(names.values()))
        _rename(data, place, names[place.target])
    for path, content in contents.items():
        _pin(data, parts_of(path), content)
    return Portable(data, names)


def parts_of(dotted: str) -> Path:
    """`teacher.0.model` as a path into plain data."""
    return tuple(int(part) if part.isdigit() else part for part in dotted.split("."))


def path_slots(root: Node, resolved: Mapping[str, Any]) -> list[paths.Place]:
    """Every value of a resolved recipe that is a path on this machine."""
    return paths.make_absolute(root, copy.deepcopy(dict(resolved)))


def flat(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar of plain data, and every empty map or list, by its dotted path."""
    items: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(data, Mapping):
        items = iter(data.items())
    elif isinstance(data, list | tuple):
        items = iter(enumerate(data))
    if not isinstance(data, Mapping | list | tuple) or not data:
        yield path, data
        return
    for key, value in items:
        yield from flat(value, f"{path}.{key}" if path else str(key))


def _name(place: paths.Place, folder: str) -> str:
    inside = os.path.relpath(place.target, folder)
    name = os.path.basename(place.target) if inside.startswith("..") or os.path.isabs(inside) else inside
    # Without the dot a folder's name could be that of a model on a hub.
    return f"./{name}" if place.kind == "folder" else name


def _free(name: str, taken: set[str]) -> str:
    found, number = name, 2
    while found in taken:
        plain = name.removeprefix("./")
        found = f"{name[: len(name) - len(plain)]}{number}/{plain}"
        number += 1
    return found


def _rename(data: dict[str, Any], place: paths.Place, name: str) -> None:
    holder: Any = data
    for part in place.path[:-1]:
        holder = holder[part]
    value = holder[place.path[-1]]
    kind, colon, _ = value.partition(":")
    holder[place.path[-1]] = f"{kind}:{name}" if colon and f"{kind}:" in paths.FILE_KINDS else name


def _pin(data: Any, path: Path, content: str) -> None:
    """Write the commit of `hub:NAME@COMMIT` where the map around `path` has a revision that nobody gave."""
    if not content.startswith("hub:"):
        return
    for part in path[:-1]:
        data = data[part]
    if isinstance(data, dict) and data.get("revision", "") is None:
        data["revision"] = content.rpartition("@")[2]
