"""A model stage is a process of its own: it does not outlive its run, and its death is told in words."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.recipes import small, start_run


@pytest.fixture
def training(tmp_path: Path, tiny_folder: Path) -> Iterator[tuple[subprocess.Popen[str], psutil.Process]]:
    """A run in the middle of its train stage, and the process of that stage."""
    recipe = small(tmp_path, tiny_folder, **{"epochs: 2": "epochs: 400"})
    run = start_run(recipe, tmp_path / "workspace")
    assert run.stdout
    for line in run.stdout:
        if json.loads(line)["type"] == "loss":
            break
    (worker,) = (
        child for child in psutil.Process(run.pid).children() if "distill_app.engine.worker" in child.cmdline()
    )
    yield run, worker
    run.kill()
    run.communicate()


def test_a_worker_killed_from_outside_is_told_in_words(
    training: tuple[subprocess.Popen[str], psutil.Process],
) -> None:
    run, worker = training
    worker.kill()
    output, complaint = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "train: its process was killed from outside, most likely because memory ran out." in complaint
    assert "runtime.train_rows" in complaint
    assert "Traceback" not in complaint
    assert json.loads(output.splitlines()[-1])["status"] == "failed"


def test_a_worker_does_not_outlive_its_run(training: tuple[subprocess.Popen[str], psutil.Process]) -> None:
    run, worker = training
    run.kill()
    until = time.monotonic() + 10
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
        time.sleep(0.05)
    assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE


def test_ctrl_c_ends_run_and_worker(training: tuple[subprocess.Popen[str], psutil.Process]) -> None:
    run, worker = training
    run.send_signal(signal.SIGINT)
    _, complaint = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Finished work is kept" in complaint
    assert not worker.is_running()
