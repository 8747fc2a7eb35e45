"""What a recipe can get wrong about teachers and what they are asked."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from distill_app.errors import Fault
from distill_app.recipe.model import build
from distill_app.recipe.nodes import Path
from distill_app.recipe.schema import FAMILIES
from distill_app.recipe.view import View
from distill_app.recipe.wording import quoted

WHAT = {
    "question": "is a program that solves the built-in problems",
    "nothing": "holds traces already written",
}


def own_options(view: View) -> Iterator[Fault]:
    """What a teacher, augmentation or quality scorer itself finds wrong with its options."""
    for part, path, item in _members(view):
        family = FAMILIES[part]
        module = module_of(family.folder, item[family.key])
        if module is None or not hasattr(module, "check"):
            continue
        names = module.Options.__dataclass_fields__
        for option, message, suggestion in module.check(build(module.Options, {key: item[key] for key in names})):
            yield view.fault((*path, *option.split(".")), message, suggestion)


def asked_teachers(view: View) -> Iterator[Fault]:
    """Teachers who judge or attribute must be able to answer any question, and have no part in the pool."""
    for part, task in (("quality", "rate traces"), ("skills", "attribute skills")):
        if not view.sound((part,)):
            continue
        teacher = view.data[part].get("teacher")
        if teacher is None:
            continue
        follows = _follows(teacher)
        if follows in WHAT:
            yield view.fault(
                (part, "teacher", "backend"),
                f"the teacher {quoted(teacher['backend'])} {WHAT[follows]}: it cannot {task}.",
                "Name a language model, such as backend: transformers with its model.",
            )
        for key in ("weight", "limit"):
            if teacher[key] is not None:
                yield view.fault(
                    (part, "teacher", key),
                    f"this teacher writes no traces of the pool, so it has no {key} there.",
                    "Delete this line.",
                )


def instructions(view: View) -> Iterator[Fault]:
    """Augmentations that ask for more than an answer need a teacher that follows instructions."""
    if not view.sound(("augmentation",)):
        return
    needy = [
        (index, item["name"])
        for index, item in enumerate(view.data["augmentation"])
        if (module := module_of("augmentations", item["name"])) is not None and module.ASKS == "instructions"
    ]
    for _, teacher in view.items("teacher"):
        follows = _follows(teacher)
        for index, name in needy if follows == "question" else ():
            yield view.fault(
                ("augmentation", index),
                f"{name} asks for more than an answer, and the teacher {quoted(teacher['name'])} {WHAT[follows]}.",
                "Take a language model as teacher, or chain_of_thought or resample here.",
            )


def skills_twice(view: View) -> Iterator[Fault]:
    """skill_chain has the teacher write what skill-aware fine-tuning writes in front of every trace."""
    if not view.sound(("augmentation",), ("training", "skills")) or view.data["training"]["skills"] is None:
        return
    for index, item in enumerate(view.data["augmentation"]):
        if item["name"] == "skill_chain":
            yield view.fault(
                ("augmentation", index),
                "skill_chain's traces begin with their skills, and training.skills would write them there again.",
                "Take one of the two.",
            )


def weights_apart(view: View) -> Iterator[Fault]:
    """A weight is a proportion: it takes two."""
    if not view.sound(("teacher",)):
        return
    weighed = [index for index, item in view.items("teacher") if item["weight"] is not None]
    if len(weighed) == 1:
        yield view.fault(
            ("teacher", weighed[0], "weight"),
            "a weight says how much of the pool is this teacher's against others with a weight, and no other has one.",
            "Give another teacher a weight too, or delete this line.",
        )


def _members(view: View) -> Iterator[tuple[str, Path, Any]]:
    """Every teacher, augmentation and scorer that is sound, with its family and where it stands."""
    for part in ("teacher", "augmentation"):
        if view.sound((part,)):
            for index, item in view.items(part):
                yield part, (part, index), item
    for part in ("quality", "skills"):
        if view.sound((part,)) and view.data[part].get("teacher") is not None:
            yield "teacher", (part, "teacher"), view.data[part]["teacher"]
    if view.sound(("quality",)):
        yield "quality", ("quality",), view.data["quality"]


def _follows(teacher: Any) -> str:
    module = module_of("teachers", teacher["backend"])
    return "instructions" if module is None else str(module.FOLLOWS)


def module_of(folder: str, name: str) -> Any:
    """The module of a family's member; None where a schema stands alone (a test's, say)."""
    full = f"distill_app.{folder}.{name}"
    return importlib.import_module(full) if importlib.util.find_spec(full) else None


CHECKS: tuple[Callable[[View], Iterable[Fault]], ...] = (
    own_options,
    asked_teachers,
    instructions,
    skills_twice,
    weights_apart,
)
