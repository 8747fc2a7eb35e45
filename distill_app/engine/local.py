"""Carries a plan out on this machine: one stage after the other, each model stage in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distill_app.engine import ladder, ladder_kept
from distill_app.engine.execute import Job, execute, is_full, is_there
from distill_app.engine.forkserver import Starter
from distill_app.engine.presses import TERM_SECONDS, Presses, check, quietly
from distill_app.errors import DistillError, StageError
from distill_app.plan import estimate
from distill_app.plan.stage import Plan, Stage
from distill_app.reports import memory
from distill_app.store.artifacts import Store
from distill_app.store.files import locked, write_json
from distill_app.store.runs import EventLog, Run

Watch = Callable[[dict[str, Any]], None]
Emit = Callable[[str, Mapping[str, Any]], None]
POLL_SECONDS = 0.1


def carry_out(plan: Plan, root: Path, run: Run, watch: Watch, starter: Starter) -> None:
    """Run every stage of the plan that is not there yet and leave its result in the run's folder.

    `watch` is shown each event after it is written to the run's log. Raises `StageError` (finished work kept) or
    `KeyboardInterrupt`; both leave an ending event behind. A second process with the same run waits here until
    the first has ended, then finds everything done.
    """
    with locked(run.lock_path, lambda: watch({"type": "run_waiting", "run": run.id})):
        log = EventLog(run.events_path)

        def note(kind: str, values: Mapping[str, Any]) -> None:
            watch(log.append({"type": kind, **values}))

        try:
            note("run_started", {"run": run.id, "stages": [stage.name for stage in plan.stages]})
            store = Store(root)
            if any(stage.model and store.state(stage.kind, stage.fingerprint) != "cached" for stage in plan.stages):
                with (run.folder / "out.log").open("ab") as out:
                    starter.warm(out, _environment(dataclasses.asdict(plan.arm.recipe.runtime)))
            for stage in plan.stages:
                check()
                carry_out_stage(stage, plan, root, run.folder, note, starter)
            check()
            report = plan.stages[-1]
            publish(store.folder(report.kind, report.fingerprint), run)
            note("run_finished", {"run": run.id})
        except KeyboardInterrupt:
            quietly(lambda: note("run_interrupted", {"run": run.id}))
            raise
        except DistillError as error:
            note("run_failed", {"run": run.id, "message": error.message, "hint": error.hint})
            raise
        finally:
            log.close()


def carry_out_stage(
    stage: Stage,
    plan: Plan,
    root: Path,
    folder: Path,
    note: Callable[[str, Mapping[str, Any]], None],
    starter: Starter,
) -> None:
    """Make one artifact; what its process prints goes to `folder`/out.log. Raises as `carry_out` does."""
    job = job_of(stage, plan, root)

    def emit(kind: str, values: Mapping[str, Any]) -> None:
        note(kind, {"stage": stage.name, **values})
        if kind == "stage_finished" and values["rows"]:
            estimate.remember(stage.work, values["rows"], values["tokens"], values["seconds"], values["memory_bytes"])

    if stage.model:
        if is_there(job, emit):
            return
        dynamic = bool(plan.arm.recipe.selector.options.get("dynamic"))
        use = ladder.use_of(stage.kind, stage.options, stage.rows, dynamic=dynamic)
        _in_process(job, use, folder, emit, starter)
        return
    try:
        execute(job, emit)
    except (DistillError, KeyboardInterrupt):
        raise
    except Exception as error:
        if is_full(error, root):
            raise
        if what := ladder.shortage(error):
            raise ladder.exhausted(stage.name, ladder.Use((), None, None), job.runtime, what) from error
        with (folder / "out.log").open("a", encoding="utf-8") as out:
            traceback.print_exc(file=out)
        raise _unexpected(stage.name, f"{type(error).__name__}: {error}", folder) from error


def job_of(stage: Stage, plan: Plan, root: Path) -> Job:
    """The stage as plain data for whichever process carries it out."""
    return Job(
        name=stage.name,
        kind=stage.kind,
        version=stage.version,
        fingerprint=stage.fingerprint,
        options=stage.options,
        inputs={role: list(zip(stage.input_kinds[role], prints, strict=True)) for role, prints in stage.inputs.items()},
        local=stage.local,
        runtime=dataclasses.asdict(plan.arm.recipe.runtime),
        root=str(root),
        model=stage.model,
    )


def _in_process(job: Job, use: ladder.Use, logs: Path, emit: Emit, starter: Starter) -> None:
    """Carry a job out in a process of its own, again with less memory for as long as that runs out and can be less."""
    given, job = job, ladder_kept.taken_up(job, emit)
    while True:
        what = _attempt(job, logs, emit, starter)
        if what is None:
            return
        step = ladder.down(use, job.runtime, len(job.memory) + 1, what)
        if step is None:
            raise ladder.exhausted(job.name, use, job.runtime, what)
        job = ladder_kept.lowered(job, step)
        ladder_kept.keep(given, job)
        emit("memory", step.as_json())


def _attempt(job: Job, logs: Path, emit: Emit, starter: Starter) -> ladder.Shortage | None:
    """One process. None: the artifact is there; else how its memory ran out. Raises as `carry_out` does."""
    kills = ladder.kernel_kills()
    error: StageError | None = None
    shortage: ladder.Shortage | None = None

    def hear(line: bytes) -> None:
        nonlocal error, shortage
        event = json.loads(line)
        kind = event.pop("type")
        if kind == "error":
            error = StageError(f"{job.name}: {event['message']}", event["hint"])
        elif kind == "shortage":
            shortage = ladder.Shortage(**event)
        elif kind == "crash":
            error = _unexpected(job.name, event["what"], logs)
        else:
            emit(kind, event)

    with Presses() as presses:
        code = _worked(job, logs, presses, hear, lambda: emit("stage_stopping", _asked(presses)), starter)
    if error:
        raise error
    if presses.count or code in (130, -signal.SIGINT):
        raise KeyboardInterrupt
    if shortage:
        return shortage
    if code == -signal.SIGKILL:
        return ladder.killed(kills)
    if code != 0:
        raise _unexpected(job.name, f"its process ended with code {code}", logs)
    return None


def _worked(
    job: Job,
    logs: Path,
    presses: Presses,
    hear: Callable[[bytes], None],
    stopping: Callable[[], None],
    starter: Starter,
) -> int:
    """Start the job's process, pass each line of its events to `hear`, and return its exit code.

    `stopping` is called when the process has been asked to stop.
    """
    reading, writing = os.pipe()
    # An unnamed file: a pipe would have to be fed while the process starts, and one with a name is left by a kill.
    with tempfile.TemporaryFile() as given, (logs / "out.log").open("ab") as out:
        given.write(json.dumps(job.as_json()).encode())
        given.seek(0)
        process = starter.start(given, out, writing, _environment(job.runtime))
        os.close(writing)
        told = False
        rest, open_ = b"", True
        try:
            while open_ or process.poll() is None:
                if presses.wait(reading if open_ else None, None if open_ else POLL_SECONDS):
                    data = os.read(reading, 1 << 16)
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        hear(line)
                    open_ = bool(data)
                if presses.urgent:
                    process.kill()
                elif presses.count and not told:
                    told = True
                    process.send_signal(signal.SIGINT)
                    stopping()
            return process.wait()
        finally:
            os.close(reading)
            if process.poll() is None:
                process.kill()
                process.wait()


def _asked(presses: Presses) -> dict[str, Any]:
    return {"limit_seconds": None if presses.until is None else TERM_SECONDS}


def _environment(runtime: Mapping[str, Any]) -> dict[str, str]:
    """Ours, with settings that only count before a library is loaded. Idle OpenMP threads sleep instead of spinning."""
    settings = {**os.environ, "OMP_WAIT_POLICY": "passive", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
    if runtime["threads"]:
        settings["OMP_NUM_THREADS"] = str(runtime["threads"])
    return settings


def _unexpected(stage: str, what: str, folder: Path) -> StageError:
    return StageError(
        f"{stage}: failed unexpectedly ({what}). This is a bug in distill-app or in a library it uses.",
        f"The whole story is in {folder / 'out.log'}. Finished work is kept.",
    )


def publish(folder: Path, run: Run) -> None:
    """Copy a report's artifact beside the run and complete it by what is the run's own; the result is written last.

    That is its id, and what its stages had to do where memory ran out.
    """
    for path in sorted(folder.iterdir()):
        if path.name not in ("manifest.json", "result.json"):
            shutil.copyfile(path, run.folder / path.name)
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    steps = memory.steps(Store(folder.parents[2]), run.lock_record())
    if steps:
        report = run.folder / "report.md"
        report.write_text(f"{report.read_text(encoding='utf-8')}\n{memory.as_markdown(steps)}\n", encoding="utf-8")
    result |= {"run": run.id, "memory": steps}
    for row in [*result["rows"], *result["base_rows"]]:
        row["run"] = run.id
    write_json(run.folder / "result.json", result)
