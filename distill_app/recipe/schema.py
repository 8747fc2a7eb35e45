"""The schemas as one: the recipe's own and those of every selector, teacher, augmentation and quality scorer.

Which families' members exist is read from the folders under schemas/: a file dropped in is a valid name, and
nothing else needs an edit. The lists that recipe.schema.json itself holds serve editors that open it alone.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from distill_app import resources

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Family:
    """A part of the recipe whose options depend on a name: which key holds it, which folder its schemas.

    `shared` are keys that every member has and that are no options of its own.
    """

    part: str
    key: str
    folder: str
    shared: tuple[str, ...] = ()


FAMILIES = {
    "selector": Family("selector", "name", "selectors"),
    "teacher": Family("teacher", "backend", "teachers", ("weight", "limit")),
    "augmentation": Family("augmentation", "name", "augmentations"),
    "quality": Family("quality", "scorer", "quality"),
}


@dataclass(frozen=True, slots=True)
class Schemas:
    """`root`: the bundled schema. `members`: part of the recipe -> name -> schema, the same objects as in root."""

    root: Schema
    members: Mapping[str, Mapping[str, Schema]]


@lru_cache(maxsize=1)
def installed() -> Schemas:
    """The schemas that come with the program."""
    return load({})


def load(extra: Mapping[str, Path]) -> Schemas:
    """The schemas that come with the program and those in `extra` (folder name such as "selectors" -> folder).

    Raises ValueError for a schema file that is not JSON or refers to what is not there.
    """
    home = resources.folder("schemas")
    root = _json(home / "recipe.schema.json")
    _localise(root, "recipe.schema.json")
    definitions = root["$defs"]
    members: dict[str, dict[str, Schema]] = {}
    for part, family in FAMILIES.items():
        files = [*sorted(_listed(home / family.folder)), *sorted(_listed(extra.get(family.folder)))]
        found = members[part] = {path.stem: _json(path) for path in files}
        names = sorted(found)
        for name, schema in found.items():
            schema.pop("$schema", None)
            schema.pop("$id", None)
            _localise(schema, f"{family.folder}/{name}.json")
            definitions[f"{family.folder}.{name}"] = schema
        chooser = definitions[part]
        chooser["properties"][family.key]["enum"] = names
        chooser["allOf"] = [
            {
                "if": {"properties": {family.key: {"const": name}}, "required": [family.key]},
                "then": {"$ref": f"#/$defs/{family.folder}.{name}"},
            }
            for name in names
        ]
    shorthand = root["properties"]["augmentation"]["items"]["oneOf"][0]
    shorthand.clear()
    shorthand["enum"] = sorted(members["augmentation"])
    schemas = Schemas(root, members)
    _check_references(schemas)
    return schemas


def bundle(extra: Mapping[str, Path] | None = None) -> Schema:
    """One JSON Schema (2020-12) of a whole recipe that refers to no other file: a copy, to print or to write.

    Members of the families are under `$defs` as `<folder>.<name>`, and every `$ref` is local, because many
    editors do not follow the `$id` of an embedded schema.
    """
    schemas = load(extra) if extra else installed()
    copy: Schema = json.loads(json.dumps(schemas.root))
    return copy


def resolve(schemas: Schemas, schema: Schema) -> Schema:
    """`schema` with its `$ref`s followed; keywords beside a `$ref`, such as a default, win."""
    while "$ref" in schema:
        target: Any = schemas.root
        for part in schema["$ref"].removeprefix("#").split("/")[1:]:
            target = target[part]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def effective(schemas: Schemas, schema: Schema, value: Any) -> Schema:
    """The schema that applies to `value`: references followed, the branch of its type and its family taken."""
    schema = resolve(schemas, schema)
    for keyword in ("oneOf", "anyOf"):
        if keyword in schema:
            index = branch(schemas, schema[keyword], value)
            if index is not None:
                return effective(schemas, schema[keyword][index], value)
    member = member_of(schemas, schema, value)
    return member if member is not None else schema


def member_of(schemas: Schemas, schema: Schema, value: Any) -> Schema | None:
    """The family member's schema that a map of a selector, teacher, augmentation or scorer names, if any."""
    for part, family in FAMILIES.items():
        if isinstance(value, dict) and schema.get("allOf") is schemas.root["$defs"][part]["allOf"]:
            name = value.get(family.key)
            return schemas.members[part].get(name) if isinstance(name, str) else None
    return None


def branch(schemas: Schemas, branches: list[Schema], value: Any) -> int | None:
    """The first of several schemas that is for values of this type; None when none is."""
    for index, schema in enumerate(branches):
        if type_of(value) in types(resolve(schemas, schema)):
            return index
    return None


def types(schema: Schema) -> set[str]:
    """The JSON types that a schema speaks of; "integer" stands for whole numbers, also where any number may be."""
    if "type" in schema:
        named = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return {*named, "integer"} if "number" in named else set(named)
    if "const" in schema:
        return {type_of(schema["const"])}
    return {type_of(value) for value in schema.get("enum", [])}


def type_of(value: Any) -> str:
    """The JSON type of plain data."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    names = {int: "integer", str: "string", dict: "object", list: "array", type(None): "null"}
    return names[type(value)]


def item_schema(schemas: Schemas, schema: Schema, part: str | int) -> Schema | None:
    """The schema of a property or list item of an effective schema; None for a key it does not know."""
    found: Any
    if isinstance(part, int):
        found = schema.get("items")
    else:
        found = schema.get("properties", {}).get(part, schema.get("additionalProperties"))
    return resolve(schemas, found) if isinstance(found, dict) else None


def at(schemas: Schemas, data: Any, path: tuple[str | int, ...]) -> Schema | None:
    """The schema of the value at `path` of a recipe's `data`, before its own branch is taken."""
    schema = schemas.root
    for part in path:
        below = item_schema(schemas, effective(schemas, schema, data), part)
        if below is None:
            return None
        schema = below
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            data = None
    return schema


def _listed(folder: Path | None) -> list[Path]:
    return [path for path in folder.glob("*.json") if not path.name.startswith("_")] if folder else []


def _json(path: Path) -> Schema:
    try:
        schema: Schema = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{os.fspath(path)} is not JSON: {error}") from error
    return schema


def _localise(schema: Any, file: str) -> None:
    """Rewrites every `$ref` of `file` in place so that it holds inside the bundle."""
    if isinstance(schema, list):
        for item in schema:
            _localise(item, file)
    elif isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            target, _, pointer = reference.partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(file), target)) if target else file
            inside = target.removesuffix(".json").replace("/", ".")
            home = "" if target == "recipe.schema.json" else f"/$defs/{inside}"
            schema["$ref"] = f"#{home}{pointer}"
        for item in schema.values():
            _localise(item, file)


def _check_references(schemas: Schemas) -> None:
    def check(schema: Any) -> None:
        if isinstance(schema, dict):
            if isinstance(schema.get("$ref"), str):
                try:
                    resolve(schemas, {"$ref": schema["$ref"]})
                except (KeyError, TypeError):
                    raise ValueError(f"a schema refers to {schema['$ref']}, which is not there") from None
            schema = list(schema.values())
        if isinstance(schema, list):
            for item in schema:
                check(item)

    check(schemas.root)
