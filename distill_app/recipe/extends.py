"""A recipe laid over the one it extends."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from distill_app.errors import Fault, RecipeError
from distill_app.recipe import bundled, load, nodes
from distill_app.recipe.load import Tree
from distill_app.recipe.nodes import Node, Path
from distill_app.recipe.schema import FAMILIES, Schemas

DEEPEST = 8


def read(schemas: Schemas, file: str, chain: Sequence[str] = ()) -> tuple[Tree, Node]:
    """The file as it stands, and its values with those of the recipes it extends beneath.

    Raises `UsageError` when the first file cannot be read, `RecipeError` for every other fault.
    """
    tree = load.read(file)
    said = nodes.step(tree.root, "extends")
    root = nodes.without(tree.root, "extends")
    if said is None or said.value is None:
        return tree, root
    base = _base(tree, said)
    chain = [*chain, file]
    if os.path.realpath(base) in map(os.path.realpath, chain):
        raise _fault(said, "the recipe extends itself: " + " -> ".join([*chain, base]) + ".", "Take one of them out.")
    if len(chain) > DEEPEST:
        raise _fault(said, f"recipes extend each other more than {DEEPEST} deep.", "Merge some of them.")
    return tree, merge(schemas, read(schemas, base, chain)[1], root)


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


def _base(tree: Tree, said: Node) -> str:
    if not isinstance(said.value, str) or not said.value:
        raise _fault(said, "expected the path of another recipe.", "For example: `extends: quickstart.yaml`.")
    path = os.path.join(os.path.dirname(tree.file), os.path.expanduser(said.value))
    if os.path.isfile(path):
        return os.path.normpath(path)
    ready_made = bundled.find(said.value)
    if ready_made:
        return str(ready_made)
    near = nearest_file(path)
    hint = f"Did you mean `{os.path.join(os.path.dirname(said.value), near)}`? " if near else ""
    raise _fault(
        said,
        f"there is no recipe {path}.",
        f"{hint}The path is relative to the folder of the recipe that says it.",
    )


def nearest_file(path: str) -> str | None:
    """The name in the folder of `path` that is most like its last part."""
    from distill_app.recipe.wording import nearest

    folder, name = os.path.split(path)
    try:
        return nearest(name, sorted(os.listdir(folder or ".")))
    except (OSError, ValueError):
        return None


def _fault(said: Node, message: str, suggestion: str) -> RecipeError:
    return RecipeError([Fault(said.position, "extends", message, suggestion)])
