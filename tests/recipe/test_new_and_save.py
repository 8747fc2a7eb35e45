"""Starting a recipe from a ready-made one, and writing a resolved one."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from distill_app import resources
from distill_app.errors import UsageError
from distill_app.recipe import load, new, save, schema
from distill_app.recipe.nodes import plain
from distill_app.recipe.parse import parse
from distill_app.recipe.resolve import load_arms

BASE = Path(__file__).parent / "base.yaml"
RECIPES = [name for name, _, _ in new.bundled()]


def test_the_ready_made_recipes_are_listed_with_their_first_sentence() -> None:
    found = {name: (path, line) for name, path, line in new.bundled()}
    assert set(found) == {
        path.relative_to(resources.folder("recipes")).with_suffix("").as_posix()
        for path in resources.folder("recipes").rglob("*.yaml")
    }
    path, line = found["quickstart"]
    assert path == resources.folder("recipes") / "quickstart.yaml"
    assert line
    assert f"# {line}" in path.read_text()
    assert not line.startswith("yaml-language-server")


@pytest.mark.parametrize("base", RECIPES)
def test_a_copy_differs_in_name_header_and_data_files_only(base: str, tmp_path: Path) -> None:
    path = new.new("my-try", base, tmp_path / "here")
    assert path == tmp_path / "here" / "my-try.yaml"
    source = next(file for name, file, _ in new.bundled() if name == base)
    old, fresh = source.read_text().splitlines(), path.read_text().splitlines()
    changed = [line for line in difflib.ndiff(old, fresh) if line.startswith("+ ")]
    others = [line for line in changed if str(source.parent / "data") not in line]
    assert {line[2:].split(":")[0] for line in others} <= {"# yaml-language-server", "name", "extends"}
    assert len(changed) - len(others) == (3 if base == "gsm8k_local" else 0), "data files beside the recipe"
    assert len(fresh) == len(old)
    assert plain(load.read(path).root)["name"] == "my-try"
    reference = fresh[0].removeprefix("# yaml-language-server: $schema=")
    assert reference == ".distill/recipe.schema.json"
    assert json.loads((path.parent / reference).read_text()) == schema.bundle()


def test_a_copy_that_extends_still_finds_its_base(tmp_path: Path) -> None:
    path = new.new("again", "random_vs_quality", tmp_path)
    assert "extends: quickstart\n" in path.read_text()
    assert [arm.label for arm in load_arms(path)] == [arm.label for arm in load_arms("random_vs_quality")]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = new.new("mine", "quickstart", tmp_path)
    path.write_text("precious\n")
    with pytest.raises(UsageError, match="already there"):
        new.new("mine", "quickstart", tmp_path)
    assert path.read_text() == "precious\n"


@pytest.mark.parametrize(
    ("name", "valid"),
    [("My Try", "my-try"), ("../up", "up"), ("", "my-experiment"), ("-x", "x"), ("a" * 70, "a" * 64), ("x/y", "x-y")],
)
def test_a_bad_name_is_met_with_the_nearest_good_one(name: str, valid: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        new.new(name, "quickstart", tmp_path)
    assert caught.value.hint == f"The nearest valid name is `{valid}`."
    assert new.new(valid, "quickstart", tmp_path).is_file()


def test_a_number_for_a_name_is_quoted(tmp_path: Path) -> None:
    assert load_arms(new.new("17", "quickstart", tmp_path))[0].recipe.name == "17"


def test_an_unknown_base_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean `quickstart`"):
        new.new("x", "quickstrt", tmp_path)


def test_the_folder_may_not_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(UsageError):
        new.new("x", "quickstart", tmp_path / "f")


def test_a_resolved_recipe_reads_back_as_itself(tmp_path: Path) -> None:
    (arm,) = load_arms(BASE)
    text = save.dump(arm.resolved)
    path = tmp_path / "resolved.yaml"
    path.write_text(text)
    assert load.read(path).data == arm.resolved
    assert not list(Draft202012Validator(schema.bundle()).iter_errors(load.read(path).data))
    (again,) = load_arms(path)
    assert again.resolved == arm.resolved
    assert again.recipe == arm.recipe
    assert save.dump(again.resolved) == text


def test_the_text_is_plain_where_it_can_be() -> None:
    data = {"a": {"b": ["x", 1, 2.5, None, True]}, "c": {}, "d": [], "e": "yes", "f": "12.5%", "g": [{"h": 1, "i": 2}]}
    assert save.dump(data) == (
        'a:\n  b:\n    - x\n    - 1\n    - 2.5\n    - null\n    - true\nc: {}\nd: []\ne: "yes"\nf: 12.5%\n'
        "g:\n  - h: 1\n    i: 2\n"
    )
    assert save.flow(data["g"]) == "[{h: 1, i: 2}]"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None, database=None)
@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), VALUES, min_size=1, max_size=3))
def test_anything_written_reads_back(data: dict[str, object]) -> None:
    found = plain(parse(save.dump(data), "f"))
    assert found == data
    assert save.dump(found) == save.dump(data)
