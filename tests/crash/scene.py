"""Runs that die: started, killed at a chosen moment, compared with one that nothing disturbed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import psutil

from tests.recipes import ROOT, distill, environment

HOOK = Path(__file__).parent / "hook"
PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Death:
    """A moment to die: in `stage`, by `way`.

    delay: a share `value` of the stage's usual time after its first event; step: after so many training steps; rows:
    with so many answers on disk; before, after: at the renaming of its artifact into place.
    """

    stage: str
    way: str
    value: float = 0


@dataclass(frozen=True)
class Whole:
    """A run that nothing disturbed: its recipe and workspace, its stages in order with kind and fingerprint, and the
    seconds each took; `start` is that of the time before the first, `end` of what follows the last."""

    recipe: Path
    workspace: Path
    stages: Mapping[str, str]
    seconds: Mapping[str, float]

    @property
    def same_machine(self) -> dict[str, str]:
        """The user's cache of this run: the faster number type is measured once on a machine and remembered there."""
        return {"DISTILL_CACHE": environment(self.workspace)["DISTILL_CACHE"]}


def carry_out(recipe: Path, workspace: Path) -> Whole:
    """Carry a recipe out undisturbed, and look at the clock."""
    began = time.time()
    process = start(recipe, workspace)
    output, complaint = process.communicate()
    assert process.returncode == 0, complaint
    events = [json.loads(line) for line in output.splitlines()[:-1]]
    (run,) = (workspace / "runs").glob("2*")
    stages = json.loads((run / "lock.json").read_text())["stages"]
    first = {stage["name"]: next(e["time"] for e in events if e.get("stage") == stage["name"]) for stage in stages}
    times = [*first.values(), events[-1]["time"]]
    seconds = {name: after - at for (name, at), after in zip(first.items(), times[1:], strict=True)}
    seconds |= {"start": times[0] - began, "end": 0.1}
    return Whole(recipe, workspace, {s["name"]: f"{s['kind']}/{s['fingerprint']}" for s in stages}, seconds)


