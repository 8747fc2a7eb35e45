"""Two runs want the same stage: one makes it while the other waits, and then takes it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import psutil

from tests.crash.scene import hooked, kill, start
from tests.recipes import small


def test_one_works_and_the_other_waits_and_reuses(tmp_path: Path, tiny_folder: Path) -> None:
    """The first is frozen while it holds the stage, with all of it made and nothing yet in place."""
    workspace = tmp_path / "workspace"
    (tmp_path / "other").mkdir()
    recipes = small(tmp_path, tiny_folder), small(tmp_path / "other", tiny_folder, **{"name: quality": "name: random"})
    # Whatever is renamed into place first under artifacts/problems: its manifest, and then the whole.
    first = start(recipes[0], workspace, **hooked("before", "manifest.json", do="stop"))
    try:
        until = time.monotonic() + 120
        while psutil.Process(first.pid).status() != psutil.STATUS_STOPPED:
            assert time.monotonic() < until
            time.sleep(0.02)
        second = start(recipes[1], workspace)
        seen = []
        assert second.stdout
        for line in second.stdout:
            event = json.loads(line)
            if event.get("stage") == "problems[pool]":
                seen.append(event["type"])
                if event["type"] == "stage_waiting":
                    assert not list(workspace.glob("artifacts/problems/????????????????"))
                    os.kill(first.pid, signal.SIGCONT)
                else:
                    break
        assert seen == ["stage_waiting", "stage_cached"]
        kill(second)
    finally:
        kill(first)
