"""The README stays true: every command in it runs, its recipe validates, its table lists what there is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.recipes import ROOT, distill

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
SMALL = [
    "pool.problems.limit=48",
    "selector.top=8",
    "epochs=2",
    "evaluation.benchmarks.0.limit=3",
    "evaluation.samples=2",
    "evaluation.max_tokens=16",
    "skills.max_tokens=16",
]
"""What makes a `run` of the README small; CI runs the quickstart whole."""
FEW = (
    "matrix.selector=[{name: random, dynamic: true}, {name: dmc, dynamic: true, candidates: 50%}, {name: skill_aware}]"
)
"""Three of the eight arms of the selectors' matrix; a test of the recipes plans them all."""


def test_installing_is_what_ci_does() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    installs = [command for command in COMMANDS if command.startswith("pip ")]
    assert len(installs) == 2
    for command in installs:
        assert command in ci


def test_every_other_command_runs(tmp_path: Path, tiny_folder: Path) -> None:
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    ran = 0
    for command in COMMANDS:
        program, *arguments = shlex.split(command.split("&&")[-1].strip())
        if program != "distill-app":
            continue
        if arguments[0] == "run":
            for change in [*SMALL, f"student.model={tiny_folder}"]:
                arguments += ["--set", change]
            if "selectors" in arguments[1]:
                arguments += ["--set", "matrix.seed=[0]", "--set", FEW]
        done = distill(*arguments, workspace=tmp_path / "workspace", cwd=tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        ran += 1
    assert ran >= 7


def test_its_recipe_validates(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    (tmp_path / "my.yaml").write_text(block)
    done = distill("validate", "my.yaml", workspace=tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_table_lists_every_verb(tmp_path: Path) -> None:
    listed = set(re.findall(r"^\| `distill-app (\w+)", README, re.MULTILINE))
    help_text = distill("--help", workspace=tmp_path / "workspace").stdout
    verbs = set(re.findall(r"^  (\w+)  ", help_text.split("Commands:")[1], re.MULTILINE))
    assert listed == verbs


@pytest.mark.parametrize("placeholder", ["FIGURES", "TODO", "XXX"])
def test_nothing_is_left_open(placeholder: str) -> None:
    assert placeholder not in README
