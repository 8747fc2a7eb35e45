"""Every faulty recipe under tests/broken gives the faults written at its end, all of them and no others."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from distill_app.errors import RecipeError
from distill_app.recipe.resolve import load_arms

FOLDER = Path(__file__).parent.parent / "broken"
RECIPES = sorted(FOLDER.glob("*.yaml"))
EXPECT = re.compile(r"# expect: (?:(?P<file>\S.*) )?(?P<line>\d+):(?P<column>\d+): (?P<path>[^ ]*): (?P<text>.*)")


def comments(path: Path, word: str) -> list[str]:
    lines = path.read_bytes().decode(errors="replace").splitlines()
    return [line for line in lines if line.startswith(f"# {word}: ")]


def test_there_are_as_many_as_we_think() -> None:
    assert len(RECIPES) == 212
    assert all(comments(path, "expect") for path in RECIPES)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_faults(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`…` in an expected text stands for the folder's absolute path."""
    monkeypatch.chdir(FOLDER)
    sets = [line.removeprefix("# set: ") for line in comments(path, "set")]
    with pytest.raises(RecipeError) as caught:
        load_arms(path.name, sets)
    found = {
        (fault.position.file, fault.position.line, fault.position.column, fault.path, fault.message): fault
        for fault in caught.value.faults
    }
    assert len(found) == len(caught.value.faults), "the same fault is reported twice"
    for line in comments(path, "expect"):
        expected = EXPECT.fullmatch(line)
        assert expected, line
        place = (expected["file"] or path.name, int(expected["line"]), int(expected["column"]), expected["path"])
        text = expected["text"].replace("…", f"{FOLDER}{os.sep}")
        matches = [key for key, fault in found.items() if key[:4] == place and text in str(fault)]
        assert len(matches) == 1, f"{line}\nis not among\n{caught.value}"
        del found[matches[0]]
    assert not found, "faults that were not expected"


def test_faults_come_in_file_order_and_with_what_to_do() -> None:
    with pytest.raises(RecipeError) as caught:
        load_arms(FOLDER / "many_at_once.yaml")
    assert [fault.position.line for fault in caught.value.faults] == [15, 21, 23, 28, 29]
    assert all(fault.suggestion for fault in caught.value.faults)
    assert str(caught.value).splitlines()[1] == (
        f"{FOLDER / 'many_at_once.yaml'}:21:9: epochs: must be at least 1, got -2. The nearest valid value is 1."
    )
