"""One prompt a problem: reason step by step, then answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distill_app.augmentations import Grade, Rounds, rows
from distill_app.augmentations._rounds import answered
from distill_app.records import Problem

VERSION = 1
ASKS = "question"
ROWS = 1
PLACEHOLDERS = {"prompt": ("question",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    prompt: str


def make(
    problems: Sequence[Problem],
    options: Options,
    *,
    samples: int,
    seed: int,
    teacher: str,
    grade: Grade,  # noqa: ARG001 - the contract: these answers are graded as candidates of the pool
) -> Rounds:
    """`samples` traces for each problem, at the teacher's own temperature. All that it answered stay."""
    todo = rows(problems, samples=samples, seed=seed, teacher=teacher, augmentation="chain_of_thought")
    return answered(todo, options.prompt)
