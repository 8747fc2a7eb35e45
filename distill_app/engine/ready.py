"""What this machine lacks for a plan, said before anything runs: a key in the environment, a package.

`validate` and `plan` do not ask: recipes are written on other machines than those that run them. Stages whose artifacts
are there need nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

from distill_app.errors import Fault, RecipeError
from distill_app.plan.stage import Plan, Stage
from distill_app.recipe import nodes
from distill_app.recipe.model import Choice, build
from distill_app.recipe.resolve import choice_of
from distill_app.store.artifacts import Store
from distill_app.students import vllm_machine

VLLM = "vllm"


def check(plans: Sequence[Plan], store: Store) -> None:
    """Raise `RecipeError` with what is lacking, each at the recipe's line that asks for it."""
    if faults := lacking(plans, store):
        raise RecipeError(faults)


def lacking(plans: Sequence[Plan], store: Store) -> list[Fault]:
    """What is lacking, each once, at the recipe's line that asks for it."""
    return list(dict.fromkeys(fault for plan in plans for fault in _lacking(plan, store)))


def _lacking(plan: Plan, store: Store) -> Iterator[Fault]:
    arm = plan.arm
    open_stages = [stage for stage in plan.stages if store.state(stage.kind, stage.fingerprint) != "cached"]
    for path, choice in _asked(plan, open_stages):
        module: Any = importlib.import_module(f"distill_app.teachers.{choice.key}")
        if not hasattr(module, "lacking"):
            continue
        for key, message, hint in module.lacking(build(module.Options, choice.options)):
            yield nodes.fault(arm.root, (*path, key), message, hint)
    if any(stage.options.get("backend") == VLLM or stage.kind == "agreement" for stage in open_stages):
        what = vllm_machine.lack(vllm_machine.installed())
        if what is not None:
            yield nodes.fault(arm.root, ("evaluation", "backend"), what, vllm_machine.INSTALL)


def _asked(plan: Plan, open_stages: Sequence[Stage]) -> Iterator[tuple[nodes.Path, Choice]]:
    """The teachers that open stages will ask, and where the recipe names them."""
    recipe, resolved = plan.arm.recipe, plan.arm.resolved
    names = {stage.options["teacher"]["name"] for stage in open_stages if stage.kind == "generate"}
    for index, choice in enumerate(recipe.teacher):
        if choice.name in names:
            yield ("teacher", index), choice
    kinds = {stage.kind for stage in open_stages}
    for part in ("quality", "skills"):
        asked = resolved[part].get("teacher")
        if asked is not None and part in kinds:
            yield (part, "teacher"), choice_of("teacher", asked)
