"""No augmentation at all: the traces of a teacher whose traces are written already. The plan asks for it, no recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distill_app.augmentations import Grade, Rounds, rows
from distill_app.augmentations._rounds import answered
from distill_app.records import Problem

VERSION = 1
ASKS = "question"
ROWS = 1
PLACEHOLDERS: dict[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """None: there is no prompt."""


def make(
    problems: Sequence[Problem],
    options: Options,  # noqa: ARG001
    *,
    samples: int,
    seed: int,
    teacher: str,
    grade: Grade,  # noqa: ARG001
) -> Rounds:
    """The first `samples` traces of each problem, as they are."""
    todo = rows(problems, samples=samples, seed=seed, teacher=teacher, augmentation="as_written")
    return answered(todo, "{question}")
