"""Every run of a workspace with its state, those that wait for their turn too."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from distill_app.store.runs import Run, all_runs

from . import jobs
from .jobs import GOING, Job

LIVE = ("running", "queued")


@dataclass(frozen=True, slots=True)
class Entry:
    """One run that is there, or that a job is yet to make."""

    run: str | None
    """None until its turn comes."""
    job: int | None
    """The newest job that asked for it; None for a run started at a terminal."""
    state: str
    """running, queued, finished, failed, interrupted, lost; without a run also stopped."""
    recipe: str
    label: str
    selector: str
    seed: int | None
    started: float | None
    """Seconds since 1970: when the run was made, or asked for."""
    ahead: int | None = None
    """Of a queued one: runs that come before it."""

    @property
    def key(self) -> str:
        """What an address calls it: the run's id, or the job and the run's place in it."""
        return self.run or f"{self.job}"


def entries(root: Path) -> list[Entry]:
    """Those at work, those that wait, in the order of the line, and then the others, newest first."""
    known = all_runs(root)
    line = jobs.all_jobs(root)
    states = {job.number: job.state() for job in line}
    newest = {asked.plan: (job, asked) for job in line for asked in job.asked}
    found: list[Entry] = []
    made: set[Any] = set()
    for run in known:
        record = _record(run)
        made.add(record.get("plan"))
        job = newest[record["plan"]][0] if record.get("plan") in newest else None
        found.append(_of_run(run, record, job, states))
    for job in line:
        for asked in job.asked:
            if asked.plan in made or newest[asked.plan][0] is not job:
                continue
            state = states[job.number]
            if state == "finished":
                continue  # its runs were made, and their folders taken away since
            shown = "queued" if state in GOING else state
            found.append(
                Entry(None, job.number, shown, asked.recipe, asked.label, asked.selector, asked.seed, job.created)
            )
    return _in_order(found)


def _in_order(found: Sequence[Entry]) -> list[Entry]:
    running = [entry for entry in found if entry.state == "running"]
    queued = sorted((entry for entry in found if entry.state == "queued"), key=lambda entry: entry.job or 0)
    over = [entry for entry in found if entry.state not in LIVE]
    over.sort(key=lambda entry: (entry.started or 0.0, entry.run or ""), reverse=True)
    waiting = [replace(entry, ahead=len(running) + place) for place, entry in enumerate(queued)]
    return [*running, *waiting, *over]


def _of_run(run: Run, record: dict[str, Any], job: Job | None, states: dict[int, Any]) -> Entry:
    state: str = _state(run)
    if state not in ("running", "finished") and job and states[job.number] in GOING:
        state = "queued"
    return Entry(
        run.id,
        job.number if job else None,
        state,
        record.get("recipe") or "?",
        record.get("label") or "",
        record.get("selector") or "?",
        record.get("seed"),
        _made(run.id),
    )


@lru_cache(maxsize=4096)
def _made(run_id: str) -> float:
    return time.mktime(time.strptime(run_id[:15], "%Y%m%d-%H%M%S"))


def _state(run: Run) -> str:
    """`Run.state`, asked again of a run that was over only when its log has grown: whoever goes on with it says so."""
    try:
        changed = os.stat(run.events_path).st_mtime_ns
    except FileNotFoundError:
        return run.state()
    known = _over.get(run.folder)
    if known and known[0] == changed:
        return known[1]
    state = run.state()
    if state != "running":
        _over[run.folder] = (changed, state)
    return state


def _record(run: Run) -> dict[str, Any]:
    """What tells the run apart; its lock.json is written once, when the run is made."""
    if run.folder not in _records and (found := run.lock_record()):
        _records[run.folder] = {key: found.get(key) for key in ("plan", "recipe", "label", "selector", "seed")}
    return _records.get(run.folder, {})


_over: dict[Path, tuple[int, str]] = {}
_records: dict[Path, dict[str, Any]] = {}
