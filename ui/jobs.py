"""Runs that were asked for from the page: a line on disk, in which each job is a process of its own.

jobs/<number>/job.json    what was asked, and what it plans to make     out.log     what the command printed
              lock        held by the job's process while it lives      pid         the process that holds it
              began       written when its turn came                    ended.json  how it ended

A job is `distill-app run`, started by `ui.line`, which waits until the jobs before it on the same device have ended. No
server is part of that: closing the page, a second tab and ending the server change nothing. States are derived from the
files and the lock, never stored.
"""

from __future__ import annotations

import copy
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from distill_app.errors import Fault, RecipeError, StageError, UsageError
from distill_app.store.files import is_locked, locked, write_atomic, write_json

if TYPE_CHECKING:
    from distill_app.recipe.resolve import Arm
    from distill_app.store.runs import Run

JobState = Literal["waiting", "running", "finished", "failed", "stopped", "lost"]
GOING: tuple[JobState, ...] = ("waiting", "running")
LONGEST_LINE = 64
"""Jobs that may wait at once."""
SHOWN_FILE = "recipe"
"""What faults call the text they were found in."""

_starting = threading.Lock()
"""The lock on the line is one of processes: threads of one server need their own."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One run that a job is to make: the fingerprint of its plan, and what tells it apart."""

    plan: str
    recipe: str
    label: str
    selector: str
    seed: int


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for at one press of a button: a recipe, and the runs it comes to."""

    folder: Path
    number: int
    created: float
    """Seconds since 1970."""
    command: tuple[str, ...]
    """What follows `distill-app run`."""
    device: str
    """"gpu" or "cpu": jobs of one device wait for each other."""
    asked: tuple[Asked, ...]

    @property
    def lock_path(self) -> Path:
        return self.folder / "lock"

    @property
    def log_path(self) -> Path:
        return self.folder / "out.log"

    def state(self) -> JobState:
        """Waiting or running while its process lives; else as it ended; else lost."""
        if is_locked(self.lock_path):
            return "running" if (self.folder / "began").exists() else "waiting"
        ended = self.ended()
        if ended is None:
            return "lost"
        if ended["how"] != "ended":
            return "stopped"
        return "finished" if ended["code"] == 0 else "failed"

    def ended(self) -> dict[str, Any] | None:
        """`{code, how, time}`: the command's exit code (None where it never began), "ended", "stopped" (asked to end)
        or "killed" (asked, and did not), and when; None before that."""
        try:
            found: dict[str, Any] = json.loads((self.folder / "ended.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return found

    def runs(self, known: Sequence[Run]) -> list[Run | None]:
        """The run of each plan asked for, None where it has not been made yet."""
        by_plan = {run.lock_record().get("plan"): run for run in known}
        return [by_plan.get(asked.plan) for asked in self.asked]


def all_jobs(root: Path) -> list[Job]:
    """Every job of the workspace, in the order of the line."""
    base = root / "jobs"
    if not base.is_dir():
        return []
    numbers = sorted(int(path.name) for path in base.iterdir() if path.name.isdecimal())
    return [job for number in numbers if (job := _read(base / f"{number:06d}"))]


def find(root: Path, number: int) -> Job:
    """The job of this number; else `UsageError`."""
    job = _read(root / "jobs" / f"{number:06d}")
    if job is None:
        raise UsageError(f"There is no job {number} in {root}.")
    return job


def job_of(root: Path, run: Run) -> Job | None:
    """The newest job that asked for this run; None for one that was started at a terminal."""
    plan = run.lock_record().get("plan")
    return next((job for job in reversed(all_jobs(root)) if any(asked.plan == plan for asked in job.asked)), None)


def before(root: Path, job: Job) -> list[Job]:
    """The living jobs that this one waits for."""
    return [
        other
        for other in all_jobs(root)
        if other.number < job.number and other.device == job.device and other.state() in GOING
    ]


@contextmanager
def on_disk(root: Path, text: str, beside: Path | None = None) -> Iterator[str]:
    """The text of a recipe as something that `load_arms` takes, for as long as the block lasts.

    A ready-made recipe as it stands is known by its name. Any other text lies for the moment in `beside` (unasked the
    workspace's recipes/), from where its relative paths count. `RecipeError`s that leave the block call it "recipe".
    """
    if name := _ready_made(text):
        yield name
        return
    folder = beside or root / "recipes"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".text-{secrets.token_hex(6)}"
    try:
        path.write_bytes(text.encode())
        yield str(path)
    except RecipeError as error:
        raise RecipeError([_renamed(fault, path) for fault in error.faults]) from None
    finally:
        path.unlink(missing_ok=True)


def arms_of(root: Path, text: str, sets: Sequence[str] = (), beside: Path | None = None) -> list[Arm]:
    """The arms of a recipe given as text. Raises as `load_arms` does, the file called "recipe".

    At a terminal `--set` is a person's own word and may name any file; what comes over the network is not.
    """
    from distill_app.recipe import allowed, bundled, nodes, path_faults, paths
    from distill_app.recipe.resolve import load_arms

    with on_disk(root, text, beside) as path:
        arms = load_arms(path, sets)
        roots = allowed.roots(str(bundled.find(path) or path))
        said = ((arm, place) for arm in arms for place in paths.make_absolute(arm.root, copy.deepcopy(arm.resolved)))
        faults = [
            nodes.fault(arm.root, place.path, *found)
            for arm, place in said
            if place.said and (found := path_faults.trouble(replace(place, said=False), roots))
        ]
        if faults:
            raise RecipeError(list(dict.fromkeys(faults)))
        return arms


def start(root: Path, text: str, sets: Sequence[str] = (), beside: Path | None = None) -> Job:
    """Put a run of this recipe, or of its matrix, at the end of the line, and return at once.

    A second press of the button gets the job of the first: while a job of exactly these plans waits or runs, it is
    returned. Raises `RecipeError` for a recipe that cannot run, `UsageError` when the line is full.
    """
    arms = arms_of(root, text, sets, beside)
    asked = _asked(arms)
    name = _ready_made(text)

    def command(number: int) -> list[str]:
        if name:
            return [name, *_set_options(sets)]
        path = (beside or root / "recipes") / f".run-{number:06d}"
        path.write_bytes(text.encode())
        return [str(path), *_set_options(sets)]

    return _put_in_line(root, asked, _device(arms), command)


def resume(root: Path, run: Run) -> Job:
    """Go on with a run that is not finished: what its job asked for, or, without a job, the run by itself."""
    job = job_of(root, run)
    return again(root, job) if job else _resume_alone(root, run)


def again(root: Path, job: Job) -> Job:
    """The same command once more, at the end of the line; the job itself while it waits or runs."""
    return _put_in_line(root, job.asked, job.device, lambda _: list(job.command))


def _resume_alone(root: Path, run: Run) -> Job:
    from distill_app.recipe.resolve import load_arms

    resolved = run.folder / "resolved.yaml"
    if not resolved.exists():
        raise UsageError(f"Run {run.id} died before its recipe was written down.", "Start it anew.")
    if is_locked(run.lock_path):
        raise UsageError(f"Run {run.id} is going on already.")
    arms = load_arms(resolved)
    asked = _asked(arms)
    if asked[0].plan != run.lock_record().get("plan"):
        raise UsageError(
            f"Run {run.id} was begun by another version of distill-app, or its data have changed since: it cannot be "
            "gone on with.",
            "Start its recipe anew.",
        )
    return _put_in_line(root, asked, _device(arms), lambda _: [str(resolved)])


def stop(job: Job) -> bool:
    """Ask a job to end: one that waits leaves the line, one that runs keeps what it has finished.

    Returns at once, False where it was over already; `ended` says later whether it had to be killed.
    """
    if job.state() not in GOING:
        return False
    os.kill(int((job.folder / "pid").read_text(encoding="utf-8")), signal.SIGTERM)
    return True


def revive(root: Path) -> list[Job]:
    """Put those back in line that were waiting when the machine went down; a server does this when it starts."""
    found = []
    with _line(root):
        for job in all_jobs(root):
            if job.state() == "lost" and not (job.folder / "began").exists():
                _spawn(root, job)
                found.append(job)
    return found


def _asked(arms: Sequence[Arm]) -> tuple[Asked, ...]:
    from distill_app.plan import graph

    return tuple(
        Asked(
            graph.build(arm).fingerprint,
            arm.recipe.name,
            arm.label,
            arm.recipe.selector.key,
            arm.recipe.seed,
        )
        for arm in arms
    )


def _put_in_line(root: Path, asked: tuple[Asked, ...], device: str, command: Callable[[int], list[str]]) -> Job:
    """The living job of these plans, or a new one; `command` makes what follows `distill-app run` from its number."""
    with _line(root):
        known = all_jobs(root)
        going = [job for job in known if job.state() in GOING]
        plans = {one.plan for one in asked}
        for job in going:
            if plans == {one.plan for one in job.asked}:
                return job
        if len(going) > LONGEST_LINE:
            raise UsageError(f"{len(going)} jobs are waiting or running.", "Wait until some have ended, or stop some.")
        number = known[-1].number + 1 if known else 1
        folder = root / "jobs" / f"{number:06d}"
        folder.mkdir()
        job = Job(folder, number, round(time.time(), 3), tuple(command(number)), device, asked)
        record = asdict(job)
        del record["folder"]
        write_json(folder / "job.json", record)
        _spawn(root, job)
        return job


@contextmanager
def _line(root: Path) -> Iterator[None]:
    (root / "jobs").mkdir(parents=True, exist_ok=True)
    with _starting, locked(root / "jobs" / "line.lock"):
        yield


def _spawn(root: Path, job: Job) -> None:
    """Start the job's process and wait until it holds its lock: from then on its state can be read."""
    reading, writing = os.pipe()
    with job.log_path.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "distill_app.ui.line", str(root), str(job.number), str(writing)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            pass_fds=[writing],
            start_new_session=True,
        )
    os.close(writing)
    with os.fdopen(reading, "rb") as ready:
        held = ready.read(1)
    threading.Thread(target=process.wait, daemon=True).start()  # or it would stay behind as a zombie
    if not held:
        raise StageError(f"The process of job {job.number} did not start.", f"What it said is in {job.log_path}.")


