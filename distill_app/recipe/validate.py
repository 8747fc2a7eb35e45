"""What the schema has against a recipe, all of it at once, each fault with its place and what to do about it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from distill_app.errors import Fault, Position
from distill_app.recipe import nodes, schema, wording
from distill_app.recipe.nodes import Node, Path
from distill_app.recipe.schema import FAMILIES, Schema, Schemas
from distill_app.recipe.wording import got, listed, quoted, short

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

Found = tuple[Path, Fault]

_YES, _NO = {"yes", "on", "y", "true"}, {"no", "off", "n", "false"}


def faults(schemas: Schemas, root: Node) -> list[Found]:
    """The faults of a recipe against the schema, each with the path it is about, in the order of the schema."""
    data = nodes.plain(root)
    found: dict[tuple[str, Path], Found] = {}
    for error in _validator(schemas).iter_errors(data):
        for path, fault in _Explainer(schemas, root, data).explain(error):
            found.setdefault((fault.message, path), (path, fault))
    return list(found.values())


_validators: dict[int, Any] = {}


def _validator(schemas: Schemas) -> Any:
    if id(schemas) not in _validators:
        from jsonschema import Draft202012Validator
        from referencing import Registry

        _validators[id(schemas)] = (Draft202012Validator(schemas.root, registry=Registry()), schemas)
    return _validators[id(schemas)][0]


class _Explainer:
    def __init__(self, schemas: Schemas, root: Node, data: Any) -> None:
        self.schemas = schemas
        self.root = root
        self.data = data

    def at(self, path: Path, message: str, suggestion: str, *, key: bool = False) -> Found:
        return path, nodes.fault(self.root, path, message, suggestion, key=key)

    def explain(self, error: ValidationError) -> Iterator[Found]:
        path: Path = tuple(error.absolute_path)
        value, rule, limit = error.instance, str(error.validator), error.validator_value
        spec: Schema = error.schema
        if "propertyNames" in error.relative_schema_path:
            yield self.at((*path, value), f"{quoted(value)} cannot be a key here.", self.example(spec), key=True)
        elif rule == "additionalProperties":
            for name in [name for name in value if name not in spec.get("properties", {})]:
                yield self.at((*path, name), *self.unknown_key(path, name, spec), key=True)
        elif rule == "required":
            for name in [name for name in limit if name not in value]:
                yield self.missing(path, name, spec)
        elif rule in ("oneOf", "anyOf"):
            yield from self.branches(path, value, limit, spec, error)
        elif rule == "type":
            types = [limit] if isinstance(limit, str) else limit
            yield self.at(path, *self.wrong_type(value, types, spec, path))
        elif rule in ("enum", "const"):
            yield self.at(path, *self.not_listed(value, limit if rule == "enum" else [limit], spec, path))
        elif rule == "pattern":
            yield self.at(path, *self.wrong_form(value, limit, spec, path))
        elif rule == "uniqueItems":
            yield from self.twice(path, value)
        else:
            yield self.at(path, *self.out_of_range(rule, value, limit, spec))

    def example(self, spec: Schema) -> str:
        value = wording.example(self.schemas, spec)
        return f"For example: {short(value)}." if value else "`distill-app schema` says what can stand here."

    def unknown_key(self, path: Path, name: str, spec: Schema) -> tuple[str, str]:
        names = list(spec.get("properties", {}))
        message = f"there is no key `{name}` here."
        near = wording.nearest(name, names, 0.75)
        if near:
            return message, f"Did you mean `{near}`?"
        homes = [home for home in _homes(self.schemas).get(name, []) if home != ".".join(map(str, path))]
        own = [home for home in homes if " of the " in home]
        if own and path and str(path[0]) in FAMILIES:
            homes = own
        if homes:
            return message, f"`{name}` belongs to {' or '.join(homes[:3])}."
        near = wording.nearest(name, names, 0.5)
        hint = f"Did you mean `{near}`? " if near else ""
        return message, f"{hint}Valid keys: {', '.join(names)}."

    def missing(self, path: Path, name: str, spec: Schema) -> Found:
        missing = schema.resolve(self.schemas, spec["properties"][name])
        purpose = missing.get("description", "").split(". ")[0].rstrip(".")
        example = wording.example(self.schemas, missing)
        message = f"the key is missing{f': {purpose}' if purpose else ''}."
        suggestion = f"For example: `{name}: {short(example, 200)}`."
        if path == ():
            position = Position(self.root.position.file, 1, 1)
            return (name,), Fault(position, name, message, suggestion)
        shown = ".".join(part for part in (nodes.dotted(self.root, path), name) if part)
        return (*path, name), Fault(nodes.key_of(self.root, path), shown, message, suggestion)

    def branches(
        self, path: Path, value: Any, branches: list[Schema], spec: Schema, error: ValidationError
    ) -> Iterator[Found]:
        """The faults of the branch that the value's type shows to be meant."""
        if spec.get("title") == "Top" and path[-1:] == ("top",):
            yield self.at(path, *_top(value))
            return
        chosen = schema.branch(self.schemas, branches, value)
        if chosen is not None:
            for child in error.context or []:
                if child.relative_schema_path[0] == chosen:
                    yield from self.explain(child)
            return
        types = [kind for branch in branches for kind in _kinds(schema.resolve(self.schemas, branch))]
        yield self.at(path, *self.wrong_type(value, list(dict.fromkeys(types)), spec, path))

    def wrong_type(self, value: Any, types: list[str], spec: Schema, path: Path) -> tuple[str, str]:
        message = f"expected {wording.kinds(types)}, got {got(value)}."
        spec = schema.resolve(self.schemas, spec)
        if value is None:
            known = schema.at(self.schemas, self.data, path) or spec
            if "default" in known:
                return message, f"Write a value, or leave the key out to take {short(known['default'])}."
            return message, self.example(known)
        entry = len(path) == 1 or (len(path) == 2 and isinstance(path[1], int))
        if entry and path[0] in FAMILIES and not isinstance(value, dict):
            return message, self.member_example(str(path[0]), value)
        if isinstance(value, str):
            if "boolean" in types and value.lower() in _YES | _NO:
                return message, f"Write `{'true' if value.lower() in _YES else 'false'}`, without quotes."
            number = wording.as_number(value) if {"integer", "number"} & set(types) else None
            if isinstance(number, float) and "number" not in types:
                number = _nearest_whole(number, spec)
            if number is not None:
                return message, f"Write {short(number)}, without quotes."
        if isinstance(value, float) and "integer" in types:
            return message, f"The nearest valid value is {_nearest_whole(value, spec)}."
        if "string" in types and isinstance(value, int | float):
            if spec.get("pattern", "").endswith("%$"):
                return message, f"Write {short(value)}% for that share."
            return message, f'Put it in quotes: "{short(value)}".'
        if "array" in types and not isinstance(value, dict | list):
            return message, f"Write it as a list: [{short(value)}]."
        return message, self.example(spec)

    def member_example(self, part: str, value: Any) -> str:
        """The map that a selector's (teacher's, ...) bare name was to be, or any such map."""
        written = wording.example(self.schemas, self.schemas.root["$defs"][part])
        near = wording.nearest(value, self.schemas.members[part]) if isinstance(value, str) else None
        if near is None:
            return f"For example: {short(written)}."
        return f"Write {short({**written, FAMILIES[part].key: near})}."

    def not_listed(self, value: Any, allowed: list[Any], spec: Schema, path: Path) -> tuple[str, str]:
        if path == ("version",):
            return f"this program reads version {allowed[0]} of the format, got {got(value)}.", "Write `version: 1`."
        words = [item for item in allowed if isinstance(item, str)]
        if not isinstance(value, str) or not words:
            return f"expected one of {listed(allowed)}, got {got(value)}.", f"For example: {short(allowed[0])}."
        near = wording.nearest(value, words, 0.5)
        noun = spec.get("title", "").lower()
        for family in FAMILIES.values():
            if path[-1:] == (family.key,) and path[:1] == (family.part,):
                noun = f"{family.part} {family.key}" if family.key != "name" else family.part
        hint = f"Did you mean `{near}`? " if near else ""
        if not noun:
            outer = schema.at(self.schemas, self.data, path) or {}
            kinds = [
                kind
                for item in outer.get("oneOf") or outer.get("anyOf") or []
                for kind in _kinds(schema.resolve(self.schemas, item))
            ]
            other = wording.kinds([kind for kind in kinds if kind != "string"])
            listing = f"{listed(words)}{f', or {other}' if other else ''}"
            return f"expected {listing}, got {got(value)}.", hint.strip() or self.example(outer)
        return f"there is no {noun} {quoted(value)}.", f"{hint}Valid: {listed(words)}."

    def wrong_form(self, value: str, pattern: str, spec: Schema, path: Path) -> tuple[str, str]:
        if pattern == schema.resolve(self.schemas, self.schemas.root["properties"]["name"])["pattern"]:
            return (
                f"{quoted(value)} cannot be a name: names have up to 64 lower-case letters, digits, dots, dashes "
                "and underscores, and start with a letter or digit.",
                f"Write `{valid_name(value)}`.",
            )
        if pattern == r"\{question\}":
            return (
                f"{quoted(value)} lacks {{question}}, which stands for the question.",
                "Write {question} where the question is to stand.",
            )
        if spec.get("writeOnly"):
            return (
                f"what stands here does not have the form needed for {path[-1]} (it is not shown: it may be a secret).",
                self.example(spec),
            )
        return f"{quoted(value)} does not have the form needed for {path[-1]}.", self.example(spec)

    def twice(self, path: Path, value: list[Any]) -> Iterator[Found]:
        seen: list[str] = []
        for index, item in enumerate(value):
            text = json.dumps(item, sort_keys=True)
            if text in seen:
                message = f"{short(item)} stands twice in the list."
                yield self.at((*path, index), message, "Delete one of them.")
            seen.append(text)

    def out_of_range(self, rule: str, value: Any, limit: Any, spec: Schema) -> tuple[str, str]:
        bounds = {
            "minimum": (f"must be at least {short(limit)}", f"The nearest valid value is {short(limit)}."),
            "maximum": (f"must be at most {short(limit)}", f"The nearest valid value is {short(limit)}."),
            "exclusiveMinimum": (f"must be above {short(limit)}", self.example(spec)),
            "exclusiveMaximum": (f"must be below {short(limit)}", self.example(spec)),
        }
        if rule in bounds:
            message, suggestion = bounds[rule]
            return f"{message}, got {short(value)}.", suggestion
        if rule in ("minLength", "minItems", "minProperties"):
            return ("must not be empty." if limit == 1 else f"needs at least {limit} entries."), self.example(spec)
        if rule in ("maxLength", "maxItems", "maxProperties"):
            unit = "characters" if rule == "maxLength" else "entries"
            return f"must have at most {limit} {unit}, and has {len(value)}.", "Shorten it."
        return f"{got(value)} does not satisfy {rule} {short(limit)}.", self.example(spec)


