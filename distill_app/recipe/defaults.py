"""One shape for every recipe: short forms written out, and every value that nobody gave taken from the schema."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from distill_app.problems import benchmarks, word_problems
from distill_app.recipe import nodes, schema
from distill_app.recipe.nodes import Node
from distill_app.recipe.schema import Schema, Schemas

BUILTIN = "builtin:"


def write_out(root: Node) -> Node:
    """The recipe with a single teacher as a list of one, and augmentations and benchmarks given by name as maps.

    What a known benchmark's name stands for is filled in later, by `known_benchmarks`.
    """
    teacher = nodes.step(root, "teacher")
    if teacher is not None and isinstance(teacher.value, dict):
        only = replace(teacher, implied=True)
        root = nodes.with_item(root, "teacher", replace(teacher, value=[only]))
    augmentation = nodes.step(root, "augmentation")
    if augmentation is not None and isinstance(augmentation.value, list):
        items = [_named(item) for item in augmentation.value]
        root = nodes.with_item(root, "augmentation", replace(augmentation, value=items))
    evaluation = nodes.step(root, "evaluation")
    asked = nodes.find(root, ("evaluation", "benchmarks"))
    if evaluation is not None and asked is not None and isinstance(asked.value, list):
        names = benchmarks.names()
        items = [_named(item) if item.value in names else item for item in asked.value]
        evaluation = nodes.with_item(evaluation, "benchmarks", replace(asked, value=items))
        root = nodes.with_item(root, "evaluation", evaluation)
    return root


def known_benchmarks(root: Node) -> Node:
    """The recipe with what each benchmark of a known name does not say: its data set, commit, columns.

    To be done when all values have been set: a data set given by --set brings columns of its own.
    """
    evaluation, asked = nodes.step(root, "evaluation"), nodes.find(root, ("evaluation", "benchmarks"))
    if evaluation is None or asked is None or not isinstance(asked.value, list):
        return root
    items = [_known_benchmark(item) for item in asked.value]
    evaluation = nodes.with_item(evaluation, "benchmarks", replace(asked, value=items))
    return nodes.with_item(root, "evaluation", evaluation)


def complete(schemas: Schemas, root: Node) -> Any:
    """The recipe as plain data with every value explicit: schema defaults, then those that depend on others.

    Whole numbers written with a point become integers where the schema wants integers, and numbers become
    floats where it allows any number, so that `1` and `1.0` are the same recipe.
    """
    data = nodes.plain(root)
    named = schemas.root["properties"]["augmentation"]["default"]
    data.setdefault("augmentation", [{"name": name} for name in named])
    data = _fill(schemas, schemas.root, data)
    for key in ("extends", "matrix"):
        data.pop(key, None)
    evaluation = data.get("evaluation")
    if isinstance(evaluation, dict) and evaluation.get("k", 0) is None:
        evaluation["k"] = [evaluation["samples"]]
    for source in _sources(data):
        builtin = isinstance(source.get("dataset"), str) and source["dataset"].startswith(BUILTIN)
        if builtin and source.get("limit", 0) is None:
            source["limit"] = word_problems.DEFAULT_LIMIT
    return data


def of_part(schemas: Schemas, part: str) -> dict[str, Any]:
    """The defaults of one part of a recipe, as plain data."""
    filled: dict[str, Any] = _fill(schemas, schemas.root["properties"][part], {})
    return filled


def _sources(data: Any) -> list[dict[str, Any]]:
    pool, evaluation = data.get("pool"), data.get("evaluation")
    sources = [pool.get("problems")] if isinstance(pool, dict) else []
    asked = evaluation.get("benchmarks") if isinstance(evaluation, dict) else None
    sources += asked if isinstance(asked, list) else []
    return [source for source in sources if isinstance(source, dict)]


def _fill(schemas: Schemas, spec: Schema, value: Any) -> Any:
    spec = schema.effective(schemas, spec, value)
    if isinstance(value, dict):
        properties = spec.get("properties", {})
        filled = {}
        for key, item in properties.items():
            item = schema.resolve(schemas, item)
            if key in value:
                filled[key] = _fill(schemas, item, value[key])
            elif "default" in item:
                filled[key] = _fill(schemas, item, json.loads(json.dumps(item["default"])))
        others = spec.get("additionalProperties")
        for key in value:
            if key not in properties:
                filled[key] = _fill(schemas, others, value[key]) if isinstance(others, dict) else value[key]
        return filled
    if isinstance(value, list):
        items = spec.get("items")
        return [_fill(schemas, items, item) if isinstance(items, dict) else item for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        types = spec.get("type", [])
        types = [types] if isinstance(types, str) else types
        if "integer" in types and float_is_whole(value):
            return int(value)
        if "number" in types and abs(value) < 2**1000:
            return float(value)
    return value


def float_is_whole(value: int | float) -> bool:
    """True for 8 and 8.0, False for 8.5."""
    return isinstance(value, int) or value.is_integer()


def _named(item: Node) -> Node:
    if not isinstance(item.value, str):
        return item
    return replace(item, value={"name": replace(item, implied=True)})


def _known_benchmark(item: Node) -> Node:
    name = nodes.step(item, "name")
    if name is None or name.value not in benchmarks.names():
        return item
    return nodes.completed(item, benchmarks.expand(name.value, nodes.plain(item)))
