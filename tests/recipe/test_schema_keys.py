"""The names of the schemas' keys, by which the faulty recipes are counted."""

from __future__ import annotations

from distill_app.recipe import schema
from tests.recipe import schema_keys


def test_the_keys_are_all_there() -> None:
    names = schema_keys.keys(schema.installed())
    assert len(names) > 350
    assert {"seed", "tags[]", "matrix.*", "selectors.dmc.top", "selector.name"} <= names.keys()
    assert {
        "teachers.openai.prices.input",
        "evaluation.benchmarks[].fields.id",
        "quality.judge.scale.low",
        "runtime.vllm.eager",
    } <= names.keys()


def test_what_is_wrong_with_a_value() -> None:
    schemas = schema.installed()
    keys = schema_keys.keys(schemas)
    assert schema_keys.wrongs(schemas, keys["seed"]) == {"type", "minimum", "maximum"}
    assert schema_keys.wrong_with(schemas, keys["seed"], -1) == {"minimum"}
    assert schema_keys.wrong_with(schemas, keys["seed"], "x") == {"type"}
    assert schema_keys.wrong_with(schemas, keys["seed"], 3) == set()
    assert schema_keys.wrongs(schemas, keys["selectors.dmc.top"]) == {"type", "minimum", "pattern"}
    data = {"selector": {"name": "dmc", "top": 3}, "evaluation": {"benchmarks": [{"name": "x", "limit": 0}]}}
    limit = ("evaluation", "benchmarks", 0, "limit")
    assert schema_keys.identify(schemas, data, ("selector", "top"))[0] == "selectors.dmc.top"
    assert schema_keys.identify(schemas, data, limit)[0] == "evaluation.benchmarks[].limit"
    assert schema_keys.identify(schemas, data, ("selector", "topp")) == ("selectors.dmc.topp", None)
