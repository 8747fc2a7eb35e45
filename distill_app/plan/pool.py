"""The part of a plan that makes the pool: traces of every teacher and augmentation, and what is known of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_app.plan import lookup
from distill_app.plan.lookup import Teacher, identity
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
    if recipe.pool.keep.max_tokens is not None or recipe.pool.keep.min_tokens is not None:
        found.add("tokens")
    return frozenset(found)


def augmentations_of(teacher: Teacher, recipe: Recipe) -> tuple[Choice, ...]:
    """What this teacher is asked for: the recipe's augmentations, or its traces as they are if written already."""
    return (AS_WRITTEN,) if family("teachers", teacher.choice).FOLLOWS == "nothing" else recipe.augmentation


AS_WRITTEN = Choice(key="_as_written", name="as_written", options={}, weight=None, limit=None)


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
    module = family("teachers", choice)
    each = augmentation.options.get("samples", recipe.pool.samples)
    asked = min(problems.rows, choice.limit or problems.rows) if problems.rows else None
    made = family("augmentations", augmentation)
    rows = asked * each * made.ROWS if asked else None
    label = f"{choice.name}/{augmentation.name}"
    graded = {"limit_seconds": recipe.runtime.grade_seconds} if made.ASKS == "instructions" else {}
    traces = builder.add(
        "generate",
        label=label,
        options={
            "teacher": {"name": choice.name, **identity(teacher), "limit": choice.limit},
            "augmentation": {
                "name": augmentation.key.removeprefix("_"),
                "version": version(made),
                **augmentation.options,
                **graded,
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
        model = family("teachers", teacher.choice).MODEL
        options |= {
            "fan_out": settings.fan_out,
            "seed": settings.seed,
            "teacher": identity(teacher),
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


def hygiene(builder: Builder, recipe: Recipe, parts: Sequence[Part], benchmarks: Sequence[Stage]) -> Stage:
    """What of the pool is no candidate, and why: by the recipe's `keep`, duplicates, benchmarks and weights.

    Its `rows` in the plan are the rows it goes through.
    """
    rows = [part.traces.rows for part in parts]
    inputs = {role: stages for role, stages in by_role(parts).items() if role in ("traces", "verdicts", "tokens")}
    checked = recipe.pool.decontaminate.ngram is not None
    return builder.add(
        "hygiene",
        options={
            "keep": dataclasses.asdict(recipe.pool.keep),
            "deduplicate": dataclasses.asdict(recipe.pool.deduplicate),
            "decontaminate": dataclasses.asdict(recipe.pool.decontaminate),
            "weights": {choice.name: choice.weight for choice in recipe.teacher},
            "seed": recipe.pool.seed,
            "benchmarks": [each.name for each in recipe.evaluation.benchmarks] if checked else [],
        },
        inputs={**inputs, **({"benchmarks": tuple(benchmarks)} if checked else {})},
        rows=None if None in rows else sum(row or 0 for row in rows),
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
