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
from .jobs import GOING, Job, JobState

LIVE = ("running", "queued")
SETTLED_NS = 2_000_000_000
"""How long nothing may have come or gone for the list of runs to be kept."""


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


def known(root: Path) -> list[Run]:
    """Every run of the workspace, oldest first. Listed anew only when one has come or gone."""
    try:
        changed = os.stat(root / "runs").st_mtime_ns
    except FileNotFoundError:
        return []
    kept = _listed.get(root)
    if kept and kept[0] == changed:
        return kept[1]
    found = all_runs(root)
    # A run made this moment has yet to write its recipe, by which runs of one second are ordered.
    if time.time_ns() - changed > SETTLED_NS:
        _listed[root] = (changed, found)
    return found


def made_by(root: Path, job: Job) -> list[str]:
    """Ids of the runs that a job asked for, as far as they have been made."""
    wanted = {asked.plan for asked in job.asked}
    newest = {plan: run.id for run in known(root) if (plan := record(run).get("plan")) in wanted}
    return list(newest.values())


def entries(root: Path) -> list[Entry]:
    """Those at work, those that wait, in the order of the line, and then the others, newest first."""
    line = _line(root)
    states = {job.number: _job_state(job) for job in line}
    newest = {asked.plan: (job, asked) for job in line for asked in job.asked}
    found: list[Entry] = []
    made: set[Any] = set()
    for run in known(root):
        facts = record(run)
        made.add(facts.get("plan"))
        job = newest[facts["plan"]][0] if facts.get("plan") in newest else None
        found.append(_of_run(run, facts, job, states))
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


def _of_run(run: Run, facts: dict[str, Any], job: Job | None, states: dict[int, Any]) -> Entry:
    state: str = _state(run)
    if state not in ("running", "finished") and job and states[job.number] in GOING:
        state = "queued"
    return Entry(
        run.id,
        job.number if job else None,
        state,
        facts.get("recipe") or "?",
        facts.get("label") or "",
        facts.get("selector") or "?",
        facts.get("seed"),
        _made(run.id),
    )


@lru_cache(maxsize=4096)
def _made(run_id: str) -> float:
    return time.mktime(time.strptime(run_id[:15], "%Y%m%d-%H%M%S"))


def _state(run: Run) -> str:
    """`Run.state`, asked again of a run that was over only when its log has grown: whoever goes on with it says so."""
    try:
        log = os.stat(f"{run.folder}/events.jsonl")
    except FileNotFoundError:
        return run.state()
    changed = (log.st_mtime_ns, log.st_size)
    kept = _over.get(run.folder)
    if kept and kept[0] == changed:
        return kept[1]
    state = run.state()
    if state != "running":
        _over[run.folder] = (changed, state)
    return state


def record(run: Run) -> dict[str, Any]:
    """What tells the run apart; its lock.json is written once, when the run is made."""
    if run.folder not in _records and (found := run.lock_record()):
        _records[run.folder] = {key: found.get(key) for key in ("plan", "recipe", "label", "selector", "seed")}
    return _records.get(run.folder, {})


def _line(root: Path) -> list[Job]:
    """`jobs.all_jobs`, each read once: what a job was asked never changes."""
    try:
        names = sorted((name for name in os.listdir(root / "jobs") if name.isdecimal()), key=int)
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        try:
            written = os.stat(f"{root}/jobs/{name}/job.json").st_mtime_ns
        except FileNotFoundError:
            continue  # what it is asked is yet to be written
        kept = _jobs.get((root, name))
        if kept is None or kept[0] != written:
            kept = _jobs[root, name] = (written, jobs.find(root, int(name)))
            _ended.pop(kept[1].folder, None)
        found.append(kept[1])
    return found


def _job_state(job: Job) -> JobState:
    """`Job.state`; one that has ended never begins again under its number, one that was lost may."""
    if job.folder in _ended:
        return _ended[job.folder]
    state = job.state()
    if state in ("finished", "failed", "stopped"):
        _ended[job.folder] = state
    return state


_listed: dict[Path, tuple[int, list[Run]]] = {}
_over: dict[Path, tuple[tuple[int, int], str]] = {}
_records: dict[Path, dict[str, Any]] = {}
_jobs: dict[tuple[Path, str], tuple[int, Job]] = {}
_ended: dict[Path, JobState] = {}
