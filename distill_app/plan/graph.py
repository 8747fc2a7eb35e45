"""From a resolved recipe to the graph of stages that carries it out. Loads no model and imports no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from distill_app.errors import Fault, RecipeError
from distill_app.plan import lookup, pool
from distill_app.plan.pool import by_role
from distill_app.plan.selection import select
from distill_app.plan.stage import Builder, Plan, Stage, source_options, student_options
from distill_app.problems import sources
from distill_app.recipe.model import Recipe
from distill_app.recipe.resolve import Arm
from distill_app.skills import build as build_skills
from distill_app.students import adapter_limits
from distill_app.students.locate import Located, public_name


def build(arm: Arm) -> Plan:
    """The plan of one arm.

    Raises `RecipeError` at the recipe's own line for a model or data set that cannot be found.
    """
    recipe = arm.recipe
    builder = Builder()
    found = lookup.everything(arm)
    student = found.student

    problems = pool.problems_of(builder, recipe, found)
    benchmarks = [
        builder.add(
            "problems",
            label=benchmark.name,
            options={**source_options(benchmark, content), "check_golds": True},
            local={"dataset": benchmark.dataset, "benchmark": benchmark.name},
            rows=sources.rows_at_most(benchmark),
        )
        for benchmark, content in zip(recipe.evaluation.benchmarks, found.benchmarks, strict=True)
    ]
    parts = [
        pool.part_of(builder, recipe, found, problems, teacher, augmentation)
        for teacher in found.teachers
        for augmentation in pool.augmentations_of(teacher, recipe)
    ]
    clean = pool.hygiene(builder, recipe, parts, benchmarks)
    selected = select(builder, recipe, found, problems, parts, clean)
    train = builder.add(
        "train",
        options={
            "training": _training_options(recipe, found),
            "epochs": recipe.epochs,
            "seed": recipe.seed,
            "student": student_options(recipe.student, student),
        },
        inputs={"selection": selected},
        local={
            "model": recipe.student.model,
            "revision": recipe.student.revision,
            "labels": recipe.training.skills.labels if recipe.training.skills else None,
        },
        rows=selected.rows,
        work=f"train {student.content_id} x{recipe.epochs}",
    )
    outcomes: dict[str, list[Stage]] = {role: [] for role in ("base", "base_verdicts", "trained", "trained_verdicts")}
    for benchmark, asked in zip(recipe.evaluation.benchmarks, benchmarks, strict=True):
        for role, adapter in (("base", None), ("trained", train)):
            answered = _evaluate(builder, recipe, student, asked, role, benchmark.name, adapter)
            outcomes[role].append(answered)
            outcomes[f"{role}_verdicts"].append(
                builder.add(
                    "grade",
                    label=f"{role} {benchmark.name}",
                    options={"limit_seconds": recipe.runtime.grade_seconds},
                    inputs={"rows": answered},
                    rows=answered.rows,
                    work="grade",
                )
            )
    agreement = _agreement(builder, recipe, student, benchmarks, train)
    builder.add(
        "report",
        options={
            "recipe": recipe.name,
            "description": recipe.description,
            "label": arm.label,
            "student": public_name(recipe.student.model),
            "teachers": [
                {"name": choice.name, "backend": choice.key, "weight": choice.weight, "limit": choice.limit}
                for choice in recipe.teacher
            ],
            "augmentations": [choice.name for choice in recipe.augmentation],
            "quality": recipe.quality.key,
            "selector": {"name": recipe.selector.key, **recipe.selector.options},
            "pool": {
                key: dataclasses.asdict(getattr(recipe.pool, key)) for key in ("keep", "deduplicate", "decontaminate")
            },
            "seed": recipe.seed,
            "epochs": recipe.epochs,
            "training": _training_options(recipe, found),
            "evaluation": {
                **{
                    key: getattr(recipe.evaluation, key)
                    for key in ("backend", "samples", "k", "temperature", "top_p", "max_tokens", "seed")
                },
                "adapter": adapter_way(recipe),
                **{key: getattr(recipe.student, key) for key in ("system_prompt", "prompt", "thinking")},
                "benchmarks": [benchmark.name for benchmark in recipe.evaluation.benchmarks],
            },
        },
        inputs={
            **by_role(parts),
            "hygiene": clean,
            "selection": selected,
            "train": train,
            "problems": benchmarks,
            **outcomes,
            **({"agreement": agreement} if agreement else {}),
        },
    )
    return Plan(arm, tuple(builder.stages))


def skill_tree(arm: Arm, name: str, leaf_items: int) -> Plan:
    """The plan of `distill-app skills build`: the pool's problems, and a tree made from them by `skills.teacher`.

    `name` is the root's; a cluster of at most `leaf_items` problems is not split. Raises `RecipeError` where the
    recipe names no teacher for it, or what it names cannot be found.
    """
    recipe = arm.recipe
    if recipe.skills.teacher is None:
        at = ("skills", "teacher")
        message = "building a tree asks a teacher for phrases and names, and skills.teacher names none."
        raise RecipeError([Fault(arm.where(at), ".".join(at), message, "Add one: a map like an entry of `teacher`.")])
    builder = Builder()
    found = lookup.everything(arm)
    teacher = lookup.teacher(recipe.skills.teacher)
    problems = pool.problems_of(builder, recipe, found)
    builder.add(
        "skill_tree",
        options={
            "version": build_skills.VERSION,
            "name": name,
            "leaf_items": leaf_items,
            "seed": recipe.skills.seed,
            "embedding": lookup.embedding(recipe.skills.embedding),
            "teacher": lookup.identity(teacher),
        },
        inputs={"problems": problems},
        local={"teacher": teacher.local, "embedding": recipe.skills.embedding},
        rows=problems.rows,
    )
    return Plan(arm, tuple(builder.stages))


def _evaluate(
    builder: Builder,
    recipe: Recipe,
    student: Located,
    asked: Stage,
    role: str,
    benchmark: str,
    adapter: Stage | None,
) -> Stage:
    evaluation = recipe.evaluation
    inputs: dict[str, Stage] = {"problems": asked}
    way = None
    if adapter:
        inputs["adapter"] = adapter
        way = adapter_way(recipe)
    return builder.add(
        "evaluate",
        label=f"{role} {benchmark}" + (", merged weights" if way == "merged" else ""),
        options={
            "backend": evaluation.backend,
            "adapter": way,
            "student": student_options(recipe.student, student),
            "samples": evaluation.samples,
            "temperature": evaluation.temperature,
            "top_p": evaluation.top_p,
            "max_tokens": evaluation.max_tokens,
            "seed": evaluation.seed,
        },
        inputs=inputs,
        local={"model": recipe.student.model, "revision": recipe.student.revision},
        rows=asked.rows * evaluation.samples if asked.rows else None,
        work=f"evaluate {role} {evaluation.backend} {student.content_id}",
    )


def adapter_way(recipe: Recipe) -> str:
    """How the trained student is put together: `lora` (the adapter beside the weights) or `merged`.

    vllm merges where the recipe says so, and under `auto` where its engine cannot hold such an adapter.
    """
    evaluation, lora = recipe.evaluation, recipe.training.lora
    if evaluation.backend == "vllm" and evaluation.adapter == "auto":
        return "lora" if adapter_limits.trouble(lora.rank, lora.target_modules) is None else "merged"
    return "merged" if evaluation.backend == "vllm" and evaluation.adapter == "merged" else "lora"


def _agreement(
    builder: Builder, recipe: Recipe, student: Located, benchmarks: Sequence[Stage], train: Stage
) -> Stage | None:
    """The check of the trained student through vllm against transformers; None where it has no place."""
    settings = recipe.evaluation.agreement
    if recipe.evaluation.backend != "vllm" or not settings.prompts:
        return None
    return builder.add(
        "agreement",
        options={
            "student": student_options(recipe.student, student),
            "adapter": adapter_way(recipe),
            **dataclasses.asdict(settings),
        },
        inputs={"problems": tuple(benchmarks), "adapter": train},
        local={"model": recipe.student.model, "revision": recipe.student.revision},
        rows=settings.prompts,
        work=f"agreement {student.content_id}",
    )


def _training_options(recipe: Recipe, found: lookup.Found) -> dict[str, Any]:
    """The recipe's training, the skill prefix with the content of its labels and not their path."""
    options = dataclasses.asdict(recipe.training)
    if options["skills"] is not None:
        options["skills"]["labels"] = found.labels
    return options
