"""A completed recipe as its checks look at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from distill_app.errors import Fault
from distill_app.recipe import nodes
from distill_app.recipe.allowed import Roots
from distill_app.recipe.nodes import Node, Path
from distill_app.recipe.paths import Place


@dataclass(frozen=True, slots=True)
class View:
    """A completed recipe, where its values stand, the paths it names, which paths the schema found fault with, and the
    folders that it may read from."""

    data: Any
    root: Node
    places: list[Place]
    faulty: list[Path]
    roots: Roots

    def sound(self, *wanted: Path) -> bool:
        """True when the schema has nothing against these values, what they are in, and what is in them."""
        return not any(path[: len(bad)] == bad or bad[: len(path)] == path for path in wanted for bad in self.faulty)

    def fault(self, path: Path, message: str, suggestion: str) -> Fault:
        return nodes.fault(self.root, path, message, suggestion)

    def sources(self) -> Iterator[tuple[Path, Any]]:
        """The pool's problems and every benchmark, as far as they are sound."""
        if self.sound(("pool", "problems")):
            yield ("pool", "problems"), self.data["pool"]["problems"]
        for index, benchmark in self.items("evaluation", "benchmarks"):
            yield ("evaluation", "benchmarks", index), benchmark

    def items(self, *path: str) -> Iterator[tuple[int, Any]]:
        """The sound entries of a list, with their places in it."""
        if any(path[: len(bad)] == bad for bad in self.faulty):
            return
        value = self.data
        for part in path:
            value = value[part]
        for index, item in enumerate(value):
            if self.sound((*path, index)):
                yield index, item
