"""Paths in a recipe: made absolute from the folder of the file that says them, and checked to be there."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from distill_app.errors import Position
from distill_app.recipe import nodes
from distill_app.recipe.defaults import BUILTIN
from distill_app.recipe.extends import nearest_file
from distill_app.recipe.nodes import Node, Path

FILE_KINDS = ("jsonl:", "parquet:")


@dataclass(frozen=True, slots=True)
class Place:
    """A path that a recipe names: where in the recipe, which (absolute), what it must be: file, glob or folder."""

    path: Path
    target: str
    kind: str


def make_absolute(root: Node, data: Any) -> list[Place]:
    """Writes absolute paths into the completed `data`, and returns them all. Values of the wrong type are left."""
    places: list[Place] = []
    for path, holder, key in _dataset_slots(data):
        value = holder.get(key)
        if isinstance(value, str) and value.startswith(FILE_KINDS):
            kind, _, name = value.partition(":")
            target = absolute(name.strip(), nodes.where(root, path))
            holder[key] = f"{kind}:{target}"
            places.append(Place(path, target, "file"))
    for path, holder, key in _model_slots(data):
        value = holder.get(key)
        if isinstance(value, str) and value:
            target = absolute(value, nodes.where(root, path))
            if value.startswith(("./", "../", "/", "~")) or value in (".", "..") or os.path.isdir(target):
                holder[key] = target
                places.append(Place(path, target, "folder"))
    for path, holder, key in _file_slots(data):
        value = holder.get(key)
        if isinstance(value, str) and value and not value.startswith(BUILTIN):
            holder[key] = absolute(value, nodes.where(root, path))
            places.append(Place(path, holder[key], "file"))
    for path, holder, key in _trace_slots(data):
        value = holder.get(key)
        if isinstance(value, str) and value:
            holder[key] = absolute(value, nodes.where(root, path))
            places.append(Place(path, holder[key], "glob"))
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, str) and item:
                    value[index] = absolute(item, nodes.where(root, (*path, index)))
                    places.append(Place((*path, index), value[index], "glob"))
    return places


def absolute(path: str, position: Position) -> str:
    """`path` from the folder of the file at `position`; from the working folder for values given by --set."""
    folder = "" if position.file.startswith("--set ") else os.path.dirname(position.file)
    return os.path.abspath(os.path.join(folder, os.path.expanduser(path)))


def trouble(place: Place) -> tuple[str, str] | None:
    """What is wrong with a place, and what to do; None when what it must be is there."""
    target = place.target
    if "\0" in target:
        return "a path cannot hold a null character.", "Correct the path."
    if place.kind == "glob" and glob.has_magic(target) and not os.path.exists(target):
        if any(os.path.isfile(path) for path in glob.iglob(target, recursive=True)):
            return None
        return f"no file matches {target}.", _near(target) or "Check the folder and the pattern."
    if place.kind == "folder":
        if os.path.isdir(target):
            return None
        if os.path.exists(target):
            return f"{target} is a file, and a model is a folder.", "Name the folder that holds config.json."
        return f"there is no folder {target}.", _near(target) or "Check the path."
    if os.path.isfile(target):
        return None
    if os.path.isdir(target):
        return f"{target} is a folder, not a file.", "Name a file in it."
    return f"there is no file {target}.", _near(target) or "Check the path; it is relative to the recipe's folder."


def _near(target: str) -> str:
    folder = os.path.dirname(target)
    if not os.path.isdir(folder) and not glob.has_magic(folder):
        return f"There is no folder {folder} either."
    near = nearest_file(target)
    return f"Did you mean {os.path.join(folder, near)}?" if near else ""


Slot = tuple[Path, dict[str, Any], str]


def _dataset_slots(data: Any) -> Iterator[Slot]:
    problems = _child(data.get("pool"), "problems")
    if isinstance(problems, dict):
        yield ("pool", "problems", "dataset"), problems, "dataset"
    for index, item in _maps(_child(data.get("evaluation"), "benchmarks")):
        yield ("evaluation", "benchmarks", index, "dataset"), item, "dataset"


def _model_slots(data: Any) -> Iterator[Slot]:
    for part in ("student", "quality", "selector"):
        if isinstance(data.get(part), dict):
            yield (part, "model"), data[part], "model"
    for path, item in teachers(data):
        yield (*path, "model"), item, "model"
    skills = data.get("skills")
    if isinstance(skills, dict) and skills.get("embedding") != "bag_of_words":
        yield ("skills", "embedding"), skills, "embedding"


def _trace_slots(data: Any) -> Iterator[Slot]:
    for path, item in teachers(data):
        yield (*path, "path"), item, "path"


def _file_slots(data: Any) -> Iterator[Slot]:
    for path, key in ((("skills",), "tree"), (("capability",), "table"), (("training", "skills"), "labels")):
        holder = data
        for part in path:
            holder = _child(holder, part)
        if isinstance(holder, dict):
            yield (*path, key), holder, key


def teachers(data: Any) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every teacher that a completed recipe names: those of the pool, and those who rate or attribute."""
    for index, item in _maps(data.get("teacher")):
        yield ("teacher", index), item
    for part in ("quality", "skills"):
        item = _child(data.get(part), "teacher")
        if isinstance(item, dict):
            yield (part, "teacher"), item


def _child(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _maps(value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    for index, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, dict):
            yield index, item
