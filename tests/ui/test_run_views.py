"""A run's story out of its log, and what the Runs page makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distill_app.ui import follow, run_figures, run_views, runs
from distill_app.ui.run_list import Entry

STARTED = {"type": "run_started", "run": "r", "stages": ["select", "train"]}
TRAINING = {"type": "stage_started", "stage": "train", "resumed": False}
ENTRY = Entry("20260101-000000-00000a", 1, "running", "by <b>hand</b>", "", "random", 0, 0.0)


def progress(done: int, time: float) -> dict[str, Any]:
    return {"type": "progress", "stage": "train", "done": done, "total": 40, "unit": "steps", "time": time}


def loss(step: int, value: float) -> dict[str, Any]:
    return {"type": "loss", "stage": "train", "step": step, "epoch": step / 2, "loss": value}


def told(*events: dict[str, Any]) -> follow.Story:
    story = follow.Story()
    for event in events:
        story.tell({"time": 100.0, **event})
    return story


def test_rate_and_time_left_count_from_the_stage_s_first_report() -> None:
    story = told(STARTED, TRAINING, progress(10, 100.0))
    assert story.progress is not None
    assert run_views.figures(story.progress) == "10 of 40 steps"
    story = told(STARTED, TRAINING, progress(10, 100.0), progress(20, 104.0))
    assert story.progress is not None
    assert (story.progress.rate, story.progress.seconds_left) == (2.5, 8.0)  # 10 steps in 4 s; 20 are left
    assert run_views.figures(story.progress) == "20 of 40 steps, 2.5 a second, 0:08 left"
    slow = told(STARTED, TRAINING, progress(10, 100.0), progress(11, 104.0))
    assert slow.progress is not None
    assert run_views.figures(slow.progress) == "11 of 40 steps, 4.0 seconds each, 1:56 left"


def test_a_resumed_training_replaces_the_steps_it_takes_again() -> None:
    again = {**TRAINING, "resumed": True}
    story = told(STARTED, TRAINING, loss(1, 4.0), loss(2, 3.0), loss(3, 2.5), STARTED, again, loss(2, 3.5))
    assert story.losses == {1: (0.5, 4.0), 2: (1.0, 3.5)}
    anew = told(STARTED, TRAINING, loss(1, 4.0), STARTED, TRAINING)
    assert anew.losses == {}


def test_a_failure_is_told_until_the_run_goes_on() -> None:
    failed = {"type": "run_failed", "run": "r", "message": "It <i>broke</i>.", "hint": "Mend it."}
    story = told(STARTED, TRAINING, failed)
    shown = run_views.headline(Entry(*_fields(state="failed")), story, None)
    assert "It &lt;i&gt;broke&lt;/i&gt;. Mend it." in shown
    assert "by &lt;b&gt;hand&lt;/b&gt;" in shown
    assert story.stages["train"].state == "failed"
    assert told(STARTED, TRAINING, failed, STARTED).failure == ""


def _fields(**changes: Any) -> list[Any]:
    return [changes.get(name, getattr(ENTRY, name)) for name in Entry.__slots__]


def test_a_log_is_read_up_to_its_last_whole_line_and_from_there_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert follow.story(path).events == 0
    lines = [json.dumps({"time": 1.0, **event}) + "\n" for event in (STARTED, TRAINING, loss(1, 4.0))]
    path.write_text("".join(lines[:2]) + lines[2][:10])
    assert follow.story(path).events == 2
    path.write_text("".join(lines))
    story = follow.story(path)
    assert (story.events, story.now, story.losses) == (3, "train", {1: (0.5, 4.0)})


def test_tail(tmp_path: Path) -> None:
    path = tmp_path / "out.log"
    assert follow.tail(path) == ""
    path.write_bytes(b"one\n10%\r 50%\r100%\nthree\n")
    assert follow.tail(path, lines=3) == "100%\nthree"


def test_long_curves_are_means_of_neighbours() -> None:
    points = [(step, float(step)) for step in range(1, 7)]
    assert run_figures.thin(points, most=6) == points
    assert run_figures.thin(points, most=3) == [(2, 1.5), (4, 3.5), (6, 5.5)]


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ({"run": "20260101-000000-00000a"}, "20260101-000000-00000a"),
        ({"job": "7"}, "7"),
        ({"run": "../../etc/passwd"}, "unknown"),
        ({"job": "-1"}, ""),
        ({}, ""),
    ],
)
def test_addresses(query: dict[str, str], asked: str) -> None:
    assert runs.asked_for(query) == asked


def test_a_frame_sends_only_what_changed(tmp_path: Path) -> None:
    from tests.ui.test_browser_runs import RUN, dynamic_run

    dynamic_run(tmp_path)
    first = runs.frame(tmp_path, "", "")
    assert first[0] == RUN
    again = runs.frame(tmp_path, first[0], first[1])
    assert all(isinstance(value, dict) and value["__type__"] == "update" and len(value) == 1 for value in again)
    assert "There is no such run" in runs.frame(tmp_path, "unknown", "")[-len(runs.PIECES) + 1]
    assert runs.frame(tmp_path, "nonsense", "[1]")[1] == runs.frame(tmp_path, "nonsense", "")[1]
