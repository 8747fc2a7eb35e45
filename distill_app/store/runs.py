"""Runs: what was asked, what happened, and what came out. Everything a person sees about a run is read from here.

runs/<id>/recipe.yaml    as given      resolved.yaml  every value explicit
          lock.json      fingerprints of the stages, package versions
          events.jsonl   one line an event, `seq` rising by one; a run has one writer at a time
          result.json    the leaderboard rows (written last)        report.md, *.png, out.log
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from distill_app.errors import UsageError
from distill_app.store.files import cut_torn_line, is_locked, write_json

RunState = Literal["finished", "failed", "interrupted", "running", "lost"]
RUN_ID = re.compile(r"^\d{8}-\d{6}-[0-9a-f]{6}$")


class EventLog:
    """The append-only log of one run. Opening it cuts off a last line that a crash left half written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seq = cut_torn_line(path).count(b"\n")
        self._file = path.open("ab")

    def append(self, event: dict[str, Any]) -> dict[str, Any]:
        """Stamp an event with `seq` and `time` (seconds since 1970) and write it; returns the stamped event."""
        stamped = {"seq": self._seq, "time": round(time.time(), 3), **event}
        self._file.write((json.dumps(stamped, ensure_ascii=False) + "\n").encode())
        self._file.flush()
        self._seq += 1
        return stamped

    def close(self) -> None:
        self._file.close()


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The whole events of a log, also while another process is still writing it."""
    if not path.exists():
        return
    raw = path.read_bytes()
    for line in raw[: raw.rfind(b"\n") + 1].splitlines():
        yield json.loads(line)


@dataclass(frozen=True, slots=True)
class Run:
    """One run's folder."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def lock_path(self) -> Path:
        return self.folder / "run.lock"

    @property
    def events_path(self) -> Path:
        return self.folder / "events.jsonl"

    def lock_record(self) -> dict[str, Any]:
        """What lock.json says; empty for a run that died before it was written."""
        return _read_json(self.folder / "lock.json") or {}

    def result(self) -> dict[str, Any] | None:
        """What result.json says; None until the run has finished."""
        return _read_json(self.folder / "result.json")

    def state(self) -> RunState:
        """Derived, never stored: running while its lock is held; else what its last ending event says; else lost."""
        if is_locked(self.lock_path):
            return "running"
        if (self.folder / "result.json").exists():
            return "finished"
        last = None
        for event in read_events(self.events_path):
            if event.get("type") in ("run_started", "run_failed", "run_interrupted"):
                last = event["type"]
        return {"run_failed": "failed", "run_interrupted": "interrupted"}.get(last or "", "lost")  # type: ignore[return-value]


def create(root: Path, recipe_text: str, resolved_text: str, lock_record: dict[str, Any]) -> Run:
    """Make the folder of a new run and write down what was asked."""
    while True:
        run_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        folder = root / "runs" / run_id
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            continue
    (folder / "recipe.yaml").write_bytes(recipe_text.encode())
    (folder / "resolved.yaml").write_text(resolved_text, encoding="utf-8")
    write_json(folder / "lock.json", {"run": run_id, **lock_record})
    return Run(folder)


def all_runs(root: Path) -> list[Run]:
    """Every run of the workspace, oldest first."""
    base = root / "runs"
    if not base.is_dir():
        return []
    found = [path for path in base.iterdir() if RUN_ID.match(path.name) and path.is_dir()]
    return [Run(path) for path in sorted(found, key=_age)]


def _age(folder: Path) -> tuple[str, int]:
    """Sorts runs by the second in their ids, and runs of one second by when their recipe was written down."""
    recipe = folder / "recipe.yaml"
    return folder.name[:15], recipe.stat().st_mtime_ns if recipe.exists() else 0


def find(root: Path, name: str) -> Run:
    """The run of this id, the one whose id begins with it, or the newest for `latest`; else `UsageError`."""
    runs = all_runs(root)
    if not runs:
        raise UsageError(f"There are no runs in {root}.", "Start one: distill-app run quickstart")
    if name == "latest":
        return runs[-1]
    matches = [run for run in runs if run.id.startswith(name) or run.id.endswith(name)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UsageError(f"{name!r} fits {len(matches)} runs: {', '.join(run.id for run in matches[:5])}.")
    import difflib

    near = difflib.get_close_matches(name, [run.id for run in runs], n=1, cutoff=0.3)
    raise UsageError(
        f"There is no run {name!r} in {root}.",
        (f"Nearest: {near[0]}. " if near else "") + "distill-app runs lists them; `latest` is the newest.",
    )


def find_by_plan(root: Path, plan_fingerprint: str) -> Run | None:
    """The newest run of exactly this plan: issuing a command again continues it instead of starting another."""
    for run in reversed(all_runs(root)):
        if run.lock_record().get("plan") == plan_fingerprint:
            return run
    return None


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def workspace(option: str | None) -> Path:
    """The workspace folder: the option, else DISTILL_WORKSPACE, else `.distill` in the working folder."""
    return Path(option or os.environ.get("DISTILL_WORKSPACE") or ".distill").absolute()
