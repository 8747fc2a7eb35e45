"""Where in a recipe a key belongs, for one that stands in the wrong place."""

from __future__ import annotations

from distill_app.recipe import schema
from distill_app.recipe.schema import Schema, Schemas

_known: dict[int, tuple[Schemas, dict[str, list[str]]]] = {}


def homes(schemas: Schemas) -> dict[str, list[str]]:
    """Where in a recipe each key is known: key -> "training.lora", "the options of the selector `dmc`"."""
    if id(schemas) not in _known:
        _known[id(schemas)] = (schemas, _homes(schemas))
    return _known[id(schemas)][1]


def _homes(schemas: Schemas) -> dict[str, list[str]]:
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
