"""Dynamic selection through the whole path: steps as in static, what each epoch leaves, kills that leave no trace."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.recipes import data_hashes, distill, json_of, small, start_run

DYNAMIC = {
    "{name: quality, top: 12}": "{name: dmc, top: 8, dynamic: true, candidates: 50%}",
    "epochs: 2": "epochs: 3\ncapability: {rows: 2}",
}
Moment = Callable[[dict[str, Any]], bool]


def recipe(folder: Path, student: Path, **changes: str) -> Path:
    return small(folder, student, **{**DYNAMIC, **changes})


def manifest(workspace: Path, kind: str) -> dict[str, Any]:
    (path,) = (workspace / "artifacts" / kind).glob("*/manifest.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def epochs(workspace: Path) -> list[dict[str, Any]]:
    paths = sorted((workspace / "artifacts" / "train").glob("*/epochs/epoch-*.json"))
    return [json.loads(path.read_text()) for path in paths]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """The workspace of a dynamic run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("dynamic")
    done = distill("run", recipe(folder, tiny_folder), "--json", workspace=folder / "workspace")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "workspace"


def test_what_each_epoch_leaves(whole: Path) -> None:
    chosen = epochs(whole)
    assert [epoch["epoch"] for epoch in chosen] == [0, 1, 2]
    selected = manifest(whole, "select")
    # 48 traces, 2 of them the placement test, half of the 46 others scored again: 23 and the test's 2.
    assert selected["counts"]["candidates"] == 46
    assert [epoch["scored"] for epoch in chosen] == [0, 25, 25]
    held_out = set(json.loads(next((whole / "artifacts" / "placement").glob("*/placement.json")).read_text()))
    assert len(held_out) == 2
    for before, epoch in zip([None, *chosen], chosen, strict=False):
        assert len(set(epoch["ids"])) == 8
        assert not held_out & set(epoch["ids"])
        if before:
            shared = len(set(before["ids"]) & set(epoch["ids"]))
            assert epoch["overlap"] == pytest.approx(shared / (16 - shared))
            assert set(epoch["ids"]) <= set(epoch["scores"])
            assert len(epoch["scores"]) == 23
    trained = manifest(whole, "train")
    # 8 rows in batches of 4 over 3 epochs: what a static arm of 8 rows takes.
    assert (trained["rows"], trained["counts"]["steps"]) == (8, 6)
    assert set(trained["facts"]["selection_seconds"]) == {"0", "1", "2"}
    (run,) = (whole / "runs").iterdir()
    events = [json.loads(line) for line in (run / "events.jsonl").open()]
    told = [event for event in events if event["type"] == "selection"]
    assert [event["epoch"] for event in told] == [0, 1, 2]
    assert [event["capability"] for event in told] == [epoch["capability"] for epoch in chosen]


def test_the_first_epoch_is_the_untrained_students_choice(whole: Path) -> None:
    import pyarrow.parquet as pq

    (folder,) = (whole / "artifacts" / "select").glob("*/")
    selected = pq.read_table(folder / "selected.parquet")["id"].to_pylist()
    assert epochs(whole)[0]["ids"] == selected
    decisions = pq.read_table(folder / "decisions.parquet").to_pylist()
    outside = [row for row in decisions if "not among the best 50% by quality" in row["reason"]]
    assert len(outside) == 23


def selection(epoch: int) -> Moment:
    return lambda event: event["type"] == "selection" and event["epoch"] == epoch


def step(number: int) -> Moment:
    return lambda event: event["type"] == "loss" and event["step"] == number


def test_killed_between_and_within_epochs(whole: Path, tmp_path: Path, tiny_folder: Path) -> None:
    """After each choice, and within the second and the third epoch: the same choices and the same weights."""
    path = recipe(tmp_path, tiny_folder)
    workspace = tmp_path / "killed"
    for moment in (selection(0), selection(1), step(3), selection(2), step(5)):
        process = start_run(path, workspace)
        assert process.stdout
        for line in process.stdout:
            if moment(json.loads(line)):
                process.kill()
                break
        else:
            pytest.fail("the run ended before it was killed")
        process.communicate()
    done = distill("run", path, "--json", workspace=workspace)
    assert done.returncode == 0, done.stdout + done.stderr
    assert epochs(workspace) == epochs(whole)
    assert data_hashes(workspace) == data_hashes(whole)
    (run,) = json_of(distill("runs", "--json", workspace=workspace))
    assert run["state"] == "finished"


def test_random_and_its_control_take_as_many_steps(tmp_path: Path, tiny_folder: Path) -> None:
    done = distill(
        "run",
        recipe(tmp_path, tiny_folder, **{"seed": "seed"}),
        "--json",
        "--set",
        "selector={name: random, top: 8}",
        "--set",
        "matrix={selector.dynamic: [false, true]}",
        workspace=tmp_path / "workspace",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made = [
        json.loads(path.read_text())
        for path in (tmp_path / "workspace" / "artifacts" / "train").glob("*/manifest.json")
    ]
    assert [row["counts"]["steps"] for row in made] == [6, 6]
    chosen = epochs(tmp_path / "workspace")
    assert len({tuple(epoch["ids"]) for epoch in chosen}) == 3
    assert not list((tmp_path / "workspace" / "artifacts" / "difficulty").glob("*")), "random needs no score"
