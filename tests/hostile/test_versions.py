"""Recipes of another version of the format: refused, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from distill_app import __version__
from distill_app.errors import RecipeError
from distill_app.recipe import schema, versions
from distill_app.recipe.parse import parse
from distill_app.recipe.resolve import load_arms
from distill_app.recipe.versions import Change

CHANGES = {
    1: [Change("selector.keep", "is called selector.top"), Change("epochs", "counts from 1")],
    2: [Change("teacher.temp", "is called teacher.temperature")],
}


def test_the_version_read_is_the_schema_s() -> None:
    assert schema.installed().root["properties"]["version"]["const"] == versions.CURRENT
    assert sorted(versions.MIGRATIONS) == list(range(1, versions.CURRENT)), "each older version says what has changed"


def test_a_newer_recipe_is_refused_whatever_else_is_in_it(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("name: new\nversion: 2\nteachers: {of: a kind unknown here}\n")
    with pytest.raises(RecipeError) as caught:
        load_arms(file)
    (fault,) = caught.value.faults
    assert (fault.position.line, fault.position.column, fault.path) == (2, 10, "version")
    assert f"is of version 2 of the format, and distill-app {__version__} reads version 1" in fault.message
    assert "Install a distill-app that reads version 2" in fault.suggestion


def test_an_older_recipe_is_told_what_has_changed() -> None:
    root = parse("version: 1\nname: old\n", "old.yaml")
    with pytest.raises(RecipeError) as caught:
        versions.check(root, current=3, migrations=CHANGES)
    (fault,) = caught.value.faults
    assert str(fault) == (
        f"old.yaml:1:10: version: this recipe is of version 1 of the format, and distill-app {__version__} reads "
        "version 3. What has changed since: `selector.keep` is called selector.top; `epochs` counts from 1; "
        "`teacher.temp` is called teacher.temperature. Carry that over, then write `version: 3`."
    )
    with pytest.raises(RecipeError, match=r"since: `teacher\.temp` is called teacher\.temperature\. Carry"):
        versions.check(parse("version: 2\n", "old.yaml"), current=3, migrations=CHANGES)
    with pytest.raises(RecipeError, match="since: no key"):
        versions.check(root, current=2, migrations={1: []})


@pytest.mark.parametrize("text", ["version: 1", "version: 1.0", "version: one", "version: true", "version:", "name: x"])
def test_what_is_no_other_version_is_the_schema_s_matter(text: str) -> None:
    versions.check(parse(f"{text}\n", "r.yaml"))


def test_there_was_no_version_before_the_first() -> None:
    with pytest.raises(RecipeError, match=r"there has been no version 0 of the format: the first is 1"):
        versions.check(parse("version: 0\n", "r.yaml"))
