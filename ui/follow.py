"""What a run's event log comes to, read as it grows: its stages, its progress, its curves.

A log is read once, then only what was added to it. What was read is kept for the process, not for a visitor: any number
of pages share it, and a server that has just begun reads it anew.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LAST_EVENTS = 20
KEPT_LOGS = 32
"""Runs whose story is kept in memory."""
UNTOLD = ("progress", "loss")
"""Events too many for the list of the last ones; the bar and the curve show them."""


@dataclass
class Stage:
    """One stage as far as the log tells."""

    state: str = "to run"
    seconds: float | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Progress:
    """How far the stage at work is. `since` is (done, seconds since 1970) of its first report."""

    stage: str
    done: int
    total: int
    unit: str
    time: float
    since: tuple[int, float]

    @property
    def rate(self) -> float | None:
        """Units a second since the stage's first report; None before there is a second one."""
        gained, spent = self.done - self.since[0], self.time - self.since[1]
        return gained / spent if gained > 0 and spent > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far."""
        return (self.total - self.done) / self.rate if self.rate else None


@dataclass
class Story:
    """All that a page shows of a run's log."""

    stages: dict[str, Stage] = field(default_factory=dict)
    now: str | None = None
    """The stage at work, or the one that failed."""
    progress: Progress | None = None
    losses: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Training step -> (epoch as a fraction, mean loss in nats a target token)."""
    selections: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    """Epoch, from 0 -> the `selection` event before it."""
    last: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=LAST_EVENTS))
    failure: str = ""
    ending: str | None = None
    began: float | None = None
    """When the process now at it, or the last one, began: seconds since 1970."""
    events: int = 0

    def tell(self, event: Mapping[str, Any]) -> None:
        """Take in one event."""
        self.events += 1
        kind = event["type"]
        if kind not in UNTOLD:
            self.last.append(event)
        stage = self.stages.setdefault(event["stage"], Stage()) if "stage" in event else None
        if kind == "run_started":
            self.stages = {name: self.stages.get(name, Stage()) for name in event["stages"]}
            for one in self.stages.values():
                one.state = "to run"
            self.failure, self.ending, self.now, self.progress, self.began = "", None, None, None, event["time"]
        elif kind in ("run_failed", "run_interrupted", "run_finished"):
            self.ending = kind.removeprefix("run_")
            if kind == "run_failed":
                self.failure = f"{event['message']} {event['hint']}".strip()
            if self.now in self.stages and kind != "run_finished":
                self.stages[self.now].state = self.ending
            self.progress = None
        elif stage is not None:
            self._tell_stage(kind, event, stage)

    def _tell_stage(self, kind: str, event: Mapping[str, Any], stage: Stage) -> None:
        if kind == "stage_started":
            stage.state, self.now, self.progress = "running", event["stage"], None
            if not event["resumed"] and event["stage"] == "train":
                self.losses.clear()
                self.selections.clear()
        elif kind == "stage_waiting":
            stage.state, self.now = "waiting for another run that makes it", event["stage"]
        elif kind in ("stage_cached", "stage_finished"):
            stage.state = kind.removeprefix("stage_")
            stage.seconds = event.get("seconds", stage.seconds)
            stage.counts = event["counts"] or {}
            self.now = self.progress = None
        elif kind == "progress":
            told = (event["done"], event["time"])
            since = self.progress.since if self.progress and self.progress.stage == event["stage"] else told
            self.progress = Progress(event["stage"], event["done"], event["total"], event["unit"], event["time"], since)
        elif kind == "loss":
            for step in [step for step in self.losses if step >= event["step"]]:
                del self.losses[step]  # training went on from a checkpoint before it
            self.losses[event["step"]] = (event["epoch"], event["loss"])
        elif kind == "selection":
            self.selections[event["epoch"]] = event


@dataclass
class _Log:
    offset: int = 0
    story: Story = field(default_factory=Story)


_logs: OrderedDict[Path, _Log] = OrderedDict()
_reading = threading.Lock()


def story(path: Path) -> Story:
    """What the log at `path` comes to so far, up to its last whole line; an absent log is an empty story."""
    with _reading:
        log = _logs.pop(path, None) or _Log()
        size = path.stat().st_size if path.exists() else 0
        if size < log.offset:
            log = _Log()
        if size > log.offset:
            with path.open("rb") as file:
                file.seek(log.offset)
                added = file.read(size - log.offset)
            whole = added[: added.rfind(b"\n") + 1]
            for line in whole.splitlines():
                log.story.tell(json.loads(line))
            log.offset += len(whole)
        _logs[path] = log
        while len(_logs) > KEPT_LOGS:
            _logs.popitem(last=False)
        return log.story


def tail(path: Path, lines: int = 60, most_bytes: int = 24_000) -> str:
    """The last lines of a text file; what a terminal would have overwritten (before a carriage return) is left out."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - most_bytes))
        text = file.read().decode("utf-8", "replace")
    shown = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    return "\n".join(shown[-lines:]).strip("\n")
