"""Selectors: which candidates the student learns from. A name in a recipe is the module of that name here.

Each module holds

- `NEEDS`: what it reads, a frozenset out of `SIGNALS`; where that depends on the options, a function
  `needs(options) -> frozenset[str]` besides, and `NEEDS` is the most it can be;
- `DYNAMIC`: whether selecting again before each epoch can choose other rows;
- `VERSION`: raised when the same options would now give another output;
- `LABEL`: what a person reads;
- `Options`: a frozen dataclass that mirrors `schemas/selectors/<name>.json` without `name`; it extends
  `CommonOptions`, or `RescoredOptions` where the student's scores are made again for dynamic selection;
- `rank(pool: Candidates, options: Options, seed: int) -> Ranking`: an order over all candidates. It loads no model,
  reads no file, and depends on the rows' content alone, never on their order.

`_top.keep` then cuts the ranking and writes the decision on every row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from distill_app.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

SIGNALS: Mapping[str, str] = {
    "quality": "signal `quality`: the scorer's number, as it is",
    "difficulty": "signals `nll` (ln CPPL), `nll_alone` (ln PPL), `rank_sum` and `tokens_scored`, under the student",
    "tokens": "signal `tokens`: length of the trace in tokens of the student",
    "capability": "`Candidates.capability`, by the placement test; its rows are no candidates",
    "skills": "`Candidates.skills`: the chains of each row through the skill tree",
    "answers": "signal `pass_rate` (share of the student's own answers to the row's problem that are right) and, with"
    " `skills`, `Candidates.accuracy`",
    "numbers": "signals `numbers.<column>`: numbers that the data hold about each row",
}
"""What a selector can ask for in its NEEDS, and where it then finds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonOptions:
    """What every selector has."""

    top: int | str
    per_problem: int | None
    unit: Literal["row", "group"]
    dynamic: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoredOptions(CommonOptions):
    """What selectors have that follow the student's scores."""

    candidates: str
    every: int


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How well the student does at one skill: `right` of `answers` sampled answers to problems that need it."""

    right: float
    answers: int


@dataclass(frozen=True, slots=True)
class Candidates:
    """The rows to choose from, as columns of one length: ids (unique), the problem of each, and its signals.

    `groups`, `skills`: per row, or empty where there are none. `accuracy` maps a chain (joined as in `skills`) to the
    student's accuracy at it. `capability` is the student's, in [0, 1]. `reference` holds all candidates as they stood
    before training: normalisations are taken from it, so that they stay what they were while the student learns, and
    so that re-scoring a part of the pool does not change them; null where this is it. `epoch` counts from 0.
    """

    ids: Sequence[str]
    problem_ids: Sequence[str]
    signals: Mapping[str, Floats]
    groups: Sequence[str] = ()
    skills: Sequence[tuple[str, ...]] = ()
    accuracy: Mapping[str, Accuracy] = field(default_factory=dict)
    capability: float | None = None
    reference: Candidates | None = None
    epoch: int = 0
    epochs: int = 1

    def __post_init__(self) -> None:
        columns: list[Any] = [self.ids, self.problem_ids, *self.signals.values()]
        columns += [column for column in (self.groups, self.skills) if len(column)]
        lengths = {len(column) for column in columns}
        if len(lengths) != 1:
            raise ValueError(f"columns of different lengths: {sorted(lengths)}")
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("candidate ids are not unique")


@dataclass(frozen=True, slots=True)
class Ranking:
    """All candidates in order.

    `order` holds positions in the pool, best first, each once; `scores` one score a position of the pool (what the
    order is made from; NaN where a selector has none); `explain(position)` says in a few words why the row stands
    where it does. Rows where `eligible` is false stand last and are never kept; null lets every row be kept. `facts`
    are figures of the whole ranking for the report (plain data), `warnings` sentences for the person watching.
    """

    order: Ints
    scores: Floats
    explain: Callable[[int], str]
    eligible: Bools | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def signal(pool: Candidates, name: str) -> Floats:
    """The signal of each candidate. Raises `StageError` where it is missing, or NaN or infinite in any row."""
    import numpy as np

    if name not in pool.signals:
        raise StageError(
            f"The selector needs the signal {name!r}; the candidates have {', '.join(pool.signals) or 'none'}.",
            "The plan makes what a selector's NEEDS names; check that the module names it.",
        )
    values = np.asarray(pool.signals[name], dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise StageError(
            f"The signal {name!r} is not a number in {len(bad)} of {len(values)} candidates, such as"
            f" {pool.ids[int(bad[0])]!r}.",
            "A row that could not be scored must not be a candidate: look at why its signal is missing.",
        )
    return values


def seeded_keys(ids: Iterable[str], seed: int) -> Ints:
    """One number a row from the seed and its id alone: `seeds.derive(seed, id)`, made fast for a million rows."""
    import numpy as np

    head = hashlib.sha256(f"{seed}\x1f".encode())
    digests = bytearray()
    for name in ids:
        hashed = head.copy()
        hashed.update(name.encode())
        digests += hashed.digest()[:8]
    return (np.frombuffer(bytes(digests), dtype=">u8") >> 1).astype(np.int64)


__all__ = [
    "SIGNALS", "Accuracy", "Candidates", "CommonOptions", "Ranking", "RescoredOptions", "seeded_keys", "signal",
]  # fmt: skip