def _read(folder: Path) -> Job | None:
    try:
        record = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    record["asked"] = tuple(Asked(**one) for one in record["asked"])
    record["command"] = tuple(record["command"])
    return Job(folder=folder, **record)


def note_end(job: Job, code: int | None, how: str) -> None:
    """Write down how a job ended; its own process does."""
    write_json(job.folder / "ended.json", {"code": code, "how": how, "time": round(time.time(), 3)})


def note_begin(job: Job) -> None:
    """Write down that a job's turn has come; its own process does."""
    write_atomic(job.folder / "began", f"{time.time():.3f}\n")


def _set_options(sets: Sequence[str]) -> list[str]:
    return [f"--set={text}" for text in sets]


def _device(arms: Sequence[Arm]) -> str:
    """The device that a job occupies, told without loading torch."""
    gpu = os.path.exists("/proc/driver/nvidia") and os.environ.get("CUDA_VISIBLE_DEVICES") != ""
    return "gpu" if gpu and any(arm.recipe.runtime.device != "cpu" for arm in arms) else "cpu"


def _ready_made(text: str) -> str | None:
    from distill_app.recipe import bundled

    content = text.encode()
    for name in bundled.names():
        path = bundled.find(name)
        if path and path.read_bytes() == content:
            return name
    return None


def _renamed(fault: Fault, path: Path) -> Fault:
    if fault.position.file != str(path):
        return fault
    return replace(fault, position=replace(fault.position, file=SHOWN_FILE))
