"""From a resolved recipe to the graph of stages that carries it out. Loads no model and imports no torch."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_app.errors import Fault, RecipeError
from distill_app.plan import lookup
from distill_app.plan.fingerprint import fingerprint, of_plan
from distill_app.plan.lookup import Teacher
from distill_app.problems import sources
from distill_app.recipe.model import Choice, ProblemSource, Recipe, Student
from distill_app.recipe.model import build as typed
from distill_app.recipe.resolve import Arm
from distill_app.skills import attribution, labels
from distill_app.skills import build as build_skills
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


class _Builder:
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


def build(arm: Arm) -> Plan:
    """The plan of one arm.

    Raises `RecipeError` at the recipe's own line for a model or data set that cannot be found.
    """
    recipe = arm.recipe
    builder = _Builder()
    found = lookup.everything(arm)
    student = found.student

    problems = _pool_problems(builder, recipe, found)
    parts = [
        _pool_part(builder, recipe, found, problems, teacher, augmentation)
        for teacher in found.teachers
        for augmentation in recipe.augmentation
    ]
    select = _select(builder, recipe, found, problems, parts)
    train = builder.add(
        "train",
        options={
            "training": _training_options(recipe, found),
            "epochs": recipe.epochs,
            "seed": recipe.seed,
            "student": _student_options(recipe.student, student),
        },
        inputs={"selection": select},
        local={
            "model": recipe.student.model,
            "revision": recipe.student.revision,
            "labels": recipe.training.skills.labels if recipe.training.skills else None,
        },
        rows=select.rows,
        work=f"train {student.content_id} x{recipe.epochs}",
    )
    outcomes: dict[str, list[Stage]] = {
        role: [] for role in ("problems", "base", "base_verdicts", "trained", "trained_verdicts")
    }
    for benchmark, content in zip(recipe.evaluation.benchmarks, found.benchmarks, strict=True):
        asked = builder.add(
            "problems",
            label=benchmark.name,
            options={**_source_options(benchmark, content), "check_golds": True},
            local={"dataset": benchmark.dataset},
            rows=sources.rows_at_most(benchmark),
        )
        outcomes["problems"].append(asked)
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
    builder.add(
        "report",
        options={
            "recipe": recipe.name,
            "description": recipe.description,
            "label": arm.label,
            "student": recipe.student.model,
            "teachers": [{"name": choice.name, "backend": choice.key} for choice in recipe.teacher],
            "augmentations": [choice.name for choice in recipe.augmentation],
            "quality": recipe.quality.key,
            "selector": {"name": recipe.selector.key, **recipe.selector.options},
            "keep": dataclasses.asdict(recipe.pool.keep),
            "seed": recipe.seed,
            "epochs": recipe.epochs,
            "training": _training_options(recipe, found),
            "evaluation": {
                **{
                    key: getattr(recipe.evaluation, key)
                    for key in ("samples", "k", "temperature", "top_p", "max_tokens", "seed")
                },
                "benchmarks": [benchmark.name for benchmark in recipe.evaluation.benchmarks],
            },
        },
        inputs={
            **_by_role(parts),
            "selection": select,
            "train": train,
            **outcomes,
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
    builder = _Builder()
    found = lookup.everything(arm)
    teacher = lookup.teacher(recipe.skills.teacher)
    module = importlib.import_module(f"distill_app.teachers.{teacher.choice.key}")
    problems = _pool_problems(builder, recipe, found)
    builder.add(
        "skill_tree",
        options={
            "version": build_skills.VERSION,
            "name": name,
            "leaf_items": leaf_items,
            "seed": recipe.skills.seed,
            "embedding": lookup.embedding(recipe.skills.embedding),
            "teacher": {"backend": teacher.choice.key, "version": _version(module), **teacher.options},
        },
        inputs={"problems": problems},
        local={"teacher": teacher.local, "embedding": recipe.skills.embedding},
        rows=problems.rows,
    )
    return Plan(arm, tuple(builder.stages))


def _pool_problems(builder: _Builder, recipe: Recipe, found: lookup.Found) -> Stage:
    return builder.add(
        "problems",
        label="pool",
        options={**_source_options(recipe.pool.problems, found.pool), "check_golds": False},
        local={"dataset": recipe.pool.problems.dataset},
        rows=sources.rows_at_most(recipe.pool.problems),
    )


def needs(recipe: Recipe) -> frozenset[str]:
    """What has to be known of the rows: what the selector reads, and what other parts of the recipe ask for."""
    module = _family("selectors", recipe.selector)
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
class _Part:
    """The stages of one teacher with one augmentation, by role."""

    traces: Stage
    verdicts: Stage
    signals: Mapping[str, Stage]


def _pool_part(
    builder: _Builder,
    recipe: Recipe,
    found: lookup.Found,
    problems: Stage,
    teacher: Teacher,
    augmentation: Choice,
) -> _Part:
    choice, options = teacher.choice, teacher.options
    module = importlib.import_module(f"distill_app.teachers.{choice.key}")
    each = augmentation.options.get("samples", recipe.pool.samples)
    rows = problems.rows * each if problems.rows else None
    label = f"{choice.name}/{augmentation.name}"
    traces = builder.add(
        "generate",
        label=label,
        options={
            "teacher": {"name": choice.name, "backend": choice.key, "version": _version(module), **options},
            "augmentation": {
                "name": augmentation.key,
                "version": _version(_family("augmentations", augmentation)),
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
        scorer = _family("quality", recipe.quality)
        signals["quality"] = builder.add(
            "quality",
            label=label,
            options={"scorer": recipe.quality.key, "version": _version(scorer), **found.quality.options},
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
            options={"student": _student_options(recipe.student, student), **dataclasses.asdict(recipe.difficulty)},
            inputs={"traces": traces},
            local=here,
            rows=rows,
            work=f"difficulty {student.content_id}",
        )
    if "skills" in wanted:
        signals["skills"] = _skills(builder, recipe, found, traces, label, rows)
    return _Part(traces, verdicts, signals)


def _skills(
    builder: _Builder, recipe: Recipe, found: lookup.Found, traces: Stage, label: str, rows: int | None
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
            "teacher": {"backend": teacher.choice.key, "version": _version(module), **teacher.options},
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


def _select(builder: _Builder, recipe: Recipe, found: lookup.Found, problems: Stage, parts: Sequence[_Part]) -> Stage:
    total = None
    if all(part.traces.rows for part in parts):
        total = sum(part.traces.rows or 0 for part in parts)
    top = recipe.selector.options.get("top")
    rows = top if isinstance(top, int) else None
    if isinstance(top, str) and total:
        rows = int(total * float(top.rstrip("%")) / 100)
    wanted = needs(recipe)
    keep = dataclasses.asdict(recipe.pool.keep)
    inputs: dict[str, Stage | Sequence[Stage]] = {**_by_role(parts)}
    settings = recipe.capability
    if "placement" in wanted:
        inputs["placement"] = builder.add(
            "placement",
            options={
                "keep": keep,
                "placement": {"rows": settings.rows, "from_top": settings.from_top, "seed": settings.seed},
            },
            inputs={role: inputs[role] for role in ("traces", "verdicts", "quality", "tokens") if role in inputs},
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
            "version": _version(_family("selectors", recipe.selector)),
            "selector_options": dict(recipe.selector.options),
            "keep": keep,
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
    builder: _Builder, recipe: Recipe, found: lookup.Found, problems: Stage, parts: Sequence[_Part]
) -> dict[str, Stage | Sequence[Stage]]:
    settings = recipe.skills
    some = settings.per_skill is not None
    inputs: dict[str, Stage | Sequence[Stage]] = {"problems": problems}
    if some:
        inputs |= {role: stages for role, stages in _by_role(parts).items() if role in ("traces", "skills")}
    rows = problems.rows * settings.samples if problems.rows and not some else None
    answers = builder.add(
        "pool_answers",
        options={
            "student": _student_options(recipe.student, found.student),
            **{
                key: getattr(settings, key)
                for key in ("samples", "per_skill", "temperature", "top_p", "max_tokens", "seed")
            },
        },
        inputs=inputs,
        local={"model": recipe.student.model, "revision": recipe.student.revision},
        rows=rows,
        work=f"evaluate base {found.student.content_id}",
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


def _by_role(parts: Sequence[_Part]) -> dict[str, tuple[Stage, ...]]:
    roles = {
        "traces": [part.traces for part in parts],
        "verdicts": [part.verdicts for part in parts],
    }
    for part in parts:
        for role, stage in part.signals.items():
            roles.setdefault(role, []).append(stage)
    return {role: tuple(stages) for role, stages in roles.items()}


def _evaluate(
    builder: _Builder,
    recipe: Recipe,
    student: Located,
    asked: Stage,
    role: str,
    benchmark: str,
    adapter: Stage | None,
) -> Stage:
    evaluation = recipe.evaluation
    inputs: dict[str, Stage] = {"problems": asked}
    if adapter:
        inputs["adapter"] = adapter
    return builder.add(
        "evaluate",
        label=f"{role} {benchmark}",
        options={
            "student": _student_options(recipe.student, student),
            "samples": evaluation.samples,
            "temperature": evaluation.temperature,
            "top_p": evaluation.top_p,
            "max_tokens": evaluation.max_tokens,
            "seed": evaluation.seed,
        },
        inputs=inputs,
        local={"model": recipe.student.model, "revision": recipe.student.revision},
        rows=asked.rows * evaluation.samples if asked.rows else None,
        work=f"evaluate {role} {student.content_id}",
    )


def _student_options(student: Student, located: Located) -> dict[str, Any]:
    """What of the student changes an output: its content, number type and prompt; not what it is called."""
    return {
        "content": located.content_id,
        "dtype": student.dtype,
        "system_prompt": student.system_prompt,
        "prompt": student.prompt,
    }


def _training_options(recipe: Recipe, found: lookup.Found) -> dict[str, Any]:
    """The recipe's training, the skill prefix with the content of its labels and not their path."""
    options = dataclasses.asdict(recipe.training)
    if options["skills"] is not None:
        options["skills"]["labels"] = found.labels
    return options


def _source_options(source: ProblemSource, content: str | None) -> dict[str, Any]:
    options = dataclasses.asdict(source)
    options.pop("name", None)
    options["dataset"] = source.dataset if _is_named(source.dataset) else source.dataset.partition(":")[0]
    return {**options, "content": content}


def _is_named(dataset: str) -> bool:
    """Whether the data set is told by its name (built in, or on a hub) and not by a path on this machine."""
    return not dataset.startswith(("jsonl:", "parquet:"))


def _family(folder: str, choice: Choice) -> Any:
    return importlib.import_module(f"distill_app.{folder}.{choice.key}")


def _version(module: Any) -> int:
    version: int = module.VERSION
    return version
