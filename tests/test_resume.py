"""Killing a run in each stage and issuing it again ends as if it had never been killed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.recipes import data_hashes, distill, json_of, small, start_run

KILL_AFTER = {
    "problems[pool]": "stage_started",
    "problems[word_problems]": "stage_started",
    "generate[worked/chain_of_thought]": "stage_started",
    "grade[worked/chain_of_thought]": "stage_started",
    "quality[worked/chain_of_thought]": "stage_started",
    "hygiene": "stage_started",
    "select": "stage_started",
    "train": "loss 3",
    "evaluate[base word_problems]": "batch",
    "grade[base word_problems]": "stage_started",
    "evaluate[trained word_problems]": "batch",
    "grade[trained word_problems]": "stage_started",
    "report": "stage_started",
}


def reached(event: dict[str, Any], stage: str) -> bool:
    """Whether this event is the moment to kill in `stage` (for answers: the moment to begin watching the disk)."""
    if event.get("stage") != stage:
        return False
    wanted = KILL_AFTER[stage]
    if wanted == "loss 3":
        return event["type"] == "loss" and event["step"] == 3
    return bool(event["type"] == ("stage_started" if wanted == "batch" else wanted))


def wait_for_a_batch(workspace: Path) -> None:
    """Until the first of three batches of answers is on disk, and not all three."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        for log in workspace.glob("artifacts/evaluate/*.partial/work/completions.jsonl"):
            if log.stat().st_size:
                return
        time.sleep(0.002)
    pytest.fail("no batch of answers was written in two minutes")


def run_and_kill(recipe: Path, workspace: Path, stage: str) -> None:
    process = start_run(recipe, workspace)
    assert process.stdout
    for line in process.stdout:
        if reached(json.loads(line), stage):
            if KILL_AFTER[stage] == "batch":
                wait_for_a_batch(workspace)
            process.kill()
            break
    else:
        pytest.fail(f"the run ended before {stage} was reached")
    process.communicate()


def test_killed_in_every_stage(tmp_path: Path, tiny_folder: Path) -> None:
    recipe = small(tmp_path, tiny_folder)
    whole = distill("run", recipe, "--json", workspace=tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    assert set(json.loads(whole.stdout.splitlines()[0])["stages"]) == set(KILL_AFTER)
    for stage in KILL_AFTER:
        run_and_kill(recipe, tmp_path / "killed", stage)
        (run,) = json_of(distill("runs", "--json", workspace=tmp_path / "killed"))
        assert run["state"] == "lost"
    last = distill("run", recipe, "--json", workspace=tmp_path / "killed")
    assert last.returncode == 0, last.stderr
    assert json.loads(last.stdout.splitlines()[-1]) == {"run": run["run"], "status": "finished"}
    assert data_hashes(tmp_path / "killed") == data_hashes(tmp_path / "whole")

    events = [json.loads(line) for line in (tmp_path / "killed" / "runs" / run["run"] / "events.jsonl").open()]
    assert [event["seq"] for event in events] == list(range(len(events)))
    resumed = {event["stage"] for event in events if event["type"] == "stage_started" and event["resumed"]}
    assert {"train", "evaluate[base word_problems]", "evaluate[trained word_problems]"} <= resumed
    trained = [event["step"] for event in events if event["type"] == "loss"]
    assert trained[:3] == [1, 2, 3]
    assert trained[3] in (3, 4), "goes on from the checkpoint after step 2 or 3, not from the beginning"
    assert trained[-3:] == [4, 5, 6]

    boards = [json_of(distill("leaderboard", "--json", workspace=tmp_path / name)) for name in ("whole", "killed")]
    for board in boards:
        for row in board:
            row.pop("run")
            row.pop("seconds")
    assert boards[0] == boards[1]
