"""A node of the plan, and what is put together to make one."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_app.plan.fingerprint import fingerprint, of_plan
from distill_app.recipe.model import Choice, ProblemSource, Student
from distill_app.recipe.resolve import Arm
from distill_app.students.locate import Located


@dataclass(frozen=True, slots=True)
class Stage:
    """One node: what it is called, what it does, what it needs, and how much of it there is."""

    name: str
    kind: str
    version: int
    model: bool
    options: Mapping[str, Any]
    inputs: Mapping[str, tuple[str, ...]]
    """Role -> fingerprints of the stages that fill it."""
    input_kinds: Mapping[str, tuple[str, ...]]
    """Role -> kinds of those stages, in the same order: with the fingerprint, where the artifact lies."""
    local: Mapping[str, Any]
    rows: int | None
    """Rows it will make, as far as a plan can know."""
    work: str
    """What its speed depends on: stages with the same `work` share their measured rates."""

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.kind, self.version, self.options, self.inputs)


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages of one arm, each after the ones it needs."""

    arm: Arm
    stages: tuple[Stage, ...]

    @property
    def fingerprint(self) -> str:
        return of_plan([stage.fingerprint for stage in self.stages])


class Builder:
    """Collects stages in order and hands out what a later stage needs to refer to an earlier one."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []

    def add(
        self,
        kind: str,
        *,
        label: str = "",
        options: Mapping[str, Any],
        inputs: Mapping[str, Stage | Sequence[Stage]] | None = None,
        local: Mapping[str, Any] | None = None,
        rows: int | None = None,
        model: bool | None = None,
        work: str = "",
    ) -> Stage:
        module = importlib.import_module(f"distill_app.stages.{kind}")
        given = {role: (value,) if isinstance(value, Stage) else tuple(value) for role, value in (inputs or {}).items()}
        stage = Stage(
            name=f"{kind}[{label}]" if label else kind,
            kind=kind,
            version=module.VERSION,
            model=module.MODEL if model is None else model,
            options=options,
            inputs={role: tuple(stage.fingerprint for stage in stages) for role, stages in given.items()},
            input_kinds={role: tuple(stage.kind for stage in stages) for role, stages in given.items()},
            local=local or {},
            rows=rows,
            work=work or kind,
        )
        self.stages.append(stage)
        return stage


def student_options(student: Student, located: Located) -> dict[str, Any]:
    """What of the student changes an output: its content, number type and prompt; not what it is called."""
    return {
        "content": located.content_id,
        "dtype": student.dtype,
        "system_prompt": student.system_prompt,
        "prompt": student.prompt,
        "thinking": student.thinking,
    }


def source_options(source: ProblemSource, content: str | None) -> dict[str, Any]:
    options = dataclasses.asdict(source)
    options.pop("name", None)
    options["dataset"] = source.dataset if _is_named(source.dataset) else source.dataset.partition(":")[0]
    if (content or "").startswith("hub:"):
        options["revision"] = None  # the content names the commit that it stands for
    return {**options, "content": content}


def _is_named(dataset: str) -> bool:
    """Whether the data set is told by its name (built in, or on a hub) and not by a path on this machine."""
    return not dataset.startswith(("jsonl:", "parquet:"))


def family(folder: str, choice: Choice) -> Any:
    return importlib.import_module(f"distill_app.{folder}.{choice.key}")


def version(module: Any) -> int:
    version: int = module.VERSION
    return version
