"""Nothing a recipe names lies outside the folders it may read, however the path is written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distill_app.errors import RecipeError
from distill_app.recipe import allowed, paths, save, schema
from distill_app.recipe.resolve import load_arms
from distill_app.recipe.schema import FAMILIES
from tests.recipe import schema_keys

REFUSED = "is outside the folders that a recipe may read"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe's own folder; `../elsewhere` beside it holds what is none of its business."""
    for name in ("own", "here", "elsewhere/model"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "elsewhere" / "rows.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n')
    (tmp_path / "elsewhere" / "base.yaml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv(allowed.VARIABLE)
    monkeypatch.setenv("DISTILL_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
    return tmp_path / "own"


SLOTS = {
    "extends": "extends: {}",
    "pool.problems.dataset": "pool: {{problems: {{dataset: 'jsonl:{}'}}}}",
    "evaluation.benchmarks.0.dataset": "evaluation: {{benchmarks: [{{name: mine, dataset: 'jsonl:{}'}}]}}",
    "teacher.path": "teacher: {{name: t, backend: traces, path: {}}}",
    "teacher.path.0": "teacher: {{name: t, backend: traces, path: [{}]}}",
    "capability.table": "capability: {{mode: population, table: {}}}",
    "skills.tree": "skills: {{tree: {}}}",
    "training.skills.labels": "training: {{skills: {{labels: {}}}}}",
    "student.model": "student: {{model: {}}}",
    "teacher.model": "teacher: {{name: t, backend: transformers, model: {}}}",
    "quality.model": "quality: {{scorer: reward_model, model: {}}}",
    "skills.embedding": "skills: {{embedding: {}}}",
}
"""Every place of a recipe that can name a file or a folder."""
MODELS = {name for name in SLOTS if name.endswith(("model", "embedding"))}
WHOLE: dict[str, Any] = {
    "version": 1,
    "name": "hostile",
    "student": {"model": "org/model"},
    "teacher": {"name": "t", "backend": "transformers", "model": "org/model"},
    "pool": {"problems": {"dataset": "org/problems"}},
    "selector": {"name": "random"},
    "evaluation": {"benchmarks": [{"name": "other", "dataset": "org/other"}]},
}


def recipe(folder: Path, slot: str, path: str) -> Path:
    """A good recipe but for this path."""
    text = SLOTS[slot].format(path)
    kept = {key: value for key, value in WHOLE.items() if key != text.partition(":")[0]}
    file = folder / "r.yaml"
    file.write_text(f"{text}\n{save.dump(kept)}")
    return file


def faults(file: Path, *sets: str) -> list[str]:
    try:
        load_arms(file, sets)
    except RecipeError as error:
        return [str(fault) for fault in error.faults]
    return []


@pytest.mark.parametrize("slot", SLOTS)
def test_a_path_does_not_lead_out(own: Path, slot: str) -> None:
    elsewhere = own.parent / "elsewhere"
    target = "model" if slot in MODELS else "base.yaml" if slot == "extends" else "rows.jsonl"
    (own / "link").symlink_to(elsewhere / target)
    (own / "folder").symlink_to(elsewhere)
    (own / "inside").mkdir()
    for path in (
        f"../elsewhere/{target}",
        f"./inside/../../elsewhere/{target}",
        str(elsewhere / target),
        f"~/{target}",
        "./link",
        f"./folder/{target}",
    ):
        found = faults(recipe(own, slot, path))
        assert len(found) == 1, (path, found)
        assert REFUSED in found[0]
        assert f"{own / 'r.yaml'}:1:" in found[0]
        assert f": {slot}: " in found[0]
        assert "--allow-path" in found[0]


@pytest.mark.parametrize("slot", sorted(SLOTS))
def test_what_may_be_read_is(own: Path, slot: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the recipe's own folder, the working folder, the workspace, the cache, and where a person allows it."""
    rows, elsewhere = (own.parent / "elsewhere" / "rows.jsonl").read_text(), own.parent / "elsewhere"
    for folder in (own, own.parent / "here", own.parent / "workspace", own.parent / "cache"):
        (folder / "model").mkdir(parents=True)
        (folder / "rows.jsonl").write_text(rows)
        (folder / "base.yaml").write_text("version: 1\n")
        for name in ("model", "base.yaml" if slot == "extends" else "rows.jsonl"):
            if (slot in MODELS) == (name == "model"):
                assert not faults(recipe(own, slot, str(folder / name)))
    target = elsewhere / ("model" if slot in MODELS else "base.yaml" if slot == "extends" else "rows.jsonl")
    file = recipe(own, slot, str(target))
    assert faults(file)
    monkeypatch.setenv(allowed.VARIABLE, os.pathsep.join(["/nowhere", str(elsewhere)]))
    assert not faults(file)
    monkeypatch.delenv(allowed.VARIABLE)
    if slot != "extends":
        value = f"jsonl:{target}" if slot.endswith("dataset") else str(target)
        assert not faults(recipe(own, slot, "x" if slot in MODELS else "missing.jsonl"), f"{slot}={value}")


def test_a_folder_like_an_allowed_one_is_another(own: Path) -> None:
    (own.parent / "own-not").mkdir()
    (own.parent / "own-not" / "rows.jsonl").write_text("{}\n")
    assert REFUSED in faults(recipe(own, "teacher.path", "../own-not/rows.jsonl"))[0]


def test_every_file_of_a_pattern_is_looked_at(own: Path) -> None:
    (own / "a.jsonl").write_text("{}\n")
    file = recipe(own, "teacher.path", "'*.jsonl'")
    assert not faults(file)
    (own / "b.jsonl").symlink_to(own.parent / "elsewhere" / "rows.jsonl")
    assert REFUSED in faults(file)[0]
    assert "b.jsonl" in faults(file)[0]
    (own / "b.jsonl").unlink()
    (own / "deep").symlink_to(own.parent / "elsewhere")
    assert REFUSED in faults(recipe(own, "teacher.path", "'*/*.jsonl'"))[0]
    assert REFUSED in faults(recipe(own, "teacher.path", "'**/*.jsonl'"))[0]
    assert REFUSED in faults(recipe(own, "teacher.path", "'../elsew*/*.jsonl'"))[0]
    assert REFUSED in faults(recipe(own, "teacher.path", "'/**/*.jsonl'"))[0]


def test_a_model_s_files_are_its_own(own: Path) -> None:
    model = own / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    assert not faults(recipe(own, "student.model", "model"))
    (model / "real.safetensors").write_bytes(b"")
    (model / "model.safetensors").symlink_to(model / "real.safetensors")
    assert not faults(recipe(own, "student.model", "model"))
    (model / "tokenizer.json").symlink_to(own.parent / "elsewhere" / "rows.jsonl")
    assert REFUSED in faults(recipe(own, "student.model", "model"))[0]


def test_a_hub_s_name_is_no_way_to_a_folder_elsewhere(own: Path) -> None:
    """What reads models and data sets looks in the working folder before it asks the hub."""
    (own.parent / "here" / "org").mkdir()
    (own.parent / "here" / "org" / "model").symlink_to(own.parent / "elsewhere" / "model")
    assert REFUSED in faults(recipe(own, "student.model", "org/model"))[0]
    (own.parent / "here" / "org" / "problems").mkdir()
    found = faults(recipe(own, "capability.table", "null"))
    assert any("'org/problems' is also a folder in the working folder" in fault for fault in found)


def test_variables_and_other_people_s_homes_are_text(own: Path) -> None:
    for path in ("$HOME/rows.jsonl", "${HOME}/rows.jsonl", "~root/rows.jsonl"):
        (found,) = faults(recipe(own, "teacher.path", f"'{path}'"))
        assert f"there is no file {own}/{path}" in found
        folder = own / path.rpartition("/")[0]
        folder.mkdir()
        (folder / "rows.jsonl").write_text("{}\n")
        assert not faults(recipe(own, "teacher.path", f"'{path}'")), "a folder of that very name"


def test_a_file_cannot_pass_for_the_command_line(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values given by --set may lie anywhere, and positions tell them: no file's position looks like theirs."""
    (own / "--set x").mkdir()
    inner = own / "--set x" / "inner.yaml"
    inner.write_text(f"teacher: {{name: t, backend: traces, path: {own.parent / 'elsewhere' / 'rows.jsonl'}}}\n")
    file = own / "r.yaml"
    file.write_text(save.dump({"extends": "--set x/inner.yaml", **{k: v for k, v in WHOLE.items() if k != "teacher"}}))
    monkeypatch.chdir(own)
    for name in (str(file), "r.yaml", "--set x/inner.yaml"):
        with pytest.raises(RecipeError, match=REFUSED):
            load_arms(name)


def test_going_on_from_a_resolved_recipe(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What this program resolved and ran here needs no second permission; one letter changed, and it does."""
    outside = own.parent / "elsewhere" / "rows.jsonl"
    monkeypatch.setenv(allowed.VARIABLE, str(own.parent / "elsewhere"))
    (arm,) = load_arms(recipe(own, "teacher.path", str(outside)))
    monkeypatch.delenv(allowed.VARIABLE)
    text = save.dump(arm.resolved)
    kept = own.parent / "workspace" / "runs" / "20260101-000000-abcdef" / "resolved.yaml"
    kept.parent.mkdir(parents=True)
    kept.write_text(text)
    assert REFUSED in faults(kept)[0]
    allowed.remember(text)
    assert not faults(kept)
    (again,) = load_arms(kept)
    assert again.resolved == arm.resolved
    kept.write_text(text.replace("hostile", "hostils"))
    assert REFUSED in faults(kept)[0]


def test_the_option_holds_for_the_processes_a_command_starts(own: Path) -> None:
    file = recipe(own, "teacher.path", str(own.parent / "elsewhere" / "rows.jsonl"))

    def validate(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "distill_app.cli", "validate", str(file), "--json", *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    refused = validate()
    assert refused.returncode == 2
    (fault,) = json.loads(refused.stdout)
    assert (fault["line"], fault["path"]) == (1, "teacher.path")
    assert fault["column"] == 1 + len("teacher: {name: t, backend: traces, path: ")
    assert validate("--allow-path", str(own.parent / "elsewhere")).returncode == 0


def test_allowing_adds_to_what_is_allowed(own: Path) -> None:  # noqa: ARG001 - for its environment
    allowed.allow("/one")
    allowed.allow("two", "/one")
    assert os.environ[allowed.VARIABLE].split(os.pathsep) == ["/one", str(Path.cwd() / "two")]
    assert {"/one", str(Path.cwd() / "two")} <= set(allowed.roots("r.yaml"))
    del os.environ[allowed.VARIABLE]


def text_keys() -> Iterator[tuple[str, str]]:
    """Keys whose value is free text, and what the schemas say of them."""
    schemas = schema.installed()
    for name, spec in schema_keys.keys(schemas).items():
        if "string" in schema_keys.types(schemas, spec) and not {"enum", "const"} & schema_keys.wrongs(schemas, spec):
            yield name, f"{spec.get('title', '')} {spec.get('description', '')}"


def test_no_key_that_names_a_file_is_forgotten() -> None:
    """Keys that speak of files, folders, paths or globs are among those that are looked at."""
    folders = {family.folder: part for part, family in FAMILIES.items()}
    words = ("file", "folder", "path", "glob")
    told = {name for name, says in text_keys() if any(word in says.lower() for word in words)}
    known = set()
    for name in SLOTS:
        part, _, rest = name.partition(".")
        known.add(rest.removesuffix(".0") if part in FAMILIES else name.replace(".0.", "[]."))
    own_keys = {name.split(".", 2)[2] if name.split(".")[0] in folders else name for name in told}
    harmless = {"system_prompt", "config", "split", "revision", "column", "fields.problem_id", "pool.problems.split"}
    harmless |= {"evaluation.benchmarks[].split", "dataset"}  # of traces: a hub id, which its pattern sees to
    assert own_keys - known - harmless == set()
    assert paths.FILE_KINDS == ("jsonl:", "parquet:")
