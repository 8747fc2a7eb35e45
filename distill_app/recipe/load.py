"""Reading a recipe file: its values with the line and column of every key, and its text."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from distill_app.errors import Position, UsageError
from distill_app.recipe import nodes
from distill_app.recipe.nodes import Node
from distill_app.recipe.parse import parse, refused

LARGEST_BYTES = 64 * 1024
COMMAND_LINE = "--set "
"""What the positions of values given on the command line begin with, and no file's."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A recipe file as read: its values with their places, its text (whose UTF-8 bytes are the file's)."""

    file: str
    text: str
    root: Node

    @property
    def data(self) -> Any:
        """The file as plain data."""
        return nodes.plain(self.root)

    @property
    def value_positions(self) -> dict[nodes.Path, Position]:
        """Where each value stands, by its path."""
        return {path: node.position for path, node in nodes.walk(self.root)}

    @property
    def key_positions(self) -> dict[nodes.Path, Position]:
        """Where each key stands, by the path of its value."""
        return {path: node.key for path, node in nodes.walk(self.root) if node.key}


def read(path: str | os.PathLike[str]) -> Tree:
    """The recipe at `path`.

    Raises `UsageError` when the file cannot be read and `RecipeError` when it is not a recipe's kind of YAML.
    """
    name = os.fspath(path)
    if name.startswith(COMMAND_LINE):
        name = os.path.join(os.curdir, name)
    if os.path.isdir(name):
        raise UsageError(f"{name} is a folder, not a recipe.", _other_files(os.path.join(name, "recipe.yaml")))
    try:
        with open(name, "rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(f"There is no recipe {name}.", _other_files(name)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{name!r} cannot be read: {reason}.", _other_files(name)) from None
    return decoded(name, content)


def decoded(name: str, content: bytes) -> Tree:
    """The recipe that these bytes are, said to be the file `name`. Raises `RecipeError` as `read` does."""
    if len(content) > LARGEST_BYTES:
        raise refused(
            Position(name, 1, 1),
            f"the file is larger than {LARGEST_BYTES // 1024} KB, so it is hardly a recipe.",
            "Give the recipe's own file; data sets are named in it by path.",
        )
    text = _decoded(name, content)
    root = parse(text, name)
    if not isinstance(root.value, dict):
        raise refused(
            root.position,
            "a recipe is a map of `key: value` lines, and this is something else.",
            "Start with `version: 1` and `name: my-experiment`, each on a line of its own.",
        )
    return Tree(name, text, root)


def _decoded(file: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        raise refused(
            Position(file, line, column),
            f"the byte 0x{content[error.start]:02X} here is not UTF-8 text.",
            "Save the file as UTF-8.",
        ) from None


def _other_files(path: str) -> str:
    from distill_app.recipe.bundled import names
    from distill_app.recipe.wording import nearest

    folder, base = os.path.split(path)
    try:
        files = [name for name in os.listdir(folder or ".") if name.endswith((".yaml", ".yml"))]
    except (OSError, ValueError):
        files = []
    choices = {**{name: os.path.join(folder, name) for name in files}, **{name: name for name in names()}}
    near = nearest(base, [*choices, *(name.removesuffix(".yaml") for name in files)])
    hint = f"Did you mean {choices.get(near) or choices[near + '.yaml']}? " if near else ""
    return f"{hint}Ready-made recipes, by name: {', '.join(names())}."
