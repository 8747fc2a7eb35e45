"""`distill-app skills build`: makes a skill tree from a recipe's pool and puts it where the user wants it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_app.engine import local
from distill_app.engine.forkserver import Starter
from distill_app.errors import UsageError
from distill_app.plan import graph
from distill_app.recipe.resolve import Arm
from distill_app.stages.skill_tree import TREE
from distill_app.store.artifacts import Store
from distill_app.store.files import locked, write_atomic


@dataclass(frozen=True, slots=True)
class Made:
    """A tree in its file, and the facts of how it was made."""

    path: Path
    facts: Mapping[str, Any]


def build(
    arm: Arm, root: Path, out: Path, watch: Callable[[dict[str, Any]], None], *, name: str, leaf_items: int
) -> Made:
    """Make the tree, or find it made, and write it to `out`, which must not be there yet.

    `watch` is shown the stages' events. Raises `UsageError` where `out` cannot be written, `RecipeError` for a recipe
    without a teacher to ask, `StageError` (answers so far are kept) or `KeyboardInterrupt`.
    """
    if out.exists():
        raise UsageError(f"{out} is there already.", "Name another file with --out, or move this one away.")
    if not out.parent.is_dir():
        raise UsageError(f"There is no folder {out.parent}.", "Make it first, or name another file with --out.")
    plan = graph.skill_tree(arm, name, leaf_items)
    last = plan.stages[-1]
    logs = root / "tools" / f"skill_tree-{last.fingerprint}"
    logs.mkdir(parents=True, exist_ok=True)
    watch({"type": "tool_started", "stages": [stage.name for stage in plan.stages]})

    def note(kind: str, values: Mapping[str, Any]) -> None:
        watch({"type": kind, **values})

    with locked(logs / "lock"), Starter() as starter:
        for stage in plan.stages:
            local.carry_out_stage(stage, plan, root, logs, note, starter)
    folder = Store(root).folder(last.kind, last.fingerprint)
    write_atomic(out, (folder / TREE).read_text(encoding="utf-8"))
    return Made(out, json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["facts"])
