"""The version of the recipe format: which this program reads, and what to do with a recipe of another.

A recipe is never rewritten silently. One of a newer version is refused, because what its keys mean is not known here;
one of an older version is refused with what has changed since, key by key, so that a person can carry it over and sees
what that does to their experiment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distill_app import __version__
from distill_app.errors import Fault, RecipeError
from distill_app.recipe import nodes
from distill_app.recipe.nodes import Node

CURRENT = 1
"""The version of recipes that this program reads, as `version` in schemas/recipe.schema.json says."""


@dataclass(frozen=True, slots=True)
class Change:
    """A key of the older version, and what a recipe of the next version says in its place."""

    key: str
    now: str


MIGRATIONS: Mapping[int, Sequence[Change]] = {}
"""What the version after each differs in: `{1: [Change("selector.keep", "is called top")]}` once there is a version 2.
Version 1 is the first, so there is nothing to carry over yet."""


def check(root: Node, current: int = CURRENT, migrations: Mapping[int, Sequence[Change]] = MIGRATIONS) -> None:
    """Raise `RecipeError` for a recipe of another version, and for that alone: its other keys may be right in it.

    A version that is missing or no whole number is left to the schema.
    """
    said = nodes.step(root, "version")
    if said is None or isinstance(said.value, bool) or not isinstance(said.value, int | float):
        return
    if said.value == current or said.value != int(said.value):
        return
    message, suggestion = explain(int(said.value), current, migrations)
    raise RecipeError([Fault(said.position, "version", message, suggestion)])


def explain(version: int, current: int, migrations: Mapping[int, Sequence[Change]]) -> tuple[str, str]:
    """What is wrong with a recipe of `version`, and what to do."""
    if version > current:
        return (
            f"this recipe is of version {version} of the format, and distill-app {__version__} reads version "
            f"{current}.",
            f"Install a distill-app that reads version {version} (`pip install --upgrade distill-app`); nothing of "
            "the recipe was read here, because its keys may mean something else.",
        )
    if version < 1:
        return f"there has been no version {version} of the format: the first is 1.", f"Write `version: {current}`."
    changes = [change for step in range(version, current) for change in migrations[step]]
    listed = "; ".join(f"`{change.key}` {change.now}" for change in changes) or "no key"
    return (
        f"this recipe is of version {version} of the format, and distill-app {__version__} reads version {current}.",
        f"What has changed since: {listed}. Carry that over, then write `version: {current}`.",
    )
