"""Make one artifact, in whatever process this is: take the lock, look whether it is there, run the stage, seal it."""

from __future__ import annotations

import errno
import importlib
import resource
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distill_app import __version__
from distill_app.errors import StageError
from distill_app.recipe.model import Runtime, build
from distill_app.stages import Context, Summary
from distill_app.store import rows
from distill_app.store.artifacts import WORK, Artifact, Store

PROGRESS_SECONDS = 0.5
FULL_BYTES = 64 * 1024
Emit = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Job:
    """All that a process needs to carry out one stage; plain data, so that it can travel as JSON."""

    name: str
    kind: str
    version: int
    fingerprint: str
    options: Mapping[str, Any]
    inputs: Mapping[str, list[tuple[str, str]]]
    """Role -> (kind, fingerprint) of the artifacts that fill it."""
    local: Mapping[str, Any]
    runtime: Mapping[str, Any]
    root: str
    model: bool
    """Whether it runs in a process of its own, whose peak memory is then the stage's."""
    memory: Sequence[Mapping[str, Any]] = ()
    """The rungs of the memory ladder it has come down so far (see `engine.ladder`)."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def execute(job: Job, emit: Emit) -> Artifact:
    """The artifact of this job: found, waited for or made.

    Emits `stage_waiting`, `stage_damaged` (a finished artifact, or finished rows of an earlier attempt),
    `stage_cached` or `stage_started`, what the stage itself says, and `stage_finished`. Raises `StageError` with
    what to do; unfinished work stays in the partial folder.
    """
    store = Store(Path(job.root))
    try:
        with store.lock(job.kind, job.fingerprint, lambda: emit("stage_waiting", {})):
            return _found(store, job, emit) or _make(store, job, emit)
    except Exception as error:
        if is_full(error, store.root):
            raise StageError(
                f"{job.name}: the disk holding {store.root} is full.",
                "Finished work is kept: make room (or choose another --workspace) and issue the command again.",
            ) from error
        raise


def is_there(job: Job, emit: Emit) -> bool:
    """Whether the artifact of this job is finished and whole; then `stage_cached` is emitted and nothing is left to do.

    Saves the process that would find it so. Of a damaged one `stage_damaged` is emitted; it is set aside.
    """
    store = Store(Path(job.root))
    if store.state(job.kind, job.fingerprint) != "cached":
        return False
    with store.lock(job.kind, job.fingerprint, lambda: emit("stage_waiting", {})):
        return _found(store, job, emit) is not None


def _found(store: Store, job: Job, emit: Emit) -> Artifact | None:
    found = store.find(job.kind, job.fingerprint, lambda why: emit("stage_damaged", {"why": why}))
    if found:
        emit("stage_cached", _figures(found.manifest))
    return found


def is_full(error: Exception, folder: Path) -> bool:
    """Whether an error means that the disk under `folder` is full; libraries say so in errors of their own kinds."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return "No space left" in str(error) or shutil.disk_usage(folder).free < FULL_BYTES


def _make(store: Store, job: Job, emit: Emit) -> Artifact:
    state = store.state(job.kind, job.fingerprint)
    partial = store.partial(job.kind, job.fingerprint)
    for log in sorted((partial / WORK).glob("*.jsonl")):
        if why := rows.mend(log):
            emit("stage_damaged", {"why": why})
    emit("stage_started", {"resumed": state == "partial"})
    module = importlib.import_module(f"distill_app.stages.{job.kind}")
    context = Context(
        name=job.name,
        options=job.options,
        inputs={
            role: tuple(store.folder(kind, print_) for kind, print_ in given) for role, given in job.inputs.items()
        },
        local=job.local,
        runtime=build(Runtime, job.runtime),
        folder=partial,
        emit=_seldom(emit),
    )
    started = time.monotonic()
    summary: Summary = module.run(context)
    seconds = time.monotonic() - started
    manifest = {
        "stage": job.name,
        "kind": job.kind,
        "version": job.version,
        "fingerprint": job.fingerprint,
        "options": job.options,
        "inputs": {role: [print_ for _, print_ in given] for role, given in job.inputs.items()},
        "rows": summary.rows,
        "tokens": summary.tokens,
        "counts": dict(summary.counts),
        "facts": {**summary.facts, **({"memory": list(job.memory)} if job.memory else {})},
        "seconds": round(seconds, 3),
        "memory_bytes": _peak_memory() if job.model else None,
        "made_by": f"distill-app {__version__}",
        "resumed": state == "partial",
    }
    artifact = store.finish(job.kind, job.fingerprint, manifest)
    emit("stage_finished", {**_figures(manifest), "seconds": manifest["seconds"]})
    return artifact


def _seldom(emit: Emit) -> Emit:
    """`emit` with progress at most every `PROGRESS_SECONDS`, so that a stage may report as often as it likes."""
    last = 0.0

    def gate(kind: str, values: Mapping[str, Any]) -> None:
        nonlocal last
        now = time.monotonic()
        if kind == "progress" and values["done"] < values["total"]:
            if now - last < PROGRESS_SECONDS:
                return
            last = now
        emit(kind, values)

    return gate


def _figures(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {key: manifest.get(key) for key in ("rows", "tokens", "counts", "memory_bytes")}


def _peak_memory() -> int:
    """Peak resident memory in bytes of this process or the largest of its children that have ended (vLLM's, say).

    The kernel counts kibibytes on Linux and bytes on macOS.
    """
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return peak if sys.platform == "darwin" else peak * 1024
