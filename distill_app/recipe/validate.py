"""What the schema has against a recipe, all of it at once, each fault with its place and what to do about it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from distill_app.errors import Fault, Position
from distill_app.recipe import nodes, schema, wording
from distill_app.recipe.homes import homes
from distill_app.recipe.nodes import Node, Path
from distill_app.recipe.schema import FAMILIES, Schema, Schemas
from distill_app.recipe.wording import got, listed, quoted, short

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

Found = tuple[Path, Fault]

MOST_FAULTS = 100
"""A recipe with more is not put right line by line, and finding the nearest valid name for each takes its time."""

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_YES, _NO = {"yes", "on", "y", "true"}, {"no", "off", "n", "false"}


def faults(schemas: Schemas, root: Node) -> list[Found]:
    """The faults of a recipe against the schema, each with the path it is about, in the order of the schema.

    Of more than `MOST_FAULTS` the first.
    """
    data = nodes.plain(root)
    found: dict[tuple[str, Path], Found] = {}
    for error in _validator(schemas).iter_errors(data):
        for path, fault in _Explainer(schemas, root, data).explain(error):
            found.setdefault((fault.message, path), (path, fault))
            if len(found) == MOST_FAULTS:
                return list(found.values())
    return list(found.values())


_validators: dict[int, Any] = {}


def _validator(schemas: Schemas) -> Any:
    if id(schemas) not in _validators:
        from jsonschema import Draft202012Validator
        from jsonschema.validators import extend
        from referencing import Registry

        kind = extend(Draft202012Validator, {"pattern": _pattern})
        _validators[id(schemas)] = (kind(schemas.root, registry=Registry()), schemas)
    return _validators[id(schemas)][0]


def _pattern(_validator: Any, pattern: str, value: Any, _schema: Schema) -> Iterator[ValidationError]:
    """JSON Schema's `$` is the end of the text; Python's lets a line feed follow."""
    from jsonschema.exceptions import ValidationError

    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


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
                yield from self.missing(path, name, spec, value)
        elif rule in ("oneOf", "anyOf"):
            yield from self.branches(path, value, limit, spec, error)
        elif rule == "type" and "enum" in spec:
            pass  # the list of values says more than their type
        elif rule == "type":
            types = [limit] if isinstance(limit, str) else limit
            yield self.at(path, *self.wrong_type(value, types, spec, path))
        elif rule in ("enum", "const"):
            yield self.at(path, *self.not_listed(value, limit if rule == "enum" else [limit], spec, path))
        elif rule == "pattern" and value == "" and "minLength" in spec:
            pass  # that it is empty is said already
        elif rule in _BOUNDS and schema.type_of(value) not in schema.types(spec):
            pass  # that it is of another type is said already
        elif rule == "pattern":
            yield self.at(path, *self.wrong_form(value, limit, spec, path))
        elif rule == "uniqueItems":
            yield from self.twice(path, value)
        else:
            yield self.at(path, *self.out_of_range(rule, value, limit, self.example(spec, path)))

    def example(self, spec: Schema, path: Path | None = None) -> str:
        """What could stand there: of `spec`, else of the key at `path` of which it is a possibility."""
        outer = (schema.at(self.schemas, self.data, path) if path else None) or {}
        for given in (spec, outer):
            value = wording.example(self.schemas, given)
            if value is not None and value not in ({}, [{}], [None]):
                return f"For example: {short(value)}."
        spec = schema.resolve(self.schemas, spec)
        if names := list(spec.get("properties", {})):
            return f"Its keys: {', '.join(names)}."
        return "Write a number." if "integer" in schema.types(spec) else "Write something there, or delete it."

    def unknown_key(self, path: Path, name: str, spec: Schema) -> tuple[str, str]:
        names = list(spec.get("properties", {}))
        if name == "<<":
            return "`<<` has YAML 1.1 merge maps, and recipes do not.", "Write the values out, or see `extends`."
        message = f"there is no key `{wording.quoted(name)[1:-1]}` here."
        near = wording.nearest(name, names, 0.75)
        if near:
            return message, f"Did you mean `{near}`?"
        places = [home for home in homes(self.schemas).get(name, []) if home != ".".join(map(str, path))]
        own = [home for home in places if " of the " in home]
        if own and path and str(path[0]) in FAMILIES:
            places = own
        if places:
            return message, f"`{name}` belongs to {' or '.join(places[:3])}."
        near = wording.nearest(name, names, 0.5)
        hint = f"Did you mean `{near}`? " if near else ""
        return message, f"{hint}Valid keys: {', '.join(names)}."

    def missing(self, path: Path, name: str, spec: Schema, value: Any) -> Iterator[Found]:
        """That a key is missing; where it is there, misspelt, that."""
        strange = [key for key in value if key not in spec["properties"] and wording.nearest(key, [name], 0.75)]
        if strange:
            yield (*path, name), self.at((*path, strange[0]), *self.unknown_key(path, strange[0], spec), key=True)[1]
            return
        missing = schema.resolve(self.schemas, spec["properties"][name])
        purpose = missing.get("description", "").split(". ")[0].rstrip(".")
        example = wording.example(self.schemas, missing)
        message = f"the key is missing{f': {purpose}' if purpose else ''}."
        suggestion = f"For example: `{name}: {short(example, 200)}`."
        if path == ():
            yield (name,), Fault(Position(self.root.position.file, 1, 1), name, message, suggestion)
            return
        shown = ".".join(part for part in (nodes.dotted(self.root, path), name) if part)
        yield (*path, name), Fault(nodes.key_of(self.root, path), shown, message, suggestion)

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
            written = self.member_example(str(path[0]), value)
            return message, written if "object" in types else f"Write it as a list: [{short(value)}]."
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
            one_of = "one of " if len(allowed) > 1 else ""
            return f"expected {one_of}{listed(allowed)}, got {got(value)}.", f"For example: {short(allowed[0])}."
        near = wording.nearest(value, words, 0.5)
        hint = f"Did you mean `{near}`? " if near else ""
        if "title" not in spec:
            outer = schema.at(self.schemas, self.data, path) or {}
            kinds = [
                kind
                for item in outer.get("oneOf") or outer.get("anyOf") or []
                for kind in _kinds(schema.resolve(self.schemas, item))
            ]
            other = wording.kinds([kind for kind in kinds if kind != "string"])
            listing = f"{listed(words)}{f', or {other}' if other else ''}"
            return f"expected {listing}, got {got(value)}.", hint.strip() or self.example(outer)
        message = f"{quoted(value)} is not a value of {path[-1]}."
        for family in FAMILIES.values():
            if path[-1:] == (family.key,) and allowed == sorted(self.schemas.members[family.part]):
                noun = f"{family.part} {family.key}" if family.key != "name" else family.part
                message = f"there is no {noun} {quoted(value)}."
        return message, f"{hint}Valid: {listed(words)}."

    def wrong_form(self, value: str, pattern: str, spec: Schema, path: Path) -> tuple[str, str]:
        if pattern == schema.resolve(self.schemas, self.schemas.root["properties"]["name"])["pattern"]:
            return (
                f"{quoted(value)} cannot be a name: names have up to 64 lower-case letters, digits, dots, dashes "
                "and underscores, and start with a letter or digit.",
                f"Write `{valid_name(value)}`.",
            )
        if pattern.endswith("%$"):
            return f"{quoted(value)} is not a share from 0% to 100%.", self.example(spec, path)
        if place := re.fullmatch(r"\\\{(\w+)\\\}", pattern):
            return (
                f"{quoted(value)} lacks {{{place[1]}}}, which stands for the {place[1]}.",
                f"Write {{{place[1]}}} where the {place[1]} is to stand.",
            )
        if spec.get("writeOnly"):
            return (
                "what stands here is no name of a variable with a server's key (it is not shown: it may be a secret).",
                "Such a name ends in _KEY or _TOKEN, and does not speak of SECRET, PRIVATE, ACCESS, SIGNING or SSH. "
                + self.example(spec),
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

    def out_of_range(self, rule: str, value: Any, limit: Any, example: str) -> tuple[str, str]:
        bounds = {
            "minimum": (f"must be at least {short(limit)}", f"The nearest valid value is {short(limit)}."),
            "maximum": (f"must be at most {short(limit)}", f"The nearest valid value is {short(limit)}."),
            "exclusiveMinimum": (f"must be above {short(limit)}", example),
            "exclusiveMaximum": (f"must be below {short(limit)}", example),
        }
        if rule in bounds:
            message, suggestion = bounds[rule]
            return f"{message}, got {short(value)}.", suggestion
        if rule in ("minLength", "minItems", "minProperties"):
            return ("must not be empty." if limit == 1 else f"needs at least {limit} entries."), example
        if rule in ("maxLength", "maxItems", "maxProperties"):
            unit = "characters" if rule == "maxLength" else "entries"
            return f"must have at most {limit} {unit}, and has {len(value)}.", "Shorten it."
        return f"{got(value)} does not satisfy {rule} {short(limit)}.", example


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
