"""A run killed again and again, anywhere, ends with what an undisturbed run ends with.

DISTILL_CRASH_KILLS says how often (6 unasked). The full count, over static and dynamic selection:

    DISTILL_CRASH_KILLS=100 pytest tests/crash/test_killed.py -n0 -s
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from distill_app.store import clean
from tests.crash.scene import (
    Whole,
    carry_out,
    contents,
    deaths,
    events_of,
    finished_rows,
    issue,
    run_until,
    sealed,
)
from tests.recipes import distill, json_of, small

KILLS = int(os.environ.get("DISTILL_CRASH_KILLS", "6"))
A_ROUND = 12
"""Deaths of one run."""
DYNAMIC = {
    "{name: quality, top: 12}": "{name: dmc, top: 8, dynamic: true, candidates: 50%}",
    "epochs: 2": "epochs: 3\ncapability: {rows: 2}",
}


def rounds(kills: int) -> list[tuple[int, int]]:
    """The number of each round, and how often its run dies: at least twice."""
    return [(number, max(2, min(A_ROUND, kills - begun))) for number, begun in enumerate(range(0, kills, A_ROUND))]


@pytest.fixture(scope="module")
def dynamic(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Whole:
    """Dynamic selection, undisturbed: more stages, and a choice before each epoch."""
    folder = tmp_path_factory.mktemp("dynamic")
    return carry_out(small(folder, tiny_folder, **DYNAMIC), folder / "workspace")


@pytest.mark.parametrize(("number", "kills"), rounds(KILLS))
def test_a_run_that_dies_again_and_again(
    number: int, kills: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    whole: Whole = request.getfixturevalue("dynamic" if number % 2 else "whole")
    workspace = tmp_path / "killed"
    died = 0
    for death in deaths(whole, kills, Random(number)):
        before, rows = sealed(workspace), finished_rows(workspace)
        killed = run_until(death, whole, workspace)
        died += killed
        print(f"round {number}: {death} {'killed' if killed else 'had ended'}", flush=True)
        nothing_is_lost(workspace, before, rows)
    assert died >= kills - 1, "no more than one came too late"
    done = issue(whole, workspace, "--json")
    assert done.returncode == 0, done.stderr
    assert contents(workspace) == contents(whole.workspace)
    (run,) = json_of(distill("runs", "--json", workspace=workspace))
    assert (run["state"], run["damage"]) == ("finished", [])
    check_log(events_of(workspace), events_of(whole.workspace))
    shutil.rmtree(workspace)


def nothing_is_lost(workspace: Path, before: dict[Path, bytes], rows: dict[Path, list[bytes]]) -> None:
    """What was finished before the attempt is there after it, once, and not made again; `clean` finds nothing."""
    after = sealed(workspace)
    assert {path: after[path] for path in before} == before
    now = finished_rows(workspace)
    for path, lines in rows.items():
        artifact = path.parents[1].with_suffix("")
        assert (artifact / "manifest.json").exists() or now[path][: len(lines)] == lines
    for lines in now.values():
        assert len(set(lines)) == len(lines)
    assert clean.clean(workspace, remove=True).items == ()


def check_log(events: list[dict[str, Any]], whole: list[dict[str, Any]]) -> None:
    """The log counts on; no stage was made twice; training went on from the last step's checkpoint or the one before,
    and each step had the same rows: it had the same loss. (A kill may take the word of a step that was made.)"""
    assert [event["seq"] for event in events] == list(range(len(events)))
    made = Counter(event["stage"] for event in events if event["type"] == "stage_finished")
    assert set(made.values()) == {1}
    assert not [event for event in events if event["type"] == "stage_damaged"]
    losses = {event["step"]: event["loss"] for event in whole if event["type"] == "loss"}
    steps = [event["step"] for event in events if event["type"] == "loss"]
    assert [event["loss"] for event in events if event["type"] == "loss"] == [losses[step] for step in steps]
    assert steps == sorted(steps), "never from the beginning"
    resumed = {event["stage"] for event in events if event["type"] == "stage_started" and event["resumed"]}
    assert "train" in resumed
