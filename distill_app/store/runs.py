"""Runs: what was asked, what happened, and what came out. Everything a person sees about a run is read from here.

runs/<id>/recipe.yaml    as given      resolved.yaml  every value explicit
          lock.json      fingerprints of the stages, package versions
          events.jsonl   one line an event, `seq` rising by one; a run has one writer at a time
          result.json    the leaderboard rows (written last)        report.md, *.png, out.log
runs/.<id>.new/          one that is being made: renamed once what was asked is written down

What is damaged is passed over where a run is read, and named by `Run.damage`.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from distill_app.errors import UsageError
from distill_app.store.files import append_whole, cut_torn_line, is_locked, write_atomic, write_json

RunState = Literal["finished", "failed", "interrupted", "running", "lost"]
RUN_ID = re.compile(r"^\d{8}-\d{6}-[0-9a-f]{6}$")


_NUMBER = (int, float)
_NEEDED: dict[str, dict[str, Any]] = {
    "run_failed": {"message": str, "hint": str},
    "stage_finished": {"stage": str, "seconds": _NUMBER},
    "stage_cached": {"stage": str},
    "stage_started": {"stage": str},
}
"""What those who read a run's events take from them, beside `type` and `time`."""


class EventLog:
    """The append-only log of one run. Opening it cuts off a last line that a crash left half written.

    A full disk takes an event whole or not at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seq = cut_torn_line(path).count(b"\n")
        self._file = path.open("ab", buffering=0)

    def append(self, event: dict[str, Any]) -> dict[str, Any]:
        """Stamp an event with `seq` and `time` (seconds since 1970) and write it; returns the stamped event."""
        stamped = {"seq": self._seq, "time": round(time.time(), 3), **event}
        append_whole(self._file, (json.dumps(stamped, ensure_ascii=False) + "\n").encode())
        self._seq += 1
        return stamped

    def close(self) -> None:
        self._file.close()


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The whole events of a log, also while another process is still writing it. Damaged lines are passed over."""
    return (event for event in _events(path) if event is not None)


def _events(path: Path) -> Iterator[dict[str, Any] | None]:
    """What each whole line says; None for one that is no event."""
    if not path.exists():
        return
    raw = path.read_bytes()
    for line in raw[: raw.rfind(b"\n") + 1].split(b"\n")[:-1]:
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        yield event if _is_event(event) else None


def _is_event(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return False
    needed = {"time": _NUMBER, **_NEEDED.get(value["type"], {})}
    return all(isinstance(value.get(key), kind) for key, kind in needed.items())


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
        """What lock.json says; empty where it is missing or damaged."""
        return _read_json(self.folder / "lock.json") or {}

    def result(self) -> dict[str, Any] | None:
        """What result.json says; None until the run has finished, and where the file is damaged."""
        return _read_json(self.folder / "result.json")

    def events(self) -> list[dict[str, Any] | None]:
        """What each whole line of its log says; None for one that is damaged."""
        return list(_events(self.events_path))

    def state(self, result: dict[str, Any] | None = None) -> RunState:
        """Derived, never stored: running while its lock is held; else what its last ending event says; else lost.

        `result` is the run's, where it has been read already.
        """
        if is_locked(self.lock_path):
            return "running"
        if result is not None or self.result() is not None:
            return "finished"
        last = None
        for event in read_events(self.events_path):
            if event.get("type") in ("run_started", "run_failed", "run_interrupted"):
                last = event["type"]
        return {"run_failed": "failed", "run_interrupted": "interrupted"}.get(last or "", "lost")  # type: ignore[return-value]

    def lock_trouble(self) -> str | None:
        """What is wrong with lock.json, without which no command can be told to be this run's."""
        if self.lock_record():
            return None
        what = "is damaged" if (self.folder / "lock.json").exists() else "is missing"
        return f"lock.json {what}; its recipe, issued again, makes a new run of the same artifacts."

    def damage(
        self, result: dict[str, Any] | None = None, events: list[dict[str, Any] | None] | None = None
    ) -> list[str]:
        """What is missing or damaged in the run's folder, a sentence each, with what to do about it.

        `result` and `events` are the run's, where they have been read already.
        """
        found = []
        for name in ("recipe.yaml", "resolved.yaml"):
            if not (self.folder / name).is_file():
                found.append(f"{name} is missing; issuing its recipe again writes it.")
        if trouble := self.lock_trouble():
            found.append(trouble)
        if result is None and self.result() is None and (self.folder / "result.json").exists():
            found.append("result.json is damaged; issuing its recipe again writes it.")
        lines = self.events() if events is None else events
        bad = [number for number, event in enumerate(lines, 1) if event is None]
        if bad:
            shown = ", ".join(map(str, bad[:5])) + (", ..." if len(bad) > 5 else "")
            found.append(f"events.jsonl has damaged lines ({shown}); they are passed over.")
        return found


def create(root: Path, recipe_text: str, resolved_text: str, lock_record: dict[str, Any]) -> Run:
    """Make the folder of a new run and write down what was asked: all of it or, where a crash comes, no run."""
    base = root / "runs"
    base.mkdir(parents=True, exist_ok=True)
    while True:
        run_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        if not (base / run_id).exists():
            break
    made = base / f".{run_id}.new"
    made.mkdir()
    (made / "recipe.yaml").write_bytes(recipe_text.encode())
    (made / "resolved.yaml").write_text(resolved_text, encoding="utf-8")
    write_json(made / "lock.json", {"run": run_id, **lock_record})
    os.replace(made, base / run_id)
    return Run(base / run_id)


def restore(run: Run, recipe_text: str, resolved_text: str) -> None:
    """Write down again what was asked, where that has gone missing from the folder of a run that is gone on with."""
    for name, text in (("recipe.yaml", recipe_text), ("resolved.yaml", resolved_text)):
        if not (run.folder / name).is_file():
            write_atomic(run.folder / name, text)


def results(root: Path, damaged: Callable[[str], None]) -> list[dict[str, Any]]:
    """The result of every finished run, oldest first; `damaged` is told of each that is there and cannot be read."""
    found = []
    for run in all_runs(root):
        result = run.result()
        if result is not None:
            found.append(result)
        elif (run.folder / "result.json").exists():
            damaged(f"Run {run.id}: result.json is damaged and left out; issuing its recipe again writes it.")
    return found


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
    import orjson

    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        value = orjson.loads(raw)
    except ValueError:
        # It refuses what `write_json` may have written: NaN, the infinities, halves of characters.
        try:
            value = json.loads(raw)
        except ValueError:
            return None
    return value if isinstance(value, dict) else None


def workspace(option: str | None) -> Path:
    """The workspace folder: the option, else DISTILL_WORKSPACE, else `.distill` in the working folder."""
    return Path(option or os.environ.get("DISTILL_WORKSPACE") or ".distill").absolute()
