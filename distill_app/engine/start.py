"""From the arms of a recipe to their results: find or make the run of each, carry it out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distill_app.engine import local, ready
from distill_app.engine.forkserver import Starter
from distill_app.errors import StageError, UsageError
from distill_app.evaluation import pool
from distill_app.plan import graph
from distill_app.plan.stage import Plan
from distill_app.recipe import allowed, save
from distill_app.recipe.resolve import Arm
from distill_app.reproduce import lock
from distill_app.store import runs
from distill_app.store.artifacts import Store
from distill_app.store.files import locked
from distill_app.store.runs import Run


def run_arms(arms: Sequence[Arm], root: Path, watch: Callable[[dict[str, Any]], None]) -> list[dict[str, Any]]:
    """Run every arm, one after the other, and return their results.

    All arms are planned before the first starts, so a fault in the last, or what this machine lacks for it, is known
    before hours are spent on the first. Raises `RecipeError` (nothing ran), `StageError` (finished work kept) or
    `KeyboardInterrupt`.
    """
    plans = [graph.build(arm) for arm in arms]
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The workspace {root} cannot be made ({error.strerror}).", "Give another one with --workspace."
        ) from error
    ready.check(plans, Store(root))
    with Starter() as starter, pool.kept():
        return [_result(plan, root, watch, starter) for plan in plans]


def _result(plan: Plan, root: Path, watch: Callable[[dict[str, Any]], None], starter: Starter) -> dict[str, Any]:
    run = _run_of(plan, root)
    try:
        local.carry_out(plan, root, run, watch, starter)
    except (StageError, KeyboardInterrupt) as error:
        status = "failed" if isinstance(error, StageError) else "interrupted"
        watch({"type": "end", "run": run.id, "status": status})
        raise
    result = run.result()
    if result is None:
        raise StageError(f"Run {run.id} left no result.json.", "Issue the command again.")
    lock.complete(run, plan, Store(root))
    watch({"type": "end", "run": run.id, "status": "finished"})
    return result


def _run_of(plan: Plan, root: Path) -> Run:
    """The run this plan already has, to be continued or found finished; else a new one."""
    resolved = save.dump(plan.arm.resolved)
    allowed.remember(resolved)
    with locked(root / "locks" / "runs"):  # two commands at once are to find one run, not to make two
        run = runs.find_by_plan(root, plan.fingerprint)
        if run is None:
            return runs.create(root, plan.arm.text, resolved, lock.record(plan))
    runs.restore(run, plan.arm.text, resolved)
    lock.resumed(run, plan)
    return run
