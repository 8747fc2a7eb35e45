"""Every key of the recipe's schemas under a name of its own, and what can be wrong with its value.

`pool.samples` is a key of the recipe, `selectors.dmc.top` one of a selector, `tags[]` an entry of a list and
`matrix.*` a value of a map with keys of one's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from jsonschema import Draft202012Validator

from distill_app.errors import Fault
from distill_app.recipe import nodes, schema
from distill_app.recipe.nodes import Node
from distill_app.recipe.schema import FAMILIES, Schema, Schemas

BOUNDS = (
    "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems",
    "pattern", "enum", "const", "uniqueItems",
)  # fmt: skip
_MISSPELT = re.compile(r"Did you mean `([^`]+)`\?")
KINDS = ("string", "integer", "number", "boolean", "array", "object", "null")


def keys(schemas: Schemas) -> dict[str, Schema]:
    """Every key of the recipe, of every selector, teacher, augmentation and scorer, with its schema."""
    return dict(_below(schemas, schemas.root, "", set()))


def _below(schemas: Schemas, spec: Schema, name: str, seen: set[str]) -> Iterator[tuple[str, Schema]]:
    spec = schema.resolve(schemas, spec)
    for branch in spec.get("oneOf", spec.get("anyOf", [])):
        yield from _below(schemas, branch, name, seen)
    part = _family(schemas, spec)
    if part is not None:
        key = FAMILIES[part].key
        yield f"{part}.{key}", schema.resolve(schemas, spec["properties"][key])
        for member, own in schemas.members[part].items():
            inside = f"{FAMILIES[part].folder}.{member}"
            if inside not in seen:
                seen.add(inside)
                yield from _below(schemas, own, inside, seen)
        return
    for key, child in spec.get("properties", {}).items():
        child = schema.resolve(schemas, child)
        if "const" in child and name in seen:
            continue  # the member's own name: another one is another member
        yield f"{name}.{key}".lstrip("."), child
        yield from _below(schemas, child, f"{name}.{key}".lstrip("."), seen)
    for keyword, mark in (("additionalProperties", ".*"), ("items", "[]")):
        if isinstance(child := spec.get(keyword), dict):
            child = schema.resolve(schemas, child)
            if _family(schemas, child) is None:
                yield name + mark, child
            yield from _below(schemas, child, name + mark, seen)


def identify(schemas: Schemas, data: Any, path: tuple[str | int, ...]) -> tuple[str, Schema | None]:
    """The name and the schema of the key at `path` of a recipe's data; None for a key that no schema knows."""
    spec: Schema = schemas.root
    name = ""
    for part in path:
        spec = schema.effective(schemas, spec, data)
        for family, members in schemas.members.items():
            found = [member for member, own in members.items() if own is spec]
            if found:
                name = f"{FAMILIES[family].folder}.{found[0]}"
            elif _family(schemas, spec) == family:
                name = family
        if isinstance(part, int):
            child, name = spec.get("items"), f"{name}[]"
        elif part in spec.get("properties", {}):
            child, name = spec["properties"][part], f"{name}.{part}".lstrip(".")
        elif isinstance(spec.get("additionalProperties"), dict):
            child, name = spec["additionalProperties"], f"{name}.*"
        else:
            return f"{name}.{part}".lstrip("."), None
        if not isinstance(child, dict):
            return name, None
        spec = schema.resolve(schemas, child)
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            data = None
    return name, spec


def branches(schemas: Schemas, spec: Schema) -> list[Schema]:
    """What a value may be, each possibility by itself."""
    spec = schema.resolve(schemas, spec)
    if inner := spec.get("oneOf", spec.get("anyOf")):
        return [one for branch in inner for one in branches(schemas, branch)]
    return [spec]


def types(schemas: Schemas, spec: Schema) -> set[str]:
    """The JSON types that a value may have."""
    return {kind for branch in branches(schemas, spec) for kind in schema.types(branch)}


def wrongs(schemas: Schemas, spec: Schema) -> set[str]:
    """What can be wrong with a value: its type ("type"), and every bound of its schema, by keyword."""
    bounds = {keyword for branch in branches(schemas, spec) for keyword in BOUNDS if keyword in branch}
    return bounds | ({"type"} if set(KINDS) - types(schemas, spec) else set())


def wrong_with(schemas: Schemas, spec: Schema, value: Any) -> set[str]:
    """What is wrong with this value."""
    if schema.type_of(value) not in types(schemas, spec):
        return {"type"}
    fitting = [branch for branch in branches(schemas, spec) if schema.type_of(value) in schema.types(branch)]
    return {
        keyword
        for branch in fitting
        for keyword in BOUNDS
        if keyword in branch and not Draft202012Validator({keyword: branch[keyword]}).is_valid(value)
    }


def faults_at(schemas: Schemas, root: Node, faults: Iterable[Fault]) -> set[tuple[str, str]]:
    """Which keys these faults of the recipe `root` are about, and what is wrong with each, going by where they were
    found and what stands there. "misspelt" is the key whose name was nearly written."""
    walked = list(nodes.walk(root))
    data, values = nodes.plain(root), {path: nodes.plain(node) for path, node in walked}
    places = {(node.position.line, node.position.column): path for path, node in walked}
    places |= {(node.key.line, node.key.column): path for path, node in walked if node.key}
    found: set[tuple[str, str]] = set()
    for fault in faults:
        path = places.get((fault.position.line, fault.position.column))
        if path is None:
            continue
        # Of a list with an entry twice the list is wrong, and the second entry is where it is told.
        for at in (path, path[:-1]) if path and isinstance(path[-1], int) else (path,):
            name, spec = identify(schemas, data, at)
            if spec is not None:
                found |= {(name, wrong) for wrong in wrong_with(schemas, spec, values[at])}
            elif near := _MISSPELT.search(fault.suggestion):
                found.add((f"{name.rpartition('.')[0]}.{near[1]}".lstrip("."), "misspelt"))
    return found


def _family(schemas: Schemas, spec: Schema) -> str | None:
    for part in FAMILIES:
        if spec.get("allOf") is schemas.root["$defs"][part]["allOf"]:
            return part
    return None
