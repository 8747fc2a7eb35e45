"""`run --locked` refuses what would be another run, says all of it, and runs nothing."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from distill_app.errors import UsageError
from distill_app.recipe.resolve import load_arms
from distill_app.reproduce import differences, lock, locked
from tests.recipes import ROOT, distill, without_traceback
from tests.reproduce.locks import first_version, local, lock_of

Change = Callable[[dict[str, Any]], None]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return lock_of(local(tmp_path_factory.mktemp("recipe") / "r"))


def set_(path: str, value: Any) -> Change:
    def change(record: dict[str, Any]) -> None:
        *way, last = path.split("/")
        at = record
        for part in way:
            at = at[part]
        at[last] = value

    return change


def first_stage_differs(record: dict[str, Any]) -> None:
    record["stages"][0] |= {"fingerprint": "0" * 16, "version": 9}


@pytest.mark.parametrize(
    ("change", "part", "refuses", "todo"),
    [
        (set_("resolved/epochs", 9), "recipe", True, "Take the lock's own recipe"),
        (set_("resolved/pool/seed", 9), "seed", True, "Take the lock's own recipe"),
        (set_("resolved/runtime/threads", 9), "runtime", False, "last digits can differ"),
        (set_("contents/student.model/content", "sha256:0"), "content", True, "comes with distill-app 0.1.0"),
        (
            set_("contents/student.model", {"name": "org/model", "content": f"hub:org/model@{COMMIT}"}),
            "content", True, f"--set student.revision={COMMIT}",
        ),
        (
            set_("contents/pool.problems.dataset/content", "sha256:0"),
            "content", True, "--set pool.problems.dataset=jsonl:PATH",
        ),
        (set_("contents/teacher.0.path/content", "sha256:0"), "content", True, "--set teacher.0.path=PATH"),
        (set_("packages/torch", "2.0.1"), "package", True, "pip install 'torch==2.0.1'"),
        (set_("packages/vllm", "0.32.0"), "package", True, "pip install 'vllm==0.32.0'"),
        (set_("python", "3.9.1"), "python", True, "Python 3.9"),
        (set_("code", {"source": "sha256:0", "commit": None, "changed": None}), "code", True, "'distill-app==0.1.0'"),
        (set_("code", {"source": "sha256:0", "commit": COMMIT, "changed": False}), "code", True, f"checkout {COMMIT}"),
        (set_("code", {"source": "sha256:0", "commit": COMMIT, "changed": True}), "code", True, "not committed"),
        (set_("hardware/cpu", "Abacus"), "hardware", False, "Last digits"),
        (set_("hardware/gpus", ["NVIDIA H200"]), "hardware", False, "Last digits"),
        (first_stage_differs, "stage", True, "first stage that differs"),
    ],
)  # fmt: skip
def test_each_difference_is_told_with_what_to_do(
    record: dict[str, Any], change: Change, part: str, refuses: bool, todo: str
) -> None:
    there = copy.deepcopy(record)
    change(there)
    (held,) = locked.against(there, record, "x.lock")
    assert (held.difference.part, held.refuses) == (part, refuses)
    assert todo in str(held)
    assert locked.against(record, record, "x.lock") == []


def test_python_refuses_by_its_minor_version(record: dict[str, Any]) -> None:
    major, minor, _ = record["python"].split(".")
    (held,) = locked.against({**record, "python": f"{major}.{minor}.999"}, record, "x.lock")
    assert not held.refuses


def test_the_template_counts_where_both_know_it(record: dict[str, Any]) -> None:
    one, other = {**record, "template": "sha256:1"}, {**record, "template": "sha256:2"}
    assert [held.refuses for held in locked.against(one, other, "x.lock")] == [True]
    assert locked.against(one, {**record, "template": None}, "x.lock") == []


def test_a_run_that_changed_its_environment_on_the_way_says_so(record: dict[str, Any]) -> None:
    later = {name: record[name] for name in ("distill_app", "code", "python", "packages", "hardware")}
    later["packages"] = {**later["packages"], "torch": "9.9"}
    (held,) = locked.against({**record, "continued": [later]}, record, "x.lock")
    assert not held.refuses
    assert "went on" in str(held)


def test_all_differences_at_once_and_nothing_is_run(tmp_path: Path) -> None:
    recipe = local(tmp_path / "r")
    record = lock_of(recipe)
    record["packages"] |= {"torch": "2.0.1", "trl": "1.0.0"}
    record["hardware"]["cpu"] = "Abacus"
    (recipe.parent / "x.lock").write_text(json.dumps(record))
    (recipe.parent / "test.jsonl").write_text((recipe.parent / "train.jsonl").read_text())
    call = ["run", recipe, "--locked", recipe.parent / "x.lock", "--set", "seed=3"]
    said = distill(*call, workspace=tmp_path / "workspace")
    text = without_traceback(said)
    assert said.returncode == 2
    assert "nothing was run" in text
    for sentence in (
        "seed, seed: locked 0, here 3",
        "content of evaluation.benchmarks.0.dataset",
        "stage problems[mine]",
        "package torch: locked 2.0.1",
        "pip install 'torch==2.0.1' 'trl==1.0.0'",
        "(no reason to refuse) hardware, cpu: locked Abacus",
    ):
        assert sentence in text
    assert not (tmp_path / "workspace").exists()
    listed = distill(*call, "--json", workspace=tmp_path / "workspace")
    assert listed.returncode == 2
    found = json.loads(listed.stdout)
    jsonschema.Draft202012Validator(json.loads((ROOT / "schemas" / "diff.schema.json").read_text())).validate(found)
    assert [entry["refuses"] for entry in found] == sorted((entry["refuses"] for entry in found), reverse=True)
    assert {entry["part"] for entry in found} >= {"seed", "content", "stage", "package", "hardware"}


def test_a_lock_is_of_one_run_and_of_this_version(tmp_path: Path) -> None:
    recipe = local(tmp_path / "r")
    record = lock_of(recipe, "selector.top=5")
    (tmp_path / "old.lock").write_text(json.dumps(first_version(record)))
    with pytest.raises(UsageError, match=r"version 1.*distill-app lock RECIPE"):
        locked.arms(tmp_path, str(tmp_path / "old.lock"), None, [])
    path = recipe.parent / "x.lock"
    path.write_text(json.dumps({**record, "label": "selector.top=5"}))
    several = [str(recipe), ["matrix.selector.top=[4, 5, 6]"]]
    ((arm,), held) = locked.arms(tmp_path, str(path), *several)
    assert (arm.label, held) == ("selector.top=5", [])
    path.write_text(json.dumps(record))
    with pytest.raises(UsageError, match=r"makes 3 runs.*Leave the recipe out"):
        locked.arms(tmp_path, str(path), *several)
    three = load_arms(*several)
    with pytest.raises(UsageError, match=r"makes 3 runs, and a lock is of one"):
        lock.text(three)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "is not a lock of this version"),
        ("[1, 2]", "is not a lock of this version"),
        ("version: 1\n", "cannot be read"),
        ('{"version": NaN}', "NaN is no JSON"),
    ],
)
def test_what_is_no_lock_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "x.lock").write_text(content)
    with pytest.raises(UsageError) as refusal:
        locked.arms(tmp_path, str(tmp_path / "x.lock"), None, [])
    assert said in str(refusal.value)


def test_the_first_stage_and_why(tmp_path: Path) -> None:
    """The training's own options, then all that reads from it; selection and the untrained student are the same."""
    recipe = local(tmp_path / "r")
    found = differences.between(
        lock_of(recipe), lock_of(recipe, "training.learning_rate=1.0e-3", "evaluation.max_tokens=8", "seed=0")
    )
    stages = [one for one in found if one.part == "stage"]
    assert [one.name for one in stages] == [
        "train", "evaluate[base mine]", "grade[base mine]", "evaluate[trained mine]", "grade[trained mine]",
    ]  # fmt: skip
    assert differences.first_stage(found) == stages[0]
    assert len(stages[0].why) == 1
    assert stages[0].why[0].startswith("training.learning_rate: ")
    assert stages[1].why == ("max_tokens: 16 and 8",)
    assert stages[3].why == ("max_tokens: 16 and 8", "reads train")
    assert stages[4].why == ("reads evaluate[trained mine]",)
    assert {one.name for one in found if one.part == "recipe"} == {"training.learning_rate", "evaluation.max_tokens"}
