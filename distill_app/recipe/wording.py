"""How values, kinds and examples are put into words in the messages about a recipe."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from distill_app.recipe.save import flow
from distill_app.recipe.schema import Schema, Schemas, resolve

_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map of `key: value`",
    "null": "null",
}


def kinds(types: Iterable[str]) -> str:
    """ "a whole number or null" from JSON Schema type names."""
    names = list(types)
    if "number" in names and "integer" in names:
        names.remove("integer")
    names.sort(key=lambda name: name == "null")
    return " or ".join(_KINDS[name] for name in names)


def got(value: Any) -> str:
    """A value with its kind: "text 'eight'", "the number 8.5", "a list"."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"`{flow(value)}`"
    if isinstance(value, str):
        return f"text {quoted(value)}"
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    return f"the number {short(value)}"


def quoted(text: str, longest: int = 60) -> str:
    """Text in single quotes on one line, cut where it is long."""
    shown = text if len(text) <= longest else text[: longest - 3] + "..."
    return "'" + "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown) + "'"


def short(value: Any, longest: int = 80) -> str:
    """A value as YAML on one line, cut where it is long."""
    shown = flow(value)
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."


def listed(names: Iterable[Any]) -> str:
    """ "a, b, c", each as YAML."""
    return ", ".join(short(name) for name in names)


def nearest(word: str, choices: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The choice most like `word`, if one is like it at all; case, dash and underscore make no difference."""
    by_form = {_form(choice): choice for choice in choices}
    found = difflib.get_close_matches(_form(word), by_form, n=1, cutoff=cutoff)
    return by_form[found[0]] if found else None


def did_you_mean(word: str, choices: Iterable[str], what: str = "Valid") -> str:
    """The suggestion for a name that does not exist: the nearest, and the list."""
    names = list(choices)
    near = nearest(word, names, 0.5)
    hint = f"Did you mean `{near}`? " if near else ""
    return f"{hint}{what}: {', '.join(names)}."


def _form(word: str) -> str:
    return word.lower().replace("-", "_")


def as_number(text: str) -> int | float | None:
    """The number that a text plainly means: "8", "1_000", "12,5", "50%" (0.5); else None."""
    tidy = text.strip().replace("_", "").replace(" ", "")
    if re.fullmatch(r"[-+]?[0-9]{1,3}(,[0-9]{3})+", tidy):
        tidy = tidy.replace(",", "")
    tidy = tidy.replace(",", ".")
    if not re.fullmatch(r"[-+]?([0-9]{1,15}\.?[0-9]{0,15}|\.[0-9]{1,15})([eE][-+]?[0-9]{1,2})?%?", tidy):
        return None
    value = float(tidy.removesuffix("%")) / (100 if tidy.endswith("%") else 1)
    return int(value) if value.is_integer() else value


def example(schemas: Schemas, schema: Schema) -> Any:
    """A valid value for a schema: its example, its default, or a map of its required keys' examples."""
    schema = resolve(schemas, schema)
    for given in schema.get("examples", []):
        if given is not None:
            return given
    if schema.get("default") not in (None, {}, []):
        return schema["default"]
    for keyword in ("oneOf", "anyOf"):
        if keyword in schema:
            return example(schemas, schema[keyword][-1])
    if schema.get("type") == "array":
        return [example(schemas, schema["items"])]
    required = schema.get("required", [])
    return {key: example(schemas, schema["properties"][key]) for key in required}
