"""The rungs of the memory ladder that a stage has come down, kept beside its unfinished work and in its manifest."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distill_app.engine import ladder
from distill_app.engine.execute import Job
from distill_app.store.artifacts import WORK, Store
from distill_app.store.files import write_json


def lowered(job: Job, step: ladder.Step) -> Job:
    """The job as it goes on after this rung."""
    found = step.as_json()
    return dataclasses.replace(job, runtime=ladder.applied(job.runtime, found["changes"]), memory=(*job.memory, found))


def keep(given: Job, job: Job) -> None:
    """Write down how far `job` has come from the settings in `given`, where there is unfinished work to go on with."""
    store = Store(Path(given.root))
    if store.state(given.kind, given.fingerprint) != "partial":
        return
    path = _path(given)
    path.parent.mkdir(exist_ok=True)
    write_json(path, {"runtime": _touched(given.runtime, job.memory), "steps": list(job.memory)})


def taken_up(job: Job, emit: Callable[[str, Mapping[str, Any]], None]) -> Job:
    """The job on the rung where an earlier attempt stood, unless the recipe's settings have been changed since."""
    path = _path(job)
    if not path.exists():
        return job
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        same = kept["runtime"] == _touched(job.runtime, kept["steps"])
    except (ValueError, KeyError, TypeError):
        emit("stage_damaged", {"why": f"{path.name} cannot be read; the stage begins with the recipe's own settings"})
        return job
    if not same:
        return job
    runtime = job.runtime
    for step in kept["steps"]:
        runtime = ladder.applied(runtime, step["changes"])
    emit("log", {"message": f"memory ran out in an earlier attempt; as then: {kept['steps'][-1]['message']}"})
    return dataclasses.replace(job, runtime=runtime, memory=tuple(kept["steps"]))


def _path(job: Job) -> Path:
    folder = Store(Path(job.root)).folder(job.kind, job.fingerprint)
    return folder.with_name(f"{folder.name}.partial") / WORK / ladder.KEPT


def _touched(runtime: Mapping[str, Any], steps: Any) -> dict[str, Any]:
    """What `runtime` says of the settings that the steps changed."""
    keys = {change["key"] for step in steps for change in step["changes"]} - {ladder.ACCUMULATION}
    return {key: ladder.value({"runtime": runtime}, key) for key in sorted(keys)}
