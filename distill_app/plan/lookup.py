"""The content of what a recipe names: models, data sets, traces. What cannot be found is a fault at its line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from distill_app.errors import DistillError, Fault, RecipeError
from distill_app.problems import sources
from distill_app.recipe import nodes
from distill_app.recipe.model import Choice
from distill_app.recipe.model import build as typed
from distill_app.recipe.resolve import Arm
from distill_app.students.locate import Located, locate
from distill_app.teachers import traces

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
        key = next((key for key in ("model", "path") if key in choice.options), "name")
        teachers.append(look(("teacher", index, key), partial(_teacher, choice)))
    benchmarks = [
        look(("evaluation", "benchmarks", index), partial(sources.content_id, benchmark))
        for index, benchmark in enumerate(recipe.evaluation.benchmarks)
    ]
    if faults or student is None or pool is None:
        raise RecipeError(faults)
    return Found(
        student,
        tuple(teacher for teacher in teachers if teacher is not None),
        pool,
        tuple(content for content in benchmarks if content is not None),
    )


def _teacher(choice: Choice) -> Teacher:
    """Paths and model names are local; their content is what counts."""
    options = dict(choice.options)
    if "model" in options:
        local = {"model": options.pop("model"), "revision": options.pop("revision")}
        options["model_content"] = locate(local["model"], local["revision"]).content_id
        return Teacher(choice, options, local)
    if "path" in options:
        local = {"path": options.pop("path")}
        options["content"] = traces.content_id(typed(traces.Options, choice.options))
        return Teacher(choice, options, local)
    return Teacher(choice, options, {})
