"""From a recipe file to its arms: extends, --set and matrix worked in, checked, every value explicit and typed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_app.errors import Fault, Position, RecipeError
from distill_app.recipe import (
    allowed,
    bundled,
    checks,
    defaults,
    extends,
    nodes,
    overrides,
    paths,
    schema,
    validate,
)
from distill_app.recipe.allowed import Roots
from distill_app.recipe.load import Tree
from distill_app.recipe.model import Choice, Recipe, build
from distill_app.recipe.nodes import Node
from distill_app.recipe.schema import FAMILIES, Schemas
from distill_app.recipe.view import View


@dataclass(frozen=True, slots=True)
class Arm:
    """One run a recipe asks for.

    `resolved` is plain data with every value explicit and every path absolute; `text` is the recipe file as it
    stands (its UTF-8 bytes are the file's); `label` tells the arms of a matrix apart ("selector.name=random
    seed=1"), and is empty without one.
    """

    recipe: Recipe
    resolved: dict[str, Any]
    text: str
    file: str
    label: str
    root: Node

    def where(self, path: Sequence[str | int]) -> Position:
        """Where the value at `path` of `resolved` is written; for defaults, where the nearest value around it is."""
        return nodes.where(self.root, tuple(path))


def load_arms(path: str | os.PathLike[str], sets: Sequence[str] = (), *, schemas: Schemas | None = None) -> list[Arm]:
    """The arms of the recipe at `path`, or of the ready-made recipe of that name, with `sets` ("a.b=c") applied.

    Raises `UsageError` when the file cannot be read, and `RecipeError` with every fault of every arm, or of very many
    the first.
    """
    schemas = schemas or schema.installed()
    file = _file(os.fspath(path))
    roots = allowed.roots(file)
    tree, root = extends.read(schemas, file, roots)
    return arms_of(schemas, tree, root, None if allowed.is_remembered(tree.text) else roots, sets)


def arms_of(schemas: Schemas, tree: Tree, root: Node, roots: Roots, sets: Sequence[str] = ()) -> list[Arm]:
    """The arms of a recipe that is read already: `root` holds its values with those it extends, `roots` is where it may
    read from. Raises `RecipeError` as `load_arms` does.
    """
    faults: list[Fault] = []
    given = []
    for text in sets:
        try:
            given.append(overrides.parse_set(text))
        except RecipeError as error:
            faults += error.faults
    matrix_sets = [item for item in given if item.path[0] == "matrix"]
    root, found = overrides.apply(schemas, root, matrix_sets)
    faults += found
    root, combinations, found = overrides.combinations(root)
    faults += found
    root, found = overrides.apply(schemas, root, [item for item in given if item.path[0] != "matrix"])
    faults += found
    arms = []
    for label, assignments in combinations:
        arm_root, found = overrides.apply(schemas, root, assignments)
        arm_root = defaults.known_benchmarks(arm_root)
        data, found_here = check(schemas, arm_root, roots)
        faults += [*found, *found_here]
        if len(faults) > validate.MOST_FAULTS:
            break
        if not faults:
            arms.append(Arm(typed(data), data, tree.text, tree.file, label, arm_root))
    if faults:
        raise RecipeError(list(dict.fromkeys(faults)))
    return arms


def check(schemas: Schemas, root: Node, roots: Roots) -> tuple[dict[str, Any], list[Fault]]:
    """A written-out recipe without matrix, which may read from `roots`, as resolved data, and all that is wrong."""
    found = validate.faults(schemas, root)
    data = defaults.complete(schemas, root)
    places = paths.make_absolute(root, data)
    faults = [fault for _, fault in found]
    if len(found) < validate.MOST_FAULTS:  # else there are more, and which values are sound is not known
        faults += checks.faults(View(data, root, places, [path for path, _ in found], roots))
    return data, list(dict.fromkeys(faults))


def typed(resolved: dict[str, Any]) -> Recipe:
    """Resolved data as the frozen dataclasses of `model`."""
    parts = {
        "selector": _choice("selector", resolved["selector"]),
        "quality": _choice("quality", resolved["quality"]),
        "teacher": [_choice("teacher", item) for item in resolved["teacher"]],
        "augmentation": [_choice("augmentation", item) for item in resolved["augmentation"]],
    }
    skills = dict(resolved["skills"])
    if skills["teacher"] is not None:
        skills["teacher"] = _choice("teacher", skills["teacher"])
    return build(Recipe, {**resolved, **parts, "skills": skills})


def choice_of(part: str, item: dict[str, Any]) -> Choice:
    """A resolved map of a selector, teacher, augmentation or scorer as a `Choice`."""
    return build(Choice, _choice(part, item))


def _choice(part: str, item: dict[str, Any]) -> dict[str, Any]:
    key = item[FAMILIES[part].key]
    names = {"name", FAMILIES[part].key, *FAMILIES[part].shared}
    options = {name: value for name, value in item.items() if name not in names}
    shared = {name: item.get(name) for name in ("weight", "limit")}
    return {"key": key, "name": item.get("name", key), "options": options, **shared}


def _file(path: str) -> str:
    if os.path.exists(path) or path.endswith((".yaml", ".yml")):
        return path
    ready_made = bundled.find(path)
    return _shown(ready_made) if ready_made else path


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
