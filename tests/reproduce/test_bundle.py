"""A finished run in one file, opened by somebody else: read, planned, compared, and run again to the same result."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest

from distill_app.errors import RecipeError, UsageError
from distill_app.plan import view
from distill_app.records import Decision, Trace
from distill_app.reports import compare, compare_operands
from distill_app.reproduce import archive, bundle, diff, opened
from distill_app.store import rows, runs
from tests.recipes import ROOT, data_hashes, distill, small, without_traceback

SMALLER = {
    "limit: 48": "limit: 16",
    "top: 12": "top: 4",
    "epochs: 2": "epochs: 1",
    "limit: 6}": "limit: 3}",
    "samples: 4": "samples: 2",
    "max_tokens: 24": "max_tokens: 8",
}
"""Four of sixteen rows, one step, three problems answered twice."""


class Done(NamedTuple):
    """A workspace with one finished run, its bundle, and an empty folder elsewhere with the bundle and the student."""

    workspace: Path
    bundle: Path
    elsewhere: Path

    @property
    def file(self) -> Path:
        return self.elsewhere / self.bundle.name


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Done:
    folder = tmp_path_factory.mktemp("alice")
    shutil.copytree(tiny_folder, folder / "student")
    recipe = small(folder, folder / "student", **SMALLER)
    run = distill("run", recipe, workspace=folder / "workspace")
    assert run.returncode == 0, run.stderr
    written = distill("bundle", "latest", workspace=folder / "workspace", cwd=folder)
    assert written.returncode == 0, written.stderr
    (file,) = folder.glob("small-*.bundle")
    elsewhere = tmp_path_factory.mktemp("bob")
    shutil.copyfile(file, elsewhere / file.name)
    shutil.copytree(tiny_folder, elsewhere / "student")
    return Done(folder / "workspace", file, elsewhere)


def test_what_is_in_it(done: Done) -> None:
    assert done.file.stat().st_size < 20_000
    with zipfile.ZipFile(done.file) as file:
        texts = {name: file.read(name).decode() for name in file.namelist()}
    assert set(texts) == opened.KNOWN
    (selected,) = done.workspace.glob("artifacts/select/*/selected.parquet")
    (decided,) = done.workspace.glob("artifacts/select/*/decisions.parquet")
    kept = {row.id: row.reason for row in rows.read(decided, Decision) if row.kept}
    selection = json.loads(texts["selection.json"])
    assert {row["id"]: row["reason"] for row in selection["rows"]} == kept
    assert (selection["pool"], selection["kept"], sum(row["rows"] for row in selection["left_out"])) == (16, 4, 12)
    whole = "".join(texts.values())
    assert not any(trace.text in whole for trace in rows.read(selected, Trace))
    assert str(done.workspace.parent) not in whole
    assert "![" not in texts["report.md"]
    assert "Training loss:" in texts["report.md"]


def test_the_same_run_gives_the_same_bytes_and_no_file_is_replaced(done: Done, tmp_path: Path) -> None:
    run = runs.find(done.workspace, "latest")
    assert bundle.write(run, done.workspace, tmp_path / "x.bundle").read_bytes() == done.bundle.read_bytes()
    with pytest.raises(UsageError, match="already there"):
        bundle.write(run, done.workspace, tmp_path / "x.bundle")


def test_the_rows_may_have_left_the_store(done: Done, tmp_path: Path) -> None:
    run = runs.find(done.workspace, "latest")
    shutil.copytree(run.folder, tmp_path / "runs" / run.id)
    found = bundle.write(runs.find(tmp_path, "latest"), tmp_path, tmp_path / "x.bundle")
    with zipfile.ZipFile(found) as file:
        assert set(file.namelist()) == opened.KNOWN - {"selection.json"}
    (tmp_path / "runs" / run.id / "result.json").unlink()
    with pytest.raises(UsageError, match="no result yet"):
        bundle.write(runs.find(tmp_path, "latest"), tmp_path, tmp_path / "y.bundle")


def test_another_person_validates_plans_and_shows_it(done: Done) -> None:
    fine = distill("validate", done.file.name, workspace=done.elsewhere / "none", cwd=done.elsewhere)
    assert fine.stdout == f"{done.file.name}: fine (1 run).\n", fine.stderr
    plan = view.as_json(view.estimates(opened.load_arms(str(done.file)), done.elsewhere / "none"))["stages"]
    there = opened.details(done.workspace, "latest")
    # The folder of the student is another here.
    assert [stage["fingerprint"] for stage in plan] == [stage["fingerprint"] for stage in there["stages"]]
    assert {stage["state"] for stage in plan} == {"to_run"}
    shown = opened.details(done.elsewhere / "none", str(done.file))
    for name in ("run", "state", "seconds", "stages", "selector_label"):
        assert shown[name] == there[name]
    assert [row["score"] for row in shown["result"]["rows"]] == [row["score"] for row in there["result"]["rows"]]
    assert shown["result"]["settings"]["student"] == "student"
    text = distill("show", done.file, workspace=done.elsewhere / "none").stdout
    assert "evaluate[trained word_problems]" in text
    assert "avg@2" in text


def test_run_again_elsewhere_it_comes_to_the_same_bytes(done: Done) -> None:
    """The same recipe on the same machine in a fresh workspace, held to the bundle.

    What the student computes is taken over here, to be cheap: that training and answers come out the same to the byte
    too is what tests/crash/test_killed.py shows, of runs that die on the way besides.
    """
    workspace = done.elsewhere / "workspace"
    for kind in ("train", "evaluate"):
        shutil.copytree(done.workspace / "artifacts" / kind, workspace / "artifacts" / kind)
    again = distill("run", "--locked", done.file.name, workspace=workspace, cwd=done.elsewhere)
    assert again.returncode == 0, again.stderr
    assert "The same score at each of 3 problems as the locked run." in again.stdout
    (log,) = workspace.glob("runs/*/events.jsonl")
    events = [json.loads(line) for line in log.read_text().splitlines()]
    made = [event["stage"].partition("[")[0] for event in events if event["type"] == "stage_finished"]
    assert made == [
        "problems",
        "problems",
        "generate",
        "grade",
        "quality",
        "hygiene",
        "select",
        "grade",
        "grade",
        "report",
    ]
    hashes = data_hashes(done.workspace)
    assert {name.partition(" ")[0].partition("[")[0] for name in hashes} == {
        "problems", "generate", "grade", "quality", "hygiene", "select", "train", "evaluate",
    }  # fmt: skip
    assert data_hashes(workspace) == hashes
    first, second = (runs.find(one, "latest") for one in (done.workspace, workspace))
    results = [run.result() or {} for run in (first, second)]
    for name in ("per_problem", "counts", "selection", "arm"):
        assert results[0][name] == results[1][name]
    compared = compare.compare(compare_operands.runs(workspace, [str(done.file), "latest"]))
    assert [(pair["difference"], pair["n_problems"]) for pair in compared["pairs"]] == [(0.0, 3)]
    assert compared["settings"] == []
    sides = diff.diff(workspace, "latest", str(done.file))
    assert (sides["differences"], sides["first_stage"], sides["unsaid"]) == ([], None, [])
    lock = second.lock_record()
    jsonschema.Draft202012Validator(json.loads((ROOT / "schemas" / "lock.schema.json").read_text())).validate(lock)
    assert lock["computed"]["train"]["device"] == "cpu"
    assert "continued" not in lock


def test_arms_and_bases_of_bundles_are_compared(done: Done) -> None:
    nowhere = done.elsewhere / "none"
    found = compare.compare(compare_operands.runs(nowhere, [str(done.file), f"{done.file}:base", "base"]))
    assert [operand["selector"] for operand in found["operands"]] == ["quality", "untrained", "untrained"]
    (arm,) = compare_operands.whole_arms(nowhere, [str(done.file)])
    assert arm.name == "Quality, seed 0"
    with pytest.raises(UsageError, match="of one arm"):
        compare_operands.whole_arms(nowhere, [str(done.file)] * 2)


def test_what_tells_it_from_another_is_shown(done: Done, tmp_path: Path) -> None:
    lock = json.loads(zipfile.ZipFile(done.file).read("lock.json"))
    for stage in lock["stages"]:
        if stage["name"] in ("select", "train"):
            stage["fingerprint"] = "0" * 16
    next(stage for stage in lock["stages"] if stage["name"] == "select")["options"]["seed"] = 1
    next(stage for stage in lock["stages"] if stage["name"] == "train")["inputs"]["selection"] = ["0" * 16]
    lock["resolved"]["seed"] = 1
    lock["packages"]["torch"] = "2.0.1"
    (tmp_path / "x.lock").write_text(json.dumps(lock))
    found = diff.diff(tmp_path, str(done.file), str(tmp_path / "x.lock"))
    jsonschema.Draft202012Validator(json.loads((ROOT / "schemas" / "diff.schema.json").read_text())).validate(found)
    assert found["first_stage"] == "select"
    text = diff.as_text(found)
    assert "The first stage that differs is select" in text
    assert "because of seed: 0 and 1" in text
    assert "then train: follows from what it reads" in text
    assert "seed: 0 | 1" in text
    assert f"torch: {found['differences'][-1]['first']} | 2.0.1" in text
    assert max(map(len, text.splitlines()[2:])) <= diff.WIDTH


def changed(done: Done, **changes: Callable[[Any], Any]) -> bytes:
    """The bundle with some of its entries changed; a change of None takes the entry out."""
    with zipfile.ZipFile(done.file) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    for key, change in changes.items():
        name = key.replace("__", ".")
        given = json.loads(entries[name]) if name.endswith(".json") else entries[name].decode()
        made = change(given)
        entries[name] = made.encode() if isinstance(made, str) else json.dumps(made).encode()
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return raw.getvalue()


def shorter(result: Any) -> Any:
    result["per_problem"]["word_problems"]["trained"].pop()
    return result


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bundle__json": lambda index: {**index, "version": 2}}, "bundle.json.version: 1 was expected"),
        ({"result__json": shorter}, "the scores of word_problems do not fit its problems"),
        ({"result__json": lambda result: {**result, "rows": "none"}}, "result.json.rows"),
        ({"result__json": lambda result: {**result, "recipe": "\x1b]0;x"}}, "control character U+001B"),
        ({"resolved__yaml": lambda text: text.replace("seed: 0", "seed: 1", 1)}, "another recipe than its lock"),
        ({"lock__json": lambda lock: {**lock, "plan": "../../x"}}, "lock.json.plan"),
        ({"run__json": lambda run: {**run, "stages": [{"name": 1}]}}, "run.json.stages"),
    ],
)
def test_a_bundle_that_does_not_hold_together_is_refused(
    done: Done, tmp_path: Path, changes: dict[str, Callable[[Any], Any]], said: str
) -> None:
    (tmp_path / "x.bundle").write_bytes(changed(done, **changes))
    with pytest.raises(UsageError) as refusal:
        opened.bundle(str(tmp_path / "x.bundle"))
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('model: "./student"', "model: /etc"),
        ('model: "./student"', "model: ../../../../../../etc"),
        ("dataset: builtin:word_problems", 'dataset: "jsonl:/etc/passwd"'),
        ("tree: builtin:school_math", "tree: ~/.ssh/id_rsa"),
    ],
)
def test_its_recipe_reads_nothing_outside_its_folder(
    done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str
) -> None:
    monkeypatch.delenv("DISTILL_ALLOW_PATHS", raising=False)
    with zipfile.ZipFile(done.file) as file:
        text = file.read("resolved.yaml").decode()
        lock = json.loads(file.read("lock.json"))
    changed_text = text.replace(old, new)
    assert changed_text != text
    for name in ("resolved", "contents", "template", "seeds", "code", "hardware"):
        del lock[name]
    lock |= {"version": 1}
    (tmp_path / "x.bundle").write_bytes(
        changed(done, resolved__yaml=lambda _: changed_text, lock__json=lambda _: {**lock, "computed": {}})
    )
    with pytest.raises(RecipeError) as refusal:
        opened.load_arms(str(tmp_path / "x.bundle"))
    assert f"x.bundle:resolved.yaml:{changed_text[: changed_text.index(new)].count(chr(10)) + 1}:" in str(refusal.value)


def test_commands_meet_a_bad_bundle_with_a_sentence(tmp_path: Path) -> None:
    bad = tmp_path / "bad.bundle"
    bad.write_bytes(b"PK\x03\x04" + bytes(100))
    for words in (
        ["validate", bad],
        ["run", "--locked", bad],
        ["compare", bad, "base"],
        ["show", tmp_path / "no.bundle"],
    ):
        said = distill(*words, workspace=tmp_path / "workspace")
        assert said.returncode == 2
        assert "undle" in without_traceback(said)
    assert not (tmp_path / "workspace").exists()


def test_every_entry_has_a_place_in_the_schema() -> None:
    schema = json.loads((ROOT / "schemas" / "bundle.schema.json").read_text())
    assert set(schema["properties"]) == opened.KNOWN
    assert set(schema["required"]) == opened.NEEDED
    assert len(opened.KNOWN) <= archive.MOST_ENTRIES
