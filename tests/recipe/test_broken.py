"""Every faulty recipe under tests/broken gives the faults written at its end, all of them and no others."""

from __future__ import annotations

import contextlib
import os
import re
from functools import cache
from pathlib import Path

import pytest

from distill_app.errors import Fault, RecipeError
from distill_app.recipe import allowed, load, schema
from distill_app.recipe.resolve import load_arms
from tests.recipe import schema_keys

FOLDER = Path(__file__).parent.parent / "broken"
RECIPES = sorted([*FOLDER.glob("*.yaml"), *FOLDER.glob("keys/*.yaml")])
EXPECT = re.compile(r"# expect: (?:(?P<file>\S.*) )?(?P<line>\d+):(?P<column>\d+): (?P<path>[^ ]*): (?P<text>.*)")


def comments(path: Path, word: str) -> list[str]:
    lines = path.read_bytes().decode(errors="replace").splitlines()
    return [line for line in lines if line.startswith(f"# {word}: ")]


def test_there_are_as_many_as_we_think() -> None:
    assert len(RECIPES) == 548
    assert all(comments(path, "expect") for path in RECIPES)


@cache
def faults_of(path: Path) -> tuple[Fault, ...]:
    """The faults of a recipe, read in its own folder, from where no path may lead out."""
    sets = [line.removeprefix("# set: ") for line in comments(path, "set")]
    opened = os.environ.pop(allowed.VARIABLE, "")
    try:
        with contextlib.chdir(path.parent), pytest.raises(RecipeError) as caught:
            load_arms(path.name, sets)
    finally:
        os.environ[allowed.VARIABLE] = opened
    return caught.value.faults


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_faults(path: Path) -> None:
    """`…` in an expected text stands for the folder's absolute path."""
    faults = faults_of(path)
    found = {
        (fault.position.file, fault.position.line, fault.position.column, fault.path, fault.message): fault
        for fault in faults
    }
    assert len(found) == len(faults), "the same fault is reported twice"
    for line in comments(path, "expect"):
        expected = EXPECT.fullmatch(line)
        assert expected, line
        place = (expected["file"] or path.name, int(expected["line"]), int(expected["column"]), expected["path"])
        text = expected["text"].replace("…", f"{FOLDER}{os.sep}")
        matches = [key for key, fault in found.items() if key[:4] == place and text in str(fault)]
        assert len(matches) == 1, f"{line}\nis not among\n{RecipeError(faults)}"
        del found[matches[0]]
    assert not found, "faults that were not expected"


def test_every_key_has_its_faulty_recipes() -> None:
    """Each key of each schema with a value of a wrong type, with one beyond each of its bounds, and misspelt."""
    schemas = schema.installed()
    keys = schema_keys.keys(schemas)
    wanted = {(name, wrong) for name, spec in keys.items() for wrong in schema_keys.wrongs(schemas, spec)}
    wanted |= {(name, "misspelt") for name in keys if not name.endswith(("[]", ".*"))}
    assert len(wanted) > 1000
    for path in RECIPES:
        faults = [fault for fault in faults_of(path) if fault.position.file == path.name]
        with contextlib.suppress(RecipeError):  # what cannot be read as YAML is about no key
            wanted -= schema_keys.faults_at(schemas, load.read(path).root, faults)
    assert not wanted, f"{len(wanted)} faults that no recipe in tests/broken has: {sorted(wanted)}"


def test_faults_come_in_file_order_and_with_what_to_do() -> None:
    with pytest.raises(RecipeError) as caught:
        load_arms(FOLDER / "many_at_once.yaml")
    assert [fault.position.line for fault in caught.value.faults] == [15, 21, 23, 28, 29]
    assert all(fault.suggestion for fault in caught.value.faults)
    assert str(caught.value).splitlines()[1] == (
        f"{FOLDER / 'many_at_once.yaml'}:21:9: epochs: must be at least 1, got -2. The nearest valid value is 1."
    )
