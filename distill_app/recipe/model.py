"""A resolved recipe as typed, frozen values: every default filled in, every path absolute.

These classes mirror `schemas/recipe.schema.json` field by field (a test compares them) and hold no default of
their own: the schema is the only home of defaults. The options of a selector, teacher, augmentation or quality
scorer are typed by the `Options` class in the module of its name.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemFields:
    id: str | None
    question: str
    answer: str
    solution: str | None
    choices: str | None
    labels: str | None
    cluster: str | None
    tolerance: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemSource:
    dataset: str
    config: str | None
    split: str
    revision: str | None
    fields: ProblemFields
    answer_after: str | None
    kind: Literal["auto", "number", "integer", "choice", "yes_no"]
    where: Mapping[str, Any]
    limit: int | None
    bad_rows: Literal["stop", "skip"]
    families: tuple[str, ...] | None
    mix: Mapping[str, float]
    difficulty: Literal["small", "medium", "large"]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark(ProblemSource):
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Student:
    model: str
    revision: str | None
    dtype: Literal["auto", "bfloat16", "float32"]
    system_prompt: str | None
    prompt: str
    thinking: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A selector, teacher, augmentation or quality scorer: the file it names, and its resolved options."""

    key: str
    """The noun that names the file: "quality" in `selector: {name: quality}`."""
    name: str
    """What tables call it: a teacher's own name, else the key."""
    options: Mapping[str, Any]
    weight: float | None
    """Of a teacher: its share of the pool against those of the others with a weight."""
    limit: int | None
    """Of a teacher: the most problems it is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    correct: bool
    max_tokens: int | None
    min_tokens: int | None
    finished: bool
    think: Literal["any", "required", "forbidden"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deduplicate:
    exact: bool
    near: float | None
    ngram: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decontaminate:
    ngram: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    problems: ProblemSource
    samples: int
    seed: int
    keep: Keep
    deduplicate: Deduplicate
    decontaminate: Decontaminate


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How difficulty is scored: the recipe's `difficulty`."""

    max_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    mode: Literal["anchors", "population", "fixed"]
    definition: Literal["mean_inverse_cppl", "minus_mean_ln_cppl", "inverse_mean_cppl"]
    low: float
    high: float
    value: float | None
    table: str | None
    rows: int | str | None
    from_top: str
    seed: int
    hold_out: Literal["needed", "always"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skills:
    tree: str
    by: Literal["labels", "teacher"]
    teacher: Choice | None
    fan_out: int
    samples: int
    per_skill: int | None
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    embedding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillPrefix:
    """Skill-aware fine-tuning: how a row's chains are written at the start of its target."""

    depth: int | None
    drop_short: bool
    place: Literal["before", "inside_think"]
    labels: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    rank: int
    alpha: float
    dropout: float
    target_modules: str | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    lora: Lora
    learning_rate: float
    batch_size: int
    schedule: Literal["cosine", "linear", "constant"]
    warmup: float
    weight_decay: float
    max_grad_norm: float
    max_length: int
    group_by_length: bool
    skills: SkillPrefix | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The check of adapter against merged weights and vllm: the recipe's `evaluation.agreement`."""

    prompts: int
    tokens: int
    least: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    benchmarks: tuple[Benchmark, ...]
    samples: int
    k: tuple[int, ...]
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    backend: Literal["transformers", "vllm"]
    adapter: Literal["auto", "lora", "merged"]
    agreement: Agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class Vllm:
    tensor_parallel: int
    data_parallel: int
    gpu_memory: float
    kv_cache_gib: int
    max_num_seqs: int | None
    eager: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    engine: Literal["local"]
    device: Literal["auto", "cpu", "cuda"]
    threads: int | None
    sample_rows: int
    score_tokens: int
    train_rows: int | None
    gradient_checkpointing: bool | None
    checkpoint_steps: int
    checkpoint_minutes: float
    grade_workers: int | None
    grade_seconds: float
    vllm: Vllm


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One arm: a recipe with its `extends`, `--set` and `matrix` worked in and every value explicit."""

    version: int
    name: str
    description: str
    tags: tuple[str, ...]
    seed: int
    student: Student
    teacher: tuple[Choice, ...]
    pool: Pool
    augmentation: tuple[Choice, ...]
    quality: Choice
    difficulty: Scoring
    capability: Capability
    skills: Skills
    selector: Choice
    epochs: int
    training: Training
    evaluation: Evaluation
    runtime: Runtime


def build(kind: type[T], value: Mapping[str, Any]) -> T:
    """An instance of the dataclass `kind` from plain data that has passed the schema.

    Lists become tuples and nested maps nested dataclasses. A missing or extra key is a programming error
    (`TypeError`): the schema fills the one and refuses the other.
    """
    hints = _hints(typing.cast("Hashable", kind))
    extra = set(value) - {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if extra:
        raise TypeError(f"{kind.__name__} has no field {sorted(extra)}")
    return kind(**{key: convert(hints[key], item) for key, item in value.items()})


@lru_cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def convert(hint: Any, value: Any) -> Any:
    """Plain data as what a field of type `hint` holds."""
    if value is None:
        return None
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        if isinstance(value, list):
            options = [option for option in options if typing.get_origin(option) is tuple] or options
        return convert(options[0], value) if len(options) == 1 else value
    if origin is tuple:
        item = typing.get_args(hint)[0]
        return tuple(convert(item, entry) for entry in value)
    if is_dataclass(hint) and isinstance(value, Mapping):
        return build(typing.cast("type[Any]", hint), value)
    if hint is float and isinstance(value, int):
        return float(value)
    return value
