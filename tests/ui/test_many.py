"""What keeps the pages usable with many runs, many rows and many tabs: nothing here depends on how fast the machine is.

`python -m tests.benchmarks.ui_pages` measures it. That a tick sends only what has changed, and that a scatter draws a
sample of a large pool, is in test_run_views and test_figures.
"""

from __future__ import annotations

import os
import shutil
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_app.records import Quality
from distill_app.store import rows, runs
from distill_app.store.files import locked, write_json
from distill_app.store.runs import Run
from distill_app.ui import board, run_list
from distill_app.ui.pool import Rows
from tests.reports.result_example import example
from tests.ui.conftest import PATIENCE_SECONDS, Launch

if TYPE_CHECKING:
    from playwright.sync_api import Page

TABS = 10


def run_at_work(root: Path) -> Run:
    """A run that has begun to train; at work while another process than the page's holds its lock."""
    run = runs.create(root, "", "", {"plan": "0" * 16, "recipe": "by hand", "selector": "random", "seed": 1})
    tell(run, {"type": "run_started", "run": run.id, "stages": ["select", "train"]})
    tell(run, {"type": "stage_started", "stage": "train", "resumed": False})
    return run


def tell(run: Run, event: dict[str, Any]) -> None:
    log = runs.EventLog(run.events_path)
    log.append(event)
    log.close()


def settle(root: Path) -> None:
    """As if the last run had come an hour ago."""
    hour_ago = time.time() - 3600
    os.utime(root / "runs", (hour_ago, hour_ago))


def test_runs_are_listed_anew_only_when_one_comes_or_goes(tmp_path: Path) -> None:
    assert run_list.known(tmp_path) == []
    first = run_at_work(tmp_path)
    assert [run.id for run in run_list.known(tmp_path)] == [first.id]
    second = run_at_work(tmp_path)
    assert {run.id for run in run_list.known(tmp_path)} == {first.id, second.id}
    settle(tmp_path)
    kept = run_list.known(tmp_path)
    assert run_list.known(tmp_path) is kept
    shutil.rmtree(first.folder)
    assert [entry.run for entry in run_list.entries(tmp_path)] == [second.id]
    # A run that was over is asked for its state again when its log has grown.
    assert [entry.state for entry in run_list.entries(tmp_path)] == ["lost"]
    tell(second, {"type": "run_failed", "run": second.id, "message": "Out of memory.", "hint": ""})
    assert [entry.state for entry in run_list.entries(tmp_path)] == ["failed"]


def test_the_leaderboard_is_made_once_for_all_who_ask(tmp_path: Path) -> None:
    run = run_at_work(tmp_path)
    assert board.of(tmp_path).rows == []
    write_json(run.folder / "result.json", example(run.id))
    found = board.of(tmp_path)
    assert {row["run"] for row in found.rows} == {run.id}
    assert board.of(tmp_path) is found
    write_json(run.folder / "result.json", example(run.id, seed=44))
    assert {row["seed"] for row in board.of(tmp_path).rows} == {44}


def test_rows_are_read_one_by_one(tmp_path: Path) -> None:
    files = [tmp_path / "one.parquet", tmp_path / "other.parquet"]
    for number, file in enumerate(files):
        rows.write(file, Quality, [Quality(f"{number}-{at}", at / 3000, ()) for at in range(3000)])
    found = Rows(files, Quality)
    assert found["1-2999"].quality == 2999 / 3000
    assert found["0-0"].quality == 0.0
    assert "0-3000" not in found
    assert len(found) == len(set(found)) == 6000
    assert found.get("2-0") is None


def test_ten_tabs_are_live(launch: Launch, new_page: Callable[..., Page], tmp_path: Path) -> None:
    from playwright.sync_api import expect

    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    root = tmp_path / "workspace"
    run = run_at_work(root)
    app = launch(root)
    for path in ("", "runs", "results", "inspect"):
        # With a heartbeat each tab would hold a connection, of which a browser allows six: the seventh would wait.
        with urllib.request.urlopen(f"{app.url}/{path}") as answer:
            assert '"connect_heartbeat":false' in answer.read().decode()
    with locked(run.lock_path):
        first = new_page()
        tabs = [first, *(first.context.new_page() for _ in range(TABS - 1))]
        for tab in tabs:
            tab.goto(f"{app.url}/runs?run={run.id}", wait_until="commit")
        for tab in tabs:
            expect(tab.locator("#run-headline .pill")).to_have_text("running")
        tell(run, {"type": "log", "stage": "train", "message": "seen by all"})
        for tab in tabs:
            expect(tab.locator("#run-events")).to_contain_text("seen by all")
