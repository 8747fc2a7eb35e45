"""The part of a plan that selects: the placement test, the student's answers to the pool, the selector itself."""

from __future__ import annotations

from collections.abc import Sequence

from distill_app.plan import lookup
from distill_app.plan.pool import Part, by_role, needs
from distill_app.plan.stage import Builder, Stage, family, student_options, version
from distill_app.recipe.model import Recipe


def select(
    builder: Builder,
    recipe: Recipe,
    found: lookup.Found,
    problems: Stage,
    parts: Sequence[Part],
    clean: Stage,
) -> Stage:
    total = clean.rows
    top = recipe.selector.options.get("top")
    rows = top if isinstance(top, int) else None
    if isinstance(top, str) and total:
        rows = int(total * float(top.rstrip("%")) / 100)
    wanted = needs(recipe)
    inputs: dict[str, Stage | Sequence[Stage]] = {**by_role(parts), "hygiene": clean}
    settings = recipe.capability
    if "placement" in wanted:
        inputs["placement"] = builder.add(
            "placement",
            options={"placement": {"rows": settings.rows, "from_top": settings.from_top, "seed": settings.seed}},
            inputs={role: inputs[role] for role in ("traces", "hygiene", "quality") if role in inputs},
            rows=settings.rows if isinstance(settings.rows, int) else total and min(100, max(1, total // 50)),
        )
    if "answers" in wanted:
        inputs |= _pool_answers(builder, recipe, found, problems, parts)
    capability = None
    if "capability" in wanted:
        capability = {key: getattr(settings, key) for key in ("mode", "definition", "low", "high", "value")}
        capability["table"] = found.table
    dynamic = bool(recipe.selector.options.get("dynamic"))
    return builder.add(
        "select",
        options={
            "selector": recipe.selector.key,
            "version": version(family("selectors", recipe.selector)),
            "selector_options": dict(recipe.selector.options),
            "seed": recipe.seed,
            "capability": capability,
            "dynamic": dynamic,
            "epochs": recipe.epochs if dynamic else None,
            "max_tokens": recipe.difficulty.max_tokens if dynamic else None,
            "pool": found.pool,
        },
        inputs=inputs,
        local={"table": settings.table, "student": recipe.student.model},
        rows=rows,
    )


def _pool_answers(
    builder: Builder, recipe: Recipe, found: lookup.Found, problems: Stage, parts: Sequence[Part]
) -> dict[str, Stage | Sequence[Stage]]:
    settings = recipe.skills
    some = settings.per_skill is not None
    inputs: dict[str, Stage | Sequence[Stage]] = {"problems": problems}
    if some:
        inputs |= {role: stages for role, stages in by_role(parts).items() if role in ("traces", "skills")}
    rows = problems.rows * settings.samples if problems.rows and not some else None
    answers = builder.add(
        "pool_answers",
        options={
            "student": student_options(recipe.student, found.student),
            "backend": recipe.evaluation.backend,
            **{
                key: getattr(settings, key)
                for key in ("samples", "per_skill", "temperature", "top_p", "max_tokens", "seed")
            },
        },
        inputs=inputs,
        local={"model": recipe.student.model, "revision": recipe.student.revision},
        rows=rows,
        work=f"evaluate base {recipe.evaluation.backend} {found.student.content_id}",
    )
    verdicts = builder.add(
        "grade",
        label="pool answers",
        options={"limit_seconds": recipe.runtime.grade_seconds},
        inputs={"rows": answers},
        rows=rows,
        work="grade",
    )
    return {"answers": answers, "answers_verdicts": verdicts}
