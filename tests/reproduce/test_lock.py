"""What a lock says, and that it says the same on another machine."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
from importlib import metadata
from pathlib import Path

import jsonschema
import pytest

from distill_app import resources
from distill_app.plan import graph
from distill_app.recipe.resolve import load_arms
from distill_app.reproduce import lock, machine, opened
from distill_app.reproduce.portable import portable
from tests.recipes import ROOT, small
from tests.reproduce.locks import ROWS, first_version, local, lock_of

SCHEMA = json.loads((ROOT / "schemas" / "lock.schema.json").read_text())


def test_a_lock_says_what_a_run_comes_from(tmp_path: Path, tiny_folder: Path) -> None:
    record = lock_of(small(tmp_path, tiny_folder), "seed=5", "evaluation.seed=7")
    jsonschema.Draft202012Validator(SCHEMA).validate(record)
    jsonschema.Draft202012Validator(SCHEMA).validate(first_version(record))
    template = (tiny_folder / "chat_template.jinja").read_bytes()
    assert record["template"] == f"sha256:{hashlib.sha256(template).hexdigest()}"
    assert record["contents"]["student.model"]["name"] == "./tiny"
    assert record["contents"]["student.model"]["content"].startswith("sha256:")
    assert record["contents"]["pool.problems.dataset"]["content"] == "word_problems:v1"
    assert record["resolved"]["training"]["batch_size"] == 4
    assert record["seeds"] == {
        "seed": 5, "pool.seed": 0, "pool.problems.seed": 0, "capability.seed": 0, "skills.seed": 0,
        "evaluation.seed": 7, "evaluation.benchmarks.0.seed": 0,
    }  # fmt: skip
    assert record["packages"]["torch"] == metadata.version("torch")
    assert record["packages"]["jinja2"] == metadata.version("jinja2")
    assert "openai" not in record["packages"]
    assert record["python"] == platform.python_version()
    assert record["hardware"]["cores"] >= 1
    (select,) = (stage for stage in record["stages"] if stage["name"] == "select")
    assert (select["options"]["seed"], select["options"]["selector"]) == (5, "quality")
    text = json.dumps(record)
    for hidden in (str(tmp_path), str(tiny_folder.parent), str(Path.home()) + "/", socket.gethostname()):
        assert hidden not in text


def test_a_backend_brings_its_package(tmp_path: Path, tiny_folder: Path) -> None:
    teacher = (
        '{name: a, backend: openai, model: m, base_url: "http://127.0.0.1:9/v1", api_key_env: NO_KEY, max_tokens: 8}'
    )
    record = lock_of(small(tmp_path, tiny_folder, **{"{name: worked, backend: worked}": teacher}))
    assert record["packages"]["openai"] == metadata.version("openai")


def test_the_source_is_the_program_and_nothing_else(tmp_path: Path) -> None:
    package = tmp_path / "distill_app"
    shutil.copytree(resources.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "export"))
    before = machine.source_hash(package)
    (package / "ui").mkdir(exist_ok=True)
    (package / "ui" / "page.py").write_text("x = 1\n")
    (package / "schemas").mkdir(exist_ok=True)
    (package / "schemas" / "more.json").write_text("{}")
    (package / "cli.pyc").write_bytes(b"x")
    assert machine.source_hash(package) == before
    for changed in ("seeds.py", "skills/school_math.json"):
        text = (package / changed).read_text()
        (package / changed).write_text(text + "\n")
        assert machine.source_hash(package) != before
        (package / changed).write_text(text)
    (package / "seeds.py").rename(package / "seed.py")
    assert machine.source_hash(package) != before


def test_a_checkout_says_its_commit_and_whether_it_is_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "distill_app"
    package.mkdir()
    (package / "one.py").write_text("x = 1\n")
    monkeypatch.setattr(resources, "PACKAGE", package)
    assert (machine.code()["commit"], machine.code()["changed"]) == (None, None)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert (machine.code()["commit"], machine.code()["changed"]) == (head, False)
    (tmp_path / "notes.md").write_text("beside the package")
    assert machine.code()["changed"] is False
    (package / "one.py").write_text("x = 2\n")
    assert machine.code()["changed"] is True


def test_a_gpu_is_told_by_its_drivers_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program's own form, as `nvidia-smi --query-gpu=name,driver_version --format=csv,noheader` prints it."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H200, 570.86.15'\necho 'NVIDIA H200, 570.86.15'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = machine.hardware()
    assert (found["gpus"], found["driver"]) == (["NVIDIA H200", "NVIDIA H200"], "570.86.15")
    program.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    assert (machine.hardware()["gpus"], machine.hardware()["driver"]) == ([], None)


def test_files_go_by_content_wherever_they_lie(tmp_path: Path) -> None:
    """The same lock in another folder, the files beside it: the same plan, stage by stage."""
    recipe = local(tmp_path / "alice" / "work")
    record = lock_of(recipe)
    assert record["resolved"]["pool"]["problems"]["dataset"] == "jsonl:train.jsonl"
    assert record["resolved"]["teacher"][0]["path"] == "traces/*.jsonl"
    assert "alice" not in json.dumps(record)
    other = tmp_path / "bob"
    shutil.copytree(recipe.parent, other)
    (other / "x.lock").write_text(json.dumps(record))
    (arm,) = opened.arms(opened.lock_file(str(other / "x.lock")))
    again = json.loads(json.dumps(lock.record(graph.build(arm))))
    for name in ("stages", "plan", "contents", "resolved"):
        assert again[name] == record[name]
    (other / "traces" / "one.jsonl").write_text(ROWS.replace("Answer: 3", "Answer: 4"))
    changed = lock.record(graph.build(arm))
    assert {name for name, entry in changed["contents"].items() if entry != record["contents"][name]} == {
        "teacher.0.path"
    }


def test_paths_outside_lose_their_folders_and_hubs_their_choice(tmp_path: Path) -> None:
    (tmp_path / "home" / "recipes").mkdir(parents=True)
    for name in ("data", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.jsonl").write_text(ROWS)
    recipe = local(tmp_path / "home" / "recipes" / "r")
    (arm,) = load_arms(
        recipe,
        [
            f"pool.problems.dataset=jsonl:{tmp_path / 'data' / 'rows.jsonl'}",
            f"teacher.0.path=['{tmp_path / 'other' / 'rows.jsonl'}', '{tmp_path / 'data' / 'rows.jsonl'}']",
            "student.model=org/model",
        ],
    )
    commit = "0123456789abcdef0123456789abcdef01234567"
    contents = {"student.model": f"hub:org/model@{commit}", "pool.problems.dataset": f"hub:org/data@{commit}"}
    told = portable(arm.root, arm.resolved, str(recipe.parent), contents)
    assert told.recipe["pool"]["problems"]["dataset"] == "jsonl:rows.jsonl"
    assert told.recipe["teacher"][0]["path"] == ["2/rows.jsonl", "rows.jsonl"]
    assert told.recipe["evaluation"]["benchmarks"][0]["dataset"] == "jsonl:test.jsonl"
    assert told.recipe["student"]["revision"] == commit
    assert told.recipe["pool"]["problems"]["revision"] == commit
    assert arm.resolved["student"]["revision"] is None, "what was given is left as it was"


def test_a_hub_data_set_is_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named by a branch or by the commit that the branch stands for, it is the same stage: a lock may pin it."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    refs = tmp_path / "hub" / "datasets--org--data" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    recipe = local(tmp_path / "r")
    plans = [
        graph.build(arm)
        for pinned in ("null", f"'{commit}'", f"'{'1' * 40}'")
        for arm in load_arms(recipe, ["pool.problems.dataset=org/data", f"pool.problems.revision={pinned}"])
    ]
    newest, same, other = (plan.stages[0] for plan in plans)
    assert (newest.kind, newest.options["content"]) == ("problems", f"hub:org/data@{commit}")
    assert newest.fingerprint == same.fingerprint != other.fingerprint
    assert plans[0].fingerprint == plans[1].fingerprint


def test_an_unfinished_run_notes_another_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from distill_app.store import runs

    (arm,) = load_arms(local(tmp_path / "r"))
    plan = graph.build(arm)
    run = runs.create(tmp_path / "workspace", arm.text, "", lock.record(plan))
    lock.resumed(run, plan)
    assert "continued" not in run.lock_record(), "nothing has changed"
    monkeypatch.setattr(machine, "packages", lambda _: {"torch": "9.9"})
    lock.resumed(run, plan)
    lock.resumed(run, plan)
    (later,) = run.lock_record()["continued"]
    assert later["packages"] == {"torch": "9.9"}
    assert run.lock_record()["packages"]["torch"] == metadata.version("torch"), "what it began with stands"
    jsonschema.Draft202012Validator(SCHEMA).validate(run.lock_record())
