"""From the arms of a recipe to their results: find or make the run of each, carry it out."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from distill_app import __version__
from distill_app.engine import local, ready
from distill_app.errors import StageError, UsageError
from distill_app.plan import graph
from distill_app.plan.stage import Plan
from distill_app.recipe import save
from distill_app.recipe.resolve import Arm
from distill_app.store import runs
from distill_app.store.artifacts import Store
from distill_app.store.runs import Run

PACKAGES = ("torch", "transformers", "peft", "trl", "datasets", "accelerate", "math-verify", "tokenizers")


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
    results = []
    for plan in plans:
        run = _run_of(plan, root)
        try:
            local.carry_out(plan, root, run, watch)
        except (StageError, KeyboardInterrupt) as error:
            status = "failed" if isinstance(error, StageError) else "interrupted"
            watch({"type": "end", "run": run.id, "status": status})
            raise
        result = run.result()
        if result is None:
            raise StageError(f"Run {run.id} left no result.json.", "Issue the command again.")
        results.append(result)
        watch({"type": "end", "run": run.id, "status": "finished"})
    return results


def _run_of(plan: Plan, root: Path) -> Run:
    """The run this plan already has, to be continued or found finished; else a new one."""
    return runs.find_by_plan(root, plan.fingerprint) or runs.create(
        root, plan.arm.text, save.dump(plan.arm.resolved), lock_record(plan)
    )


def lock_record(plan: Plan) -> dict[str, Any]:
    """What lock.json says of a run: what ran, from what, with which versions."""
    recipe = plan.arm.recipe
    return {
        "version": 1,
        "plan": plan.fingerprint,
        "recipe": recipe.name,
        "label": plan.arm.label,
        "selector": recipe.selector.key,
        "seed": recipe.seed,
        "file": str(plan.arm.file),
        "stages": [{"name": stage.name, "kind": stage.kind, "fingerprint": stage.fingerprint} for stage in plan.stages],
        "distill_app": __version__,
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
    }
