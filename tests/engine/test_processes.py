"""A model stage is a process of its own: it dies with its run, goes on with less memory, and leaves when asked."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest

from distill_app.engine import forkserver, local
from distill_app.engine.forkserver import Starter
from distill_app.plan import graph
from distill_app.recipe.resolve import load_arms
from distill_app.training import checkpoints
from tests.recipes import ROOT, small, start_run

PATIENCE = 400
"""Seconds after which a test that waits for a process gives up."""
SHORT_OF_MEMORY = Path(__file__).with_name("short_of_memory")


def until(run: subprocess.Popen[str], kind: str) -> dict[str, Any]:
    """The next event of this kind that a run tells."""
    assert run.stdout
    for line in run.stdout:
        event: dict[str, Any] = json.loads(line)
        if event.get("type") == kind:
            return event
    raise AssertionError(f"the run ended without {kind}: {run.stderr and run.stderr.read()}")


@pytest.fixture
def training(tmp_path: Path, tiny_folder: Path) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A run in the middle of its train stage, and the process of that stage."""
    recipe = small(tmp_path, tiny_folder, **{"epochs: 2": "epochs: 400"})
    run = start_run(recipe, tmp_path / "workspace")
    until(run, "loss")
    (server,) = (child for child in psutil.Process(run.pid).children() if forkserver.COMMAND in child.cmdline())
    (worker,) = server.children()
    yield run, worker
    run.kill()
    run.communicate()


def test_a_worker_does_not_outlive_its_run(training: tuple[subprocess.Popen[str], psutil.Process]) -> None:
    run, worker = training
    run.kill()
    end = time.monotonic() + 10
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE and time.monotonic() < end:
        time.sleep(0.05)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_ctrl_c_ends_training_with_a_checkpoint(
    training: tuple[subprocess.Popen[str], psutil.Process], tmp_path: Path
) -> None:
    run, worker = training
    run.send_signal(signal.SIGINT)
    output, complaint = run.communicate(timeout=PATIENCE)
    assert run.returncode == 130
    assert "Finished work is kept" in complaint
    assert not worker.is_running()
    events = [json.loads(line) for line in output.splitlines()]
    assert [event["limit_seconds"] for event in events if event.get("type") == "stage_stopping"] == [None]
    assert events[-1]["status"] == "interrupted"
    last = max([1, *(event["step"] for event in events if event.get("type") == "loss")])
    (folder,) = (tmp_path / "workspace" / "artifacts" / "train").glob("*.partial/work/checkpoints")
    newest = max(folder.glob("checkpoint-*"), key=checkpoints.step_of)
    assert checkpoints.step_of(newest) == last
    assert checkpoints.is_complete(newest)


def test_ctrl_c_once_finishes_the_batch_and_twice_leaves(tmp_path: Path, tiny_folder: Path) -> None:
    """Batches of eight answers of up to 300 tokens, pressed in the midst of one."""
    asked = f"{{name: asked, backend: transformers, model: {json.dumps(str(tiny_folder))}, max_tokens: 300}}"
    recipe = small(tmp_path, tiny_folder, **{"{name: worked, backend: worked}": asked, "limit: 48": "limit: 24"})
    workspace = tmp_path / "workspace"
    schema = json.loads((ROOT / "schemas" / "event.schema.json").read_text())

    def rows() -> int:
        (log,) = workspace.glob("artifacts/generate/*.partial/work/completions.jsonl")
        return len(log.read_text().splitlines())

    for presses, finished in ((1, 8), (2, 0)):
        run = start_run(recipe, workspace)
        assert until(run, "progress")["unit"] == "traces"
        before = rows()
        run.send_signal(signal.SIGINT)
        jsonschema.validate(until(run, "stage_stopping"), schema)
        if presses == 2:
            run.send_signal(signal.SIGINT)
        output, complaint = run.communicate(timeout=PATIENCE)
        assert run.returncode == 130, complaint
        assert "Traceback" not in complaint
        assert json.loads(output.splitlines()[-1])["status"] == "interrupted"
        assert rows() == before + finished


def test_memory_that_runs_out_twice(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the second step with eight rows at once, refused memory with four; two are trained to the end."""
    changes = {"batch_size: 4": "batch_size: 8", "top: 12": "top: 16"}
    (arm,) = load_arms(small(tmp_path, tiny_folder, **changes), ())
    plan = graph.build(arm)
    root = tmp_path / "workspace"
    root.mkdir()
    told: list[dict[str, Any]] = []

    def note(kind: str, values: Mapping[str, Any]) -> None:
        told.append({"type": kind, **values})

    with Starter() as starter:
        for stage in plan.stages:
            if stage.kind == "train":
                monkeypatch.setenv("PYTHONPATH", str(SHORT_OF_MEMORY))
                monkeypatch.setenv("SHORT_OF_MEMORY", str(tmp_path / "attempts"))
            local.carry_out_stage(stage, plan, root, root, note, starter)
            if stage.kind == "train":
                break
    rungs = [event for event in told if event["type"] == "memory"]
    rows = [event["changes"][0] for event in rungs]
    assert rows == [
        {"key": "runtime.train_rows", "before": None, "after": 4},
        {"key": "runtime.train_rows", "before": 4, "after": 2},
    ]
    assert [event["changes"][1]["after"] for event in rungs] == [2, 4]
    assert "killed" in rungs[0]["why"]
    assert "can't allocate memory" in rungs[1]["why"]
    schema = json.loads((ROOT / "schemas" / "event.schema.json").read_text())
    for seq, event in enumerate(rungs):
        jsonschema.validate({"seq": seq, "time": 0.0, **event}, schema)
    # Two steps an epoch, two epochs, a checkpoint after each: the first attempt's step is not made again.
    assert [event["step"] for event in told if event["type"] == "loss"] == [1, 2, 3, 4]
    assert [event["resumed"] for event in told if event["type"] == "stage_started"][-3:] == [False, True, True]
    manifest = json.loads((root / "artifacts" / "train" / stage.fingerprint / "manifest.json").read_text())
    assert [step["changes"] for step in manifest["facts"]["memory"]] == [event["changes"] for event in rungs]
    assert manifest["counts"]["steps"] == 4
