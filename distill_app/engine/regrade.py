"""`distill-app regrade`: grades the stored answers of a finished run again, without generating any.

What the run's students answered is read from the store; new verdicts and a new report are artifacts like any other, so
grading again by the same rules finds everything made. Selection and training stay what they were: the pool's own
verdicts are not touched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_app.engine import local
from distill_app.engine.execute import Job, execute
from distill_app.errors import UsageError
from distill_app.plan.fingerprint import fingerprint
from distill_app.recipe import defaults, schema
from distill_app.records import Verdict
from distill_app.stages import grade, report
from distill_app.store import artifacts, rows
from distill_app.store.artifacts import Artifact, Store
from distill_app.store.files import locked, write_json
from distill_app.store.runs import EventLog, Run

Watch = Callable[[dict[str, Any]], None]
ANSWERS = {"base_verdicts": "base", "trained_verdicts": "trained"}
KEPT = "result.before_regrade.json"
"""The result as it was before the first regrading."""


@dataclass(frozen=True, slots=True)
class Regraded:
    """`changes` counts verdicts by (before, after), of those that differ; `answers` is how many were graded."""

    answers: int
    changes: Mapping[tuple[str, str], int]
    result: dict[str, Any]


def regrade(run: Run, root: Path, watch: Watch, *, limit_seconds: float | None = None) -> Regraded:
    """Grade again, with the rules of this version of the program, and publish the result beside the run.

    `limit_seconds` None keeps the limit the run had. Raises `UsageError` for a
    run that has not finished or whose answers are no longer in the store, `StageError` where grading fails.
    """
    store = Store(root)
    runtime = defaults.of_part(schema.installed(), "runtime")
    record = run.lock_record()
    kinds = {stage["fingerprint"]: stage["kind"] for stage in record.get("stages", [])}
    if run.result() is None:
        what = "is damaged" if (run.folder / "result.json").exists() else "is not there: the run has not finished"
        raise UsageError(f"Run {run.id} cannot be graded: its result.json {what}.", "Issue its recipe again.")
    first = next(print_ for print_, kind in kinds.items() if kind == "report")
    last = _manifest(store, "report", record.get("regraded", first), run)
    inputs: dict[str, list[tuple[str, str]]] = {
        role: [("grade" if role in ANSWERS else kinds[print_], print_) for print_ in prints]
        for role, prints in last["inputs"].items()
    }
    with locked(run.lock_path, lambda: watch({"type": "run_waiting", "run": run.id})):
        log = EventLog(run.events_path)

        def make(job: Job) -> Artifact:
            return execute(job, lambda kind, values: watch(log.append({"type": kind, "stage": job.name, **values})))

        try:
            names = [_manifest(store, "grade", print_, run)["stage"] for role in ANSWERS for _, print_ in inputs[role]]
            watch(log.append({"type": "regrade_started", "run": run.id, "stages": [*names, "report"]}))
            changes: Counter[tuple[str, str]] = Counter()
            answers = 0
            for role, source in ANSWERS.items():
                before = inputs[role]
                inputs[role] = []
                for (kind, answered), (_, graded) in zip(inputs[source], before, strict=True):
                    old = _manifest(store, "grade", graded, run)
                    for part in ((kind, answered), ("grade", graded)):
                        _whole(store, *part, run)
                    limit = old["options"]["limit_seconds"] if limit_seconds is None else limit_seconds
                    job = _job(
                        old["stage"], "grade", grade, {"limit_seconds": limit}, {"rows": [(kind, answered)]},
                        runtime, root,
                    )  # fmt: skip
                    made = make(job)
                    inputs[role].append(("grade", job.fingerprint))
                    answers += made.manifest["rows"]
                    changes += _changes(store.folder("grade", graded), made.folder)
            job = _job("report", "report", report, last["options"], inputs, runtime, root)
            made = make(job)
            kept = run.folder / KEPT
            if not kept.exists():
                kept.write_bytes((run.folder / "result.json").read_bytes())
            local.publish(made.folder, run)
            watch(log.append({"type": "regrade_finished", "run": run.id, "changed": sum(changes.values())}))
        finally:
            log.close()
    result = run.result()
    assert result is not None
    write_json(run.folder / "lock.json", {**record, "regraded": job.fingerprint})
    return Regraded(answers, dict(changes), result)


def as_text(regraded: Regraded) -> str:
    """What changed, in a few lines."""
    changed = sum(regraded.changes.values())
    lines = [f"{regraded.answers} answers graded again, {changed} verdicts changed."]
    lines += [f"  {before} -> {after}: {count}" for (before, after), count in sorted(regraded.changes.items())]
    return "\n".join(lines)


def _job(
    name: str,
    kind: str,
    module: Any,
    options: Mapping[str, Any],
    inputs: Mapping[str, list[tuple[str, str]]],
    runtime: Mapping[str, Any],
    root: Path,
) -> Job:
    prints = {role: tuple(print_ for _, print_ in given) for role, given in inputs.items()}
    return Job(
        name=name,
        kind=kind,
        version=module.VERSION,
        fingerprint=fingerprint(kind, module.VERSION, options, prints),
        options=options,
        inputs=inputs,
        local={},
        runtime=runtime,
        root=str(root),
        model=False,
    )


def _manifest(store: Store, kind: str, print_: str, run: Run) -> dict[str, Any]:
    found = store.manifest(kind, print_)
    if found is None:
        raise UsageError(
            f"The {kind} artifact {print_} of run {run.id} is not in {store.root} any more.",
            "Issue the run's recipe again: what is missing is made again.",
        )
    return found


def _whole(store: Store, kind: str, print_: str, run: Run) -> None:
    """Raises `UsageError` where an artifact differs from its manifest."""
    if what := artifacts.fault(store.folder(kind, print_), _manifest(store, kind, print_, run)):
        raise UsageError(
            f"The {kind} artifact {print_} of run {run.id} is damaged: {what}.",
            "Issue the run's recipe again: what is damaged is set aside and made again.",
        )


def _changes(before: Path, after: Path) -> Counter[tuple[str, str]]:
    old = {row.id: row.verdict for row in rows.read(before / grade.FILE, Verdict)}
    new = rows.read(after / grade.FILE, Verdict)
    return Counter((old[row.id], row.verdict) for row in new if old[row.id] != row.verdict)
