"""The schemas: valid, documented, complete, and in step with the dataclasses and the modules on disk."""

from __future__ import annotations

import dataclasses
import importlib
import json
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import distill_app
from distill_app import resources
from distill_app.errors import RecipeError
from distill_app.recipe import model, schema
from distill_app.recipe.resolve import load_arms
from distill_app.recipe.schema import FAMILIES

HOME = resources.folder("schemas")
ROOT = json.loads((HOME / "recipe.schema.json").read_text())
MEMBERS = [(part, path) for part, family in FAMILIES.items() for path in sorted((HOME / family.folder).glob("*.json"))]
RECIPE_FILES = [HOME / "recipe.schema.json", *(path for _, path in MEMBERS)]
BASE = Path(__file__).parent / "base.yaml"


def objects(spec: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every subschema that has properties; the conditions of `if` are no descriptions of anything."""
    if isinstance(spec, dict):
        if isinstance(spec.get("properties"), dict):
            yield path, spec
        for key, item in spec.items():
            if key not in ("if", "examples", "default"):
                yield from objects(item, f"{path}/{key}")
    elif isinstance(spec, list):
        for index, item in enumerate(spec):
            yield from objects(item, f"{path}/{index}")


@pytest.mark.parametrize("path", sorted(HOME.rglob("*.json")), ids=lambda path: path.stem)
def test_each_file_is_valid_json_schema(path: Path) -> None:
    spec = json.loads(path.read_text())
    Draft202012Validator.check_schema(spec)
    assert spec["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert spec["$id"] == f"https://distill-app.invalid/schemas/{path.relative_to(HOME).as_posix()}"


@pytest.mark.parametrize("path", RECIPE_FILES, ids=lambda path: path.stem)
def test_each_property_is_documented_and_each_object_closed(path: Path) -> None:
    schemas = schema.installed()
    spec = ROOT if path.stem == "recipe.schema" else schema.bundle()["$defs"][f"{path.parent.name}.{path.stem}"]
    found = list(objects(spec))
    assert found
    roots = {f"/$defs/{part}" for part in FAMILIES}
    for where, item in found:
        if path.stem != "recipe.schema" or where not in roots:
            assert item.get("additionalProperties") is False, where
        assert set(item.get("required", [])) <= set(item["properties"]), where
        for name, written in item["properties"].items():
            known = schema.resolve(schemas, written)
            assert known.get("title"), f"{where}/{name}"
            assert known.get("description"), f"{where}/{name}"
            is_map = "properties" in known or ("default" in known and known["default"] == {})
            if where in roots or known.get("const") is not None:
                continue
            assert is_map or known.get("examples"), f"{where}/{name}"
            assert ("default" in known) != (name in item.get("required", [])), f"{where}/{name}"


def test_every_default_and_example_is_valid() -> None:
    bundle = schema.bundle()
    schemas = schema.Schemas(bundle, {})
    checked = 0
    for where, item in objects(bundle):
        for name, written in item["properties"].items():
            known = schema.resolve(schemas, written)
            validator = Draft202012Validator({"$ref": f"#{where}/properties/{name}", "$defs": bundle["$defs"]})
            if where in ("", "/"):
                validator = Draft202012Validator({**written, "$defs": bundle["$defs"]})
            for value in [*known.get("examples", []), *([known["default"]] if "default" in known else [])]:
                assert not list(validator.iter_errors(value)), f"{where}/{name}: {value!r}"
                checked += 1
    assert checked > 150


@pytest.mark.parametrize("part", FAMILIES)
def test_lists_folders_and_modules_agree(part: str) -> None:
    family = FAMILIES[part]
    files = sorted(path.stem for path in (HOME / family.folder).glob("*.json"))
    definition = ROOT["$defs"][part]
    assert sorted(definition["properties"][family.key]["enum"]) == files
    assert sorted(rule["then"]["$ref"] for rule in definition["allOf"]) == [f"{family.folder}/{n}.json" for n in files]
    assert [rule["if"]["properties"][family.key]["const"] for rule in definition["allOf"]] == [
        Path(rule["then"]["$ref"]).stem for rule in definition["allOf"]
    ]
    package = Path(distill_app.__file__).parent / family.folder
    modules = sorted(path.stem for path in package.glob("*.py") if not path.name.startswith("_"))
    assert modules == files


@pytest.mark.parametrize(("part", "path"), MEMBERS, ids=lambda value: getattr(value, "stem", value))
def test_each_member_names_itself_and_has_its_options(part: str, path: Path) -> None:
    family = FAMILIES[part]
    spec = json.loads(path.read_text())
    assert spec["properties"][family.key]["const"] == path.stem
    module = importlib.import_module(f"distill_app.{family.folder}.{path.stem}")
    options = {field.name for field in dataclasses.fields(module.Options)}
    assert options == set(spec["properties"]) - {"name", family.key, *family.shared}
    assert set(family.shared) <= set(spec["properties"])


def test_dataclasses_mirror_the_schema() -> None:
    schemas = schema.installed()
    compare(schemas, model.Recipe, schemas.root, "recipe", skip={"extends", "matrix"})


def compare(schemas: schema.Schemas, kind: Any, spec: Mapping[str, Any], where: str, skip: set[str]) -> None:
    hints = typing.get_type_hints(kind)
    assert set(hints) == set(spec["properties"]) - skip, where
    for name, hint in hints.items():
        known = schema.resolve(schemas, spec["properties"][name])
        compare_value(schemas, hint, known, f"{where}.{name}")


def compare_value(schemas: schema.Schemas, hint: Any, spec: dict[str, Any], where: str) -> None:
    if any(spec.get("title") == schemas.root["$defs"][part]["title"] for part in FAMILIES) and spec.get("allOf"):
        assert hint is model.Choice, where
        return
    for keyword in ("oneOf", "anyOf"):
        if keyword in spec:
            options = [schema.resolve(schemas, item) for item in spec[keyword]]
            if where.endswith(("recipe.teacher", ".benchmarks[]", ".augmentation[]")):
                options = options[-1:]
            hints = typing.get_args(hint) if is_union(hint) else (hint,)
            if any(option.get("type") == "null" for option in options):
                assert types.NoneType in hints, where
                hints = tuple(one for one in hints if one is not types.NoneType)
                options = [option for option in options if option.get("type") != "null"]
            assert len(hints) == len(options), where
            for one, option in zip(hints, options, strict=True):
                compare_value(schemas, one, option, where)
            return
    kinds = schema.types(spec)
    optional = is_union(hint) and type(None) in typing.get_args(hint)
    assert optional == ("null" in kinds and where != "recipe.evaluation.k"), where
    if optional:
        hint = next(item for item in typing.get_args(hint) if item is not type(None))
    kinds -= {"null"}
    if "enum" in spec:
        assert typing.get_origin(hint) is typing.Literal, where
        assert sorted(typing.get_args(hint)) == sorted(spec["enum"]), where
    elif kinds == {"array"}:
        assert typing.get_origin(hint) is tuple, where
        assert typing.get_args(hint)[1:] == (...,), where
        compare_value(schemas, typing.get_args(hint)[0], schema.resolve(schemas, spec["items"]), f"{where}[]")
    elif dataclasses.is_dataclass(hint):
        compare(schemas, hint, spec, where, set())
    elif kinds == {"object"}:
        assert typing.get_origin(hint) is Mapping, where
    else:
        expected = {"integer": int, "string": str, "boolean": bool}
        wanted = float if "number" in kinds else expected[next(iter(kinds))]
        assert hint is wanted, where


def is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def test_the_bundle_stands_alone() -> None:
    bundle = schema.bundle()
    Draft202012Validator.check_schema(bundle)
    text = json.dumps(bundle)
    assert text.count('"$ref": "#/') == text.count('"$ref": ')
    data = {
        "version": 1,
        "name": "x",
        "student": {"model": "m"},
        "teacher": {"name": "w", "backend": "worked", "styles": {"clean": -1}},
        "pool": {"problems": {"dataset": "d"}},
        "selector": {"name": "random", "top": "5"},
        "evaluation": {"benchmarks": ["word_problems"]},
    }
    errors = {tuple(error.absolute_path) for error in Draft202012Validator(bundle).iter_errors(data)}
    assert errors == {("teacher",), ("selector", "top")}
    data["teacher"] = {"name": "w", "backend": "worked"}
    data["selector"] = {"name": "random", "top": "5%"}
    assert not list(Draft202012Validator(bundle).iter_errors(data))
    schema.bundle()["properties"].clear()
    assert "version" in schema.bundle()["properties"], "the bundle is a copy"


def test_a_file_dropped_into_a_folder_is_a_valid_name(tmp_path: Path) -> None:
    spec = {
        "title": "Shortest",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "name": {"const": "shortest"},
            "top": {"$ref": "../recipe.schema.json#/$defs/top"},
            "margin": {"title": "Margin", "type": "integer", "minimum": 0, "default": 3},
        },
        "required": ["name"],
    }
    (tmp_path / "shortest.json").write_text(json.dumps(spec))
    schemas = schema.load({"selectors": tmp_path})
    (arm,) = load_arms(BASE, ["selector.name=shortest"], schemas=schemas)
    assert dict(arm.recipe.selector.options) == {"top": "12.5%", "margin": 3}
    with pytest.raises(RecipeError, match=r"selector.margin: must be at least 0, got -1\."):
        load_arms(BASE, ["selector={name: shortest, margin: -1}"], schemas=schemas)
    with pytest.raises(RecipeError, match=r"there is no selector 'shortest'\. Valid: "):
        load_arms(BASE, ["selector.name=shortest"])


def test_a_reference_to_nothing_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text('{"properties": {"name": {"$ref": "../recipe.schema.json#/$defs/nothing"}}}')
    with pytest.raises(ValueError, match="nothing"):
        schema.load({"selectors": tmp_path})
