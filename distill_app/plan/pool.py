"""The part of a plan that makes the pool: traces of every teacher and augmentation, and what is known of them."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_app.plan import lookup
from distill_app.plan.lookup import Teacher
from distill_app.plan.stage import Builder, Stage, family, source_options, student_options, version
from distill_app.problems import sources
from distill_app.recipe.model import Choice, Recipe
from distill_app.recipe.model import build as typed
from distill_app.skills import attribution, labels


def problems_of(builder: Builder, recipe: Recipe, found: lookup.Found) -> Stage:
    return builder.add(
        "problems",
        label="pool",
        options={**source_options(recipe.pool.problems, found.pool), "check_golds": False},
        local={"dataset": recipe.pool.problems.dataset},
        rows=sources.rows_at_most(recipe.pool.problems),
    )


def needs(recipe: Recipe) -> frozenset[str]:
    """What has to be known of the rows: what the selector reads, and what other parts of the recipe ask for."""
    module = family("selectors", recipe.selector)
    asked: frozenset[str] = module.NEEDS
    if hasattr(module, "needs"):
        asked = module.needs(typed(module.Options, recipe.selector.options))
    found = set(asked)
    fixed = recipe.capability.mode == "fixed"
    if "capability" in found:
        found |= set() if fixed else {"difficulty", "placement"}
    if recipe.capability.hold_out == "always":
        found.add("placement")
    if recipe.training.skills is not None:
        found.add("skills")
    if "placement" in found or recipe.selector.options.get("candidates", "100%") != "100%":
        found.add("quality")
    if "answers" in found and recipe.skills.per_skill is not None:
        found.add("skills")
    if recipe.pool.keep.max_tokens is not None:
        found.add("tokens")
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Part:
    """The stages of one teacher with one augmentation, by role."""

    traces: Stage
    verdicts: Stage
    signals: Mapping[str, Stage]


def part_of(
    builder: Builder,
    recipe: Recipe,
    found: lookup.Found,
    problems: Stage,
    teacher: Teacher,
    augmentation: Choice,
) -> Part:
    choice, options = teacher.choice, teacher.options
    module = importlib.import_module(f"distill_app.teachers.{choice.key}")
    each = augmentation.options.get("samples", recipe.pool.samples)
    rows = problems.rows * each if problems.rows else None
    label = f"{choice.name}/{augmentation.name}"
    traces = builder.add(
        "generate",
        label=label,
        options={
            "teacher": {"name": choice.name, "backend": choice.key, "version": version(module), **options},
            "augmentation": {
                "name": augmentation.key,
                "version": version(family("augmentations", augmentation)),
                **augmentation.options,
            },
            "samples": recipe.pool.samples,
            "seed": recipe.pool.seed,
        },
        inputs={"problems": problems},
        local=teacher.local,
        rows=rows,
        model=module.MODEL,
        work=f"generate {choice.key} {options.get('model_content', '')}".strip(),
    )
    verdicts = builder.add(
        "grade",
        label=label,
        options={"limit_seconds": recipe.runtime.grade_seconds},
        inputs={"rows": traces},
        rows=rows,
        work="grade",
    )
    wanted = needs(recipe)
    student = found.student
    here = {"model": recipe.student.model, "revision": recipe.student.revision}
    signals: dict[str, Stage] = {}
    if "quality" in wanted:
        scorer = family("quality", recipe.quality)
        signals["quality"] = builder.add(
            "quality",
            label=label,
            options={"scorer": recipe.quality.key, "version": version(scorer), **found.quality.options},
            inputs={"traces": traces, "verdicts": verdicts},
            local=found.quality.local,
            rows=rows,
            model=scorer.MODEL,
            work=f"quality {recipe.quality.key} {found.quality.options.get('model_content', '')}".strip(),
        )
    if "tokens" in wanted:
        signals["tokens"] = builder.add(
            "tokens",
            label=label,
            options={"student": student.content_id},
            inputs={"traces": traces},
            local=here,
            rows=rows,
        )
    if "difficulty" in wanted:
        signals["difficulty"] = builder.add(
            "difficulty",
            label=label,
            options={"student": student_options(recipe.student, student), **dataclasses.asdict(recipe.difficulty)},
            inputs={"traces": traces},
            local=here,
            rows=rows,
            work=f"difficulty {student.content_id}",
        )
    if "skills" in wanted:
        signals["skills"] = _skills(builder, recipe, found, traces, label, rows)
    return Part(traces, verdicts, signals)


def _skills(
    builder: Builder, recipe: Recipe, found: lookup.Found, traces: Stage, label: str, rows: int | None
) -> Stage:
    settings = recipe.skills
    options: dict[str, Any] = {"tree": found.tree, "by": settings.by, "version": labels.VERSION}
    local: dict[str, Any] = {"tree": settings.tree}
    model = False
    if settings.by == "teacher" and found.skills_teacher is not None:
        teacher = found.skills_teacher
        module = importlib.import_module(f"distill_app.teachers.{teacher.choice.key}")
        model = module.MODEL
        options |= {
            "fan_out": settings.fan_out,
            "seed": settings.seed,
            "teacher": {"backend": teacher.choice.key, "version": version(module), **teacher.options},
            "version": attribution.VERSION,
        }
        local["teacher"] = teacher.local
    return builder.add(
        "skills",
        label=label,
        options=options,
        inputs={"traces": traces},
        local=local,
        rows=rows,
        model=model,
        work=f"skills {settings.by}",
    )


def by_role(parts: Sequence[Part]) -> dict[str, tuple[Stage, ...]]:
    roles = {
        "traces": [part.traces for part in parts],
        "verdicts": [part.verdicts for part in parts],
    }
    for part in parts:
        for role, stage in part.signals.items():
            roles.setdefault(role, []).append(stage)
    return {role: tuple(stages) for role, stages in roles.items()}