def valid_name(text: str) -> str:
    """The valid recipe name nearest to `text`."""
    tidy = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).lstrip("._-").rstrip("-")
    return tidy[:64] or "my-experiment"


def _kinds(branch: Schema) -> list[str]:
    kinds = schema.types(branch)
    return [kind for kind in ("integer", "number", "string", "boolean", "array", "object", "null") if kind in kinds]


def _nearest_whole(value: float, spec: Schema) -> int:
    return int(min(max(round(value), spec.get("minimum", round(value))), spec.get("maximum", round(value))))


def _top(value: Any) -> tuple[str, str]:
    message = f"expected a share such as 12.5%, or a count of rows such as 100, got {got(value)}."
    number = wording.as_number(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        return message, "Write top: 12.5% or top: 100."
    if isinstance(value, str) and value.strip().endswith("%"):
        return message, f"The nearest valid value is {min(max(number * 100, 0), 100):g}%."
    if number <= 0:
        return message, "The smallest count is 1."
    if number < 1:
        return message, f"Write {number * 100:g}% for that share."
    if isinstance(number, int):
        return message, f"Write {number} without quotes for a count, or {min(number, 100)}% for a share."
    return message, f"Write {min(number, 100):g}% for a share, or {round(number)} for a count."


@lru_cache(maxsize=4)
def _homes_of(identity: int) -> dict[str, list[str]]:
    schemas = _validators[identity][1]
    homes: dict[str, list[str]] = {}

    def note(properties: Schema, home: str) -> None:
        for name, spec in properties.items():
            homes.setdefault(name, []).append(home or "the top level")
            inner = schema.resolve(schemas, spec)
            if "properties" in inner and inner.get("allOf") is None:
                note(inner["properties"], f"{home}.{name}".lstrip("."))

    note(schemas.root["properties"], "")
    benchmark = schemas.root["$defs"].get("benchmark", {})
    note(benchmark.get("properties", {}), "evaluation.benchmarks")
    nouns = {"quality": "quality scorer"}
    for part, members in schemas.members.items():
        for member, spec in members.items():
            common = set(schemas.root["$defs"][part]["properties"])
            own = {name: item for name, item in spec["properties"].items() if name not in common}
            for name in own:
                homes.setdefault(name, []).append(f"the options of the {nouns.get(part, part)} `{member}`")
    return homes


def _homes(schemas: Schemas) -> dict[str, list[str]]:
    """Where in a recipe each key is known: key -> "training.lora", "the options of the selector `dmc`"."""
    return _homes_of(id(schemas))
