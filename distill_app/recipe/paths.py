"""Paths in a recipe: made absolute from the folder of the file that says them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from distill_app.errors import Position
from distill_app.recipe import nodes
from distill_app.recipe.defaults import BUILTIN
from distill_app.recipe.load import COMMAND_LINE
from distill_app.recipe.nodes import Node, Path

FILE_KINDS = ("jsonl:", "parquet:")


@dataclass(frozen=True, slots=True)
class Place:
    """A path that a recipe names: where in the recipe, which (absolute), what it must be: file, glob or folder, and
    whether a person said it on the command line."""

    path: Path
    target: str
    kind: str
    said: bool


def make_absolute(root: Node, data: Any) -> list[Place]:
    """Writes absolute paths into the completed `data`, and returns them all. Values of the wrong type are left."""
    places: list[Place] = []

    def place(path: Path, value: str, kind: str) -> str:
        position = nodes.where(root, path)
        target = absolute(value, position)
        places.append(Place(path, target, kind, position.file.startswith(COMMAND_LINE)))
        return target

    for path, holder, key in _dataset_slots(data):
        value = holder.get(key)
        if isinstance(value, str) and value.startswith(FILE_KINDS):
            kind, _, name = value.partition(":")
            holder[key] = f"{kind}:{place(path, name.strip(), 'file')}"
    for path, holder, key in _model_slots(data):
        value = holder.get(key)
        if isinstance(value, str) and value:
            beside = os.path.isdir(absolute(value, nodes.where(root, path)))
            if beside or value.startswith(("./", "../", "/", "~")) or value in (".", ".."):
                holder[key] = place(path, value, "folder")
            elif os.path.isdir(value):
                # What reads the model would find this folder, not the hub's model of that name.
                holder[key] = place(path, os.path.abspath(value), "folder")
    for path, holder, key in _file_slots(data):
        value = holder.get(key)
        if isinstance(value, str) and value and not value.startswith(BUILTIN):
            holder[key] = place(path, value, "file")
    for path, holder, key in _trace_slots(data):
        value = holder.get(key)
        if isinstance(value, str) and value:
            holder[key] = place(path, value, "glob")
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, str) and item:
                    value[index] = place((*path, index), item, "glob")
    return places


def absolute(path: str, position: Position) -> str:
    """`path` from the folder of the file at `position`; from the working folder for values given by --set."""
    folder = "" if position.file.startswith(COMMAND_LINE) else os.path.dirname(position.file)
    return os.path.abspath(os.path.join(folder, at_home(path)))


def at_home(path: str) -> str:
    """`path` with a leading `~/` as the person's own folder. Nothing else in it stands for something: not `~name`, not
    `$HOME`."""
    return os.path.expanduser(path) if path == "~" or path.startswith("~/") else path


def models(data: Any) -> Iterator[tuple[Path, str]]:
    """Every model of a completed recipe that is to be loaded on this machine, and where it stands."""
    for path, holder, key in _model_slots(data):
        if isinstance(holder.get(key), str):
            yield path, holder[key]


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
        if item.get("backend") != "openai":  # a name that the server knows, whatever folders are here
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