def start(recipe: Path, workspace: Path, **more: str) -> subprocess.Popen[str]:
    """Start the run; its events come as lines of `stdout`."""
    return subprocess.Popen(
        [sys.executable, "-m", "distill_app.cli", "run", str(recipe), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(workspace, **more),
    )


def issue(whole: Whole, workspace: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Issue the command in another workspace of the same machine, and wait for its end."""
    return distill("run", whole.recipe, *options, workspace=workspace, env=whole.same_machine)


def hooked(when: str, path: str, do: str = "kill") -> dict[str, str]:
    """The environment of a process that dies (or stops) before or after something is renamed to `path`."""
    return {"PYTHONPATH": f"{HOOK}:{ROOT}", "CRASH_AT": f"{when} {path}", "CRASH_DO": do}


def run_until(death: Death, whole: Whole, workspace: Path) -> bool:
    """Start the run and kill it and all its processes at the moment of `death`; False where it ended before."""
    renaming = death.way in ("before", "after")
    more = hooked(death.way, "artifacts/" + whole.stages[death.stage]) if renaming else {}
    process = start(whole.recipe, workspace, **whole.same_machine, **more)
    if death.stage == "start":
        time.sleep(death.value * whole.seconds["start"])
    else:
        _wait_for(death, process, whole, workspace)
    alive = process.poll() is None
    kill(process)
    return alive or process.returncode == -9


def _wait_for(death: Death, process: subprocess.Popen[str], whole: Whole, workspace: Path) -> None:
    assert process.stdout
    for line in process.stdout:
        event = json.loads(line)
        if death.stage == "end":
            if event.get("stage") == "report" and event["type"] in ("stage_finished", "stage_cached"):
                time.sleep(death.value * whole.seconds["end"])
                return
            continue
        if event.get("stage") != death.stage:
            continue
        if event["type"] in ("stage_cached", "stage_finished"):
            return
        if death.way == "delay":
            time.sleep(death.value * whole.seconds[death.stage])
            return
        if death.way == "step" and event["type"] == "loss" and event["step"] >= death.value:
            return
        if death.way == "rows" and event["type"] == "stage_started":
            _wait_for_rows(workspace / "artifacts" / whole.stages[death.stage], int(death.value))
            return


def _wait_for_rows(artifact: Path, count: int) -> None:
    log = artifact.with_name(artifact.name + ".partial") / "work" / "completions.jsonl"
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and not artifact.exists():
        with suppress(FileNotFoundError):
            if log.read_bytes().count(b"\n") >= count:
                return
        time.sleep(0.002)


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL to a run and everything it started."""
    with suppress(psutil.NoSuchProcess):
        run = psutil.Process(process.pid)
        everyone = [run, *run.children(recursive=True)]
        for one in everyone:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        _, alive = psutil.wait_procs(everyone[1:], timeout=30)
        assert not alive, alive
    process.communicate()


def deaths(whole: Whole, count: int, draw: Random) -> list[Death]:
    """So many moments spread over every stage, in the order of the stages.

    Training has two turns, and so dies twice in a row, once in the middle of its steps; answering dies once between
    its rows.
    """
    long = [name for name in whole.stages if name == "train" or name.startswith("evaluate[")]
    others = ["start", *(name for name in whole.stages if name not in long), "end"]
    draw.shuffle(others)
    turns = ["train", *others[:3], *long[1:], *others[3:]]
    names = [turns[place % len(turns)] for place in range(count - 2)]
    sure = [Death("train", "step", draw.randint(2, 5)), Death(long[-1], "rows", 9)]
    order = ["start", *whole.stages, "end"]
    return sorted([*sure, *(_death(name, draw) for name in names)], key=lambda death: order.index(death.stage))


def _death(stage: str, draw: Random) -> Death:
    """Where there are steps or rows to die between, most often there."""
    if stage in ("start", "end"):
        return Death(stage, "delay", draw.random())
    ways = ["delay", "delay", "before", "after"]
    ways += ["step"] * 4 if stage == "train" else ["rows"] * 4 if stage.startswith("evaluate[") else []
    way = draw.choice(ways)
    values = {"delay": draw.random(), "step": draw.randint(1, 5), "rows": draw.choice((1, 9))}
    return Death(stage, way, values.get(way, 0))


def contents(workspace: Path) -> dict[str, Any]:
    """All that a run's artifacts and its result say, less what is time or memory: equal where the runs were."""
    found: dict[str, Any] = {}
    for path in sorted((workspace / "artifacts").glob("*/*/manifest.json")):
        if "." in path.parent.name:
            continue
        manifest = json.loads(path.read_text())
        for key in ("seconds", "memory_bytes", "resumed", "seal"):
            manifest.pop(key)
        manifest["facts"].pop("selection_seconds", None)
        if manifest["kind"] == "report":
            for name in ("report.md", "result.json"):
                del manifest["files"][name]
            found["report.md"] = _untimed((path.parent / "report.md").read_text())
        found[f"{manifest['kind']}/{path.parent.name}"] = manifest
    results = [json.loads(path.read_text()) for path in (workspace / "runs").glob("2*/result.json")]
    for result in results:
        for key in ("run", "timings"):
            result.pop(key)
        result["notes"] = [note for note in result["notes"] if not note.startswith("A stage was interrupted")]
        for row in [*result["rows"], *result["base_rows"]]:
            row.pop("run")
            row.pop("seconds")
        for epoch in result["selection"]["epochs"]:
            epoch.pop("seconds")
    found["results"] = results
    return found


def _untimed(report: str) -> list[str]:
    """A report's lines without what they tell of time, and of an interruption."""
    kept, clock = [], 0
    for line in report.splitlines():
        cells = line.split("|")
        if not line.startswith("|"):
            clock = 0
        elif " seconds " in cells:
            clock = cells.index(" seconds ")
        if clock:
            del cells[clock]
        if "A stage was interrupted" not in line:
            kept.append(re.sub(r"[\d.]+ s in all", "- s in all", "|".join(cells)))
    return kept


def sealed(workspace: Path) -> dict[Path, bytes]:
    """Every finished artifact's manifest as it lies there: another one would mean that the work was done again."""
    return {
        path: path.read_bytes()
        for path in (workspace / "artifacts").glob("*/*/manifest.json")
        if "." not in path.parent.name
    }


def finished_rows(workspace: Path) -> dict[Path, list[bytes]]:
    """The whole lines of every row log of work in progress."""
    logs = (workspace / "artifacts").glob("*/*.partial/work/*.jsonl")
    return {path: (raw := path.read_bytes())[: raw.rfind(b"\n") + 1].splitlines() for path in logs}


def events_of(workspace: Path) -> list[dict[str, Any]]:
    """The log of the workspace's only run."""
    (path,) = (workspace / "runs").glob("2*/events.jsonl")
    return [json.loads(line) for line in path.open()]
