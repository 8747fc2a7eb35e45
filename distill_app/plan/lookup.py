"""The content of what a recipe names: models, data sets, traces. What cannot be found is a fault at its line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from distill_app.errors import DistillError, Fault, RecipeError
from distill_app.plan.stage import family, version
from distill_app.problems import sources
from distill_app.recipe import nodes
from distill_app.recipe.model import Choice
from distill_app.recipe.model import build as typed
from distill_app.recipe.resolve import Arm, choice_of
from distill_app.skills import tree as skill_tree
from distill_app.skills.embed import BAG_OF_WORDS
from distill_app.store.files import sha256
from distill_app.students.locate import Located, locate

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Teacher:
    """A teacher with the options that enter a fingerprint, and those that only say where things lie (`local`)."""

    choice: Choice
    options: Mapping[str, Any]
    local: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """All that a recipe names, by content."""

    student: Located
    teachers: tuple[Teacher, ...]
    pool: str
    benchmarks: tuple[str, ...]
    quality: Teacher
    """The quality scorer: like a teacher, options for the fingerprint and what is local."""
    tree: str
    skills_teacher: Teacher | None
    table: str | None
    labels: str | None


def everything(arm: Arm) -> Found:
    """Look up all that the recipe names. Raises `RecipeError` with a fault for each thing that is not to be had."""
    recipe = arm.recipe
    faults: list[Fault] = []

    def look(path: tuple[str | int, ...], call: Callable[[], T]) -> T | None:
        try:
            return call()
        except DistillError as error:
            faults.append(Fault(arm.where(path), nodes.dotted(arm.root, path), error.message, error.hint))
            return None

    student = look(("student", "model"), partial(locate, recipe.student.model, recipe.student.revision))
    pool = look(("pool", "problems", "dataset"), partial(sources.content_id, recipe.pool.problems))
    teachers = []
    for index, choice in enumerate(recipe.teacher):
        key = next((key for key in ("model", "path", "dataset") if choice.options.get(key)), "name")
        teachers.append(look(("teacher", index, key), partial(teacher, choice)))
    benchmarks = [
        look(("evaluation", "benchmarks", index), partial(sources.content_id, benchmark))
        for index, benchmark in enumerate(recipe.evaluation.benchmarks)
    ]
    rated_by: tuple[str, ...] = ("model",) if "model" in recipe.quality.options else ("scorer",)
    if "teacher" in recipe.quality.options:
        rated_by = ("teacher", "model")
    scorer = look(("quality", *rated_by), partial(_scorer, arm))
    tree = look(("skills", "tree"), partial(_tree, recipe.skills.tree))
    asked = recipe.skills.teacher
    skills_teacher = look(("skills", "teacher"), partial(teacher, asked)) if asked else None
    if faults or student is None or pool is None or scorer is None or tree is None:
        raise RecipeError(faults)
    prefix = recipe.training.skills
    return Found(
        student,
        tuple(teacher for teacher in teachers if teacher is not None),
        pool,
        tuple(content for content in benchmarks if content is not None),
        scorer,
        tree,
        skills_teacher,
        _hash(recipe.capability.table),
        _hash(prefix.labels if prefix else None),
    )


def _tree(source: str) -> str:
    return skill_tree.content_id(skill_tree.load(source).tree)


def _hash(path: str | None) -> str | None:
    """The content of a file that a recipe names; its checks have found it."""
    return None if path is None else f"sha256:{sha256(Path(path))}"


def _scorer(arm: Arm) -> Teacher:
    """The quality scorer, its model by content; a judge's teacher likewise."""
    choice = arm.recipe.quality
    options, local = dict(choice.options), {}
    if "model" in options:
        local = {"model": options.pop("model"), "revision": options.pop("revision")}
        options["model_content"] = locate(local["model"], local["revision"]).content_id
    if "teacher" in options:
        judge = teacher(choice_of("teacher", arm.resolved["quality"]["teacher"]))
        options["teacher"] = identity(judge)
        local["teacher"] = judge.local
    return Teacher(choice, options, local)


def embedding(name: str) -> str:
    """What tells an encoder from every other: its content, or the name of the one that is no model."""
    return name if name == BAG_OF_WORDS else locate(name, None).content_id


def teacher(choice: Choice) -> Teacher:
    """A teacher by content: what its module calls local stays out, and what that stands for goes in."""
    module = family("teachers", choice)
    local = {name: value for name, value in choice.options.items() if name in module.LOCAL}
    options = {name: value for name, value in choice.options.items() if name not in module.LOCAL}
    return Teacher(choice, {**options, **module.content(typed(module.Options, choice.options))}, local)


def identity(teacher: Teacher) -> dict[str, Any]:
    """What tells a teacher that is asked beside the pool (a judge, say) from every other."""
    module = family("teachers", teacher.choice)
    return {"backend": teacher.choice.key, "version": version(module), **teacher.options}
