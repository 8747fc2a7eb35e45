"""A recipe laid over the one it extends."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from distill_app.errors import Fault, RecipeError
from distill_app.recipe import allowed, bundled, load, nodes, path_faults, paths, versions
from distill_app.recipe.allowed import Roots
from distill_app.recipe.load import Tree
from distill_app.recipe.nodes import Node, Path
from distill_app.recipe.schema import FAMILIES, Schemas

DEEPEST = 8


def read(schemas: Schemas, file: str, roots: Roots, chain: Sequence[str] = ()) -> tuple[Tree, Node]:
    """The file as it stands, and its values with those of the recipes it extends beneath.

    `roots` are the folders that `extends` may lead into. Raises `UsageError` when the first file cannot be read,
    `RecipeError` for every other fault.
    """
    tree = load.read(file)
    versions.check(tree.root)
    said = nodes.step(tree.root, "extends")
    root = nodes.without(tree.root, "extends")
    if said is None or said.value is None:
        return tree, root
    base = _base(tree, said, roots)
    chain = [*chain, file]
    if os.path.realpath(base) in map(os.path.realpath, chain):
        raise _fault(said, "the recipe extends itself: " + " -> ".join([*chain, base]) + ".", "Take one of them out.")
    if len(chain) > DEEPEST:
        raise _fault(said, f"recipes extend each other more than {DEEPEST} deep.", "Merge some of them.")
    return tree, merge(schemas, read(schemas, base, roots, chain)[1], root)


def merge(schemas: Schemas, base: Node, child: Node, path: Path = ()) -> Node:
    """`child` over `base`: maps key by key, anything else replaces.

    Where a selector, teacher or scorer is changed for another, the base's options go unless the new one has
    options of the same name.
    """
    if not (isinstance(base.value, dict) and isinstance(child.value, dict)):
        return child
    kept = base.value
    if len(path) == 1 and path[0] in FAMILIES:
        known = new_options(schemas, str(path[0]), base, child)
        if known is not None:
            kept = {key: node for key, node in base.value.items() if key in known}
    merged = dict(kept)
    for key, node in child.value.items():
        merged[key] = merge(schemas, merged[key], node, (*path, key)) if key in merged else node
    return replace(child, value=merged, span=None)


def new_options(schemas: Schemas, part: str, before: Node, after: Node) -> set[str] | None:
    """The option names of the member that `after` names, when it is another than `before` names; else None."""
    key = FAMILIES[part].key
    old, new = nodes.step(before, key), nodes.step(after, key)
    if new is None or (old is not None and old.value == new.value) or not isinstance(new.value, str):
        return None
    member = schemas.members[part].get(new.value)
    return set(member["properties"]) if member else None


def _base(tree: Tree, said: Node, roots: Roots) -> str:
    if not isinstance(said.value, str) or not said.value:
        raise _fault(said, "expected the path of another recipe.", "For example: `extends: quickstart.yaml`.")
    if "\0" in said.value:
        raise _fault(said, "a path cannot hold a null character.", "Correct the path.")
    path = os.path.normpath(os.path.join(os.path.dirname(tree.file), paths.at_home(said.value)))
    ready_made = bundled.find(said.value)
    if ready_made and not os.path.isfile(path):
        return str(ready_made)
    if not allowed.inside(path, roots):
        raise _fault(said, *path_faults.elsewhere(os.path.abspath(path)))
    if os.path.isfile(path):
        return path
    if os.path.isdir(path):
        raise _fault(said, f"{path} is a folder, not a recipe.", "Name a file in it.")
    if why := path_faults.as_written(path):
        raise _fault(said, f"there is no recipe {path}.", why)
    near = path_faults.nearest_file(path)
    hint = f"Did you mean `{os.path.join(os.path.dirname(said.value), near)}`? " if near else ""
    raise _fault(
        said,
        f"there is no recipe {path}.",
        f"{hint}The path is relative to the folder of the recipe that says it.",
    )


def _fault(said: Node, message: str, suggestion: str) -> RecipeError:
    return RecipeError([Fault(said.position, "extends", message, suggestion)])
