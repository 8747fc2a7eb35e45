"""A new selector is a file, its schema and its test: here one is added to a copy of the program, and run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recipes import ROOT, environment, small

MODULE = '''
"""The shortest traces in tokens of the student: a selector of nobody's."""

from __future__ import annotations

from dataclasses import dataclass

from distill_app.selectors import Candidates, CommonOptions, Ranking, seeded_keys, signal

VERSION = 1
LABEL = "Shortest first"
NEEDS = frozenset({"tokens"})
DYNAMIC = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(CommonOptions):
    margin: int


def rank(pool: Candidates, options: Options, seed: int) -> Ranking:
    import numpy as np

    tokens = signal(pool, "tokens")
    order = np.lexsort((seeded_keys(pool.ids, seed), tokens // options.margin))
    return Ranking(order, -tokens, lambda row: f"{tokens[row]:.0f} tokens")
'''
SHARED = "../recipe.schema.json#/$defs/"
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://distill-app.invalid/schemas/selectors/shortest.json",
    "title": "Shortest first",
    "description": "The shortest traces.",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "name": {"title": "Name", "description": "This file describes `shortest`.", "const": "shortest"},
        **{key: {"$ref": SHARED + key} for key in ("top", "per_problem", "unit", "dynamic")},
        "margin": {
            "title": "Margin",
            "description": "Lengths that differ by less count as equal.",
            "type": "integer",
            "minimum": 1,
            "default": 1,
            "examples": [5],
        },
    },
    "required": ["name"],
}
TEST = """
from distill_app.selectors import Candidates, _top, shortest
import numpy as np


def test_shortest_first():
    pool = Candidates(["a", "b", "c"], ["p", "q", "r"], {"tokens": np.array([9.0, 2.0, 5.0])})
    options = shortest.Options(top=2, per_problem=None, unit="row", dynamic=False, margin=1)
    kept = _top.keep(pool, shortest.rank(pool, options, 0), 2, None, "row")
    assert [row.kept for row in kept] == [False, True, True]
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The program's own folders, copied, with the three files added."""
    home = tmp_path / "copy"
    for name in ("distill_app", "schemas", "recipes", "ui"):
        shutil.copytree(ROOT / name, home / name, ignore=shutil.ignore_patterns("__pycache__"))
    (home / "distill_app" / "selectors" / "shortest.py").write_text(MODULE)
    (home / "schemas" / "selectors" / "shortest.json").write_text(json.dumps(SCHEMA))
    (home / "tests").mkdir()
    (home / "tests" / "test_shortest.py").write_text(TEST)
    return home


def python(home: Path, workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=home,
        env={**environment(workspace), "PYTHONPATH": os.fspath(home)},
        check=False,
    )


def test_a_file_its_schema_and_its_test(copy: Path, tmp_path: Path, tiny_folder: Path) -> None:
    workspace = tmp_path / "workspace"
    recipe = small(tmp_path, tiny_folder, **{"name: quality, top: 12": "name: shortest, top: 12, margin: 2"})
    where = python(copy, workspace, "-c", "import distill_app; print(distill_app.__file__)")
    assert where.stdout.startswith(os.fspath(copy)), "the copy must run, not the checkout"
    own = python(copy, workspace, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_shortest.py")
    assert own.returncode == 0, own.stdout
    done = python(copy, workspace, "-m", "distill_app.cli", "run", os.fspath(recipe), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    (manifest,) = (workspace / "artifacts" / "select").glob("*/manifest.json")
    made = json.loads(manifest.read_text())
    assert made["options"]["selector"] == "shortest"
    assert made["options"]["selector_options"]["margin"] == 2
    assert (made["rows"], made["facts"]["label"]) == (12, "Shortest first")
    tokens = list((workspace / "artifacts" / "tokens").glob("*/manifest.json"))
    assert len(tokens) == 1, "the plan made what the selector needs"
    wrong = python(
        copy, workspace, "-m", "distill_app.cli", "validate", os.fspath(recipe), "--set", "selector.margin=0"
    )
    assert wrong.returncode == 2
    assert "selector.margin: must be at least 1, got 0." in wrong.stderr
