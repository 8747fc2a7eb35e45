"""The fields of the recipe form, as the JSON Schema has them: one for each option, none written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from distill_app.recipe import schema
from distill_app.recipe.save import flow
from distill_app.recipe.schema import FAMILIES, Schema, Schemas

Path = tuple[str, ...]
Kind = Literal["choice", "number", "text", "list", "yaml", "switch"]

ENTRY = "*"
"""Stands in a path for the entry of a list that the form shows just now."""
LISTS: tuple[Path, ...] = (("teacher",), ("augmentation",), ("evaluation", "benchmarks"))
BORROWED: tuple[Path, ...] = (("quality", "teacher"), ("skills", "teacher"))
"""Maps like an entry of `teacher`: the fields of a teacher show these as well, one at a time."""
NOT_GIVEN = ""
_SCALARS = {"string", "number", "integer", "boolean"}


@dataclass(frozen=True, slots=True)
class Field:
    """One option: where it stands in the recipe, what sort of widget it needs, when it shows.

    kind   choice  one of `choices` (label to value), or nothing
           number  a number as text, or nothing
           text    text; nothing leaves the key out, and `""` writes an empty text
           list    single values with commas between them
           yaml    any value, as YAML on one line
           switch  a map that may be there (its options are fields of their own), null, or nothing
    """

    path: Path
    kind: Kind
    title: str
    help: str
    section: str
    spec: Schema = field(compare=False, repr=False)
    choices: tuple[tuple[str, Any], ...] = ()
    members: frozenset[str] | None = None
    """Shown for these members of the family at `family` alone; None: for all."""
    family: Path | None = None
    inside: Path | None = None
    """Shown while there is a map here."""

    @property
    def id(self) -> str:
        """The widget's id: f-training-lora-rank, or f-selector-clip-of-dmc where members differ."""
        parts = [part for part in self.path if part != ENTRY]
        name = "f-" + "-".join(parts)
        return name if self.members is None or self.plain else f"{name}-of-{min(self.members)}"

    plain: bool = True
    """No other field has this path."""


@lru_cache(maxsize=1)
def all_fields() -> tuple[Field, ...]:
    """Every option of the installed schemas, in their order."""
    schemas = schema.installed()
    found: dict[tuple[Any, ...], Field] = {}
    for item in _walk(schemas, schemas.root, (), ""):
        key = (item.path, item.kind, item.title, item.help, str(item.choices), item.inside)
        if key in found and item.members is not None:
            item = replace(item, members=item.members | (found[key].members or frozenset()))
        found[key] = item
    paths = [item.path for item in found.values()]
    return tuple(replace(item, plain=paths.count(item.path) == 1) for item in found.values())


def sections() -> dict[str, tuple[str, str]]:
    """Section -> title and help, in the schema's order; the first, "", holds what stands at the top level."""
    schemas = schema.installed()
    found = {"": ("General", "")}
    for name, spec in schemas.root["properties"].items():
        spec = schema.resolve(schemas, spec)
        if any(item.section == name for item in all_fields()):
            found[name] = (spec["title"], spec["description"])
    return found


def member_key(part: str) -> str:
    """The key that names a family's member: `name`, `backend`, `scorer`."""
    return FAMILIES[part].key


def _walk(schemas: Schemas, spec: Schema, path: Path, section: str) -> Iterator[Field]:
    """The fields of one value."""
    spec = schema.resolve(schemas, spec)
    branches = [schema.resolve(schemas, item) for item in spec.get("oneOf") or spec.get("anyOf") or ()]
    maps = [item for item in branches if "properties" in item]
    if path in BORROWED:
        if path == ("skills", "teacher"):
            yield _field(path, "switch", spec, section)
        return
    if path in LISTS:
        items = spec if path == ("teacher",) else schema.resolve(schemas, spec["items"])
        branches = [schema.resolve(schemas, item) for item in items["oneOf"]]
        yield from _map(schemas, next(item for item in branches if "properties" in item), (*path, ENTRY), section)
    elif "properties" in spec:
        yield from _map(schemas, spec, path, section)
    elif maps:
        yield _field(path, "switch", spec, section)
        for item in _map(schemas, maps[0], path, section):
            yield replace(item, inside=path)
    else:
        yield _leaf(spec, path, section, branches)


def _map(schemas: Schemas, spec: Schema, path: Path, section: str) -> Iterator[Field]:
    part = next((name for name in FAMILIES if spec.get("allOf") is schemas.root["$defs"][name]["allOf"]), None)
    if part is None:
        for name, item in spec["properties"].items():
            yield from _walk(schemas, item, (*path, name), section or (name if _is_section(schemas, item) else ""))
        return
    key = FAMILIES[part].key
    yield _leaf(spec["properties"][key], (*path, key), section, [])
    for member, member_spec in schemas.members[part].items():
        for name, item in member_spec["properties"].items():
            if name != key:
                for one in _walk(schemas, item, (*path, name), section):
                    yield replace(one, members=frozenset({member}), family=path)


def _is_section(schemas: Schemas, spec: Schema) -> bool:
    spec = schema.resolve(schemas, spec)
    return "properties" in spec or spec.get("title") in ("Teacher", "Augmentation")


def _leaf(spec: Schema, path: Path, section: str, branches: list[Schema]) -> Field:
    types = schema.types(spec) if not branches else set().union(*(schema.types(item) for item in branches))
    null_is_default = "null" not in types or spec.get("default") is None
    if "enum" in spec or "const" in spec:
        values = spec.get("enum", [spec.get("const")])
        return _field(path, "choice", spec, section, values)
    if types <= {"boolean", "null"}:
        return _field(path, "choice", spec, section, [True, False, *([None] if "null" in types else [])])
    if types <= {"number", "integer", "null"} and null_is_default:
        return _field(path, "number", spec, section)
    if types <= {"string", "null"} and null_is_default:
        return _field(path, "text", spec, section)
    if types <= {"array", "null"} and null_is_default and schema.types(spec["items"]) <= _SCALARS:
        return _field(path, "list", spec, section)
    return _field(path, "yaml", spec, section)


def _field(path: Path, kind: Kind, spec: Schema, section: str, values: list[Any] | None = None) -> Field:
    if kind == "switch":
        values = [None, {}]
    shown = tuple((label(value), value) for value in values or ())
    return Field(path, kind, spec["title"], spec["description"], section, spec, shown)


def label(value: Any) -> str:
    """A choice in words: text as it is, anything else as YAML; `{}` stands for a map that is there."""
    if value == {}:
        return "yes"
    return value if isinstance(value, str) else flow(value)
