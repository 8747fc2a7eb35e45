"""Every recipe that ships: valid, plannable, headed by what it is for and the command that runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.recipes import ROOT, distill, json_of

RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))
ARMS = {
    "quickstart.yaml": 1,
    "random_vs_quality.yaml": 2,
    "gsm8k_local.yaml": 1,
    "selectors.yaml": 24,
    "vllm_local.yaml": 1,
}


def test_none_is_missed() -> None:
    assert {str(path.relative_to(ROOT / "recipes")) for path in RECIPES} == set(ARMS)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_validates_and_plans(path: Path, tmp_path: Path) -> None:
    assert json_of(distill("validate", path, "--json", workspace=tmp_path)) == []
    stages = json_of(distill("plan", path, "--json", workspace=tmp_path))["stages"]
    arms = ARMS[path.name]
    assert sum(stage["name"].startswith("train") for stage in stages) == arms
    assert sum(stage["name"].startswith("evaluate[base") for stage in stages) == 1
    names = [stage["name"].partition(" (")[0] for stage in stages]
    for shared in ("generate", "quality", "difficulty", "placement", "pool_answers", "skills", "hygiene"):
        made = [name for name in names if name.partition("[")[0] == shared]
        assert len(made) == len(set(made)), f"{shared} is made once for all arms"
    assert all(stage["rows"] for stage in stages if not stage["name"].startswith("report"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_header_names_purpose_needs_and_command(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    comment = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    schema = re.search(r"\$schema=(\S+)", comment)
    assert schema
    assert (path.parent / schema[1]).resolve().is_file()
    assert f"distill-app run recipes/{path.name}" in comment
    assert "Needs:" in comment
