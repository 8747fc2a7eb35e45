"""Selectors: which candidates the student learns from. A name in a recipe is the module of that name here.

Each module holds

- `NEEDS`: the signals it reads (names of stages that make them), a frozenset;
- `VERSION`: raised when the same options would now give another output;
- `Options`: a frozen dataclass that mirrors `schemas/selectors/<name>.json` without `name`;
- `rank(pool: Candidates, options: Options, seed: int) -> Ranking`: an order over all candidates. It loads no model,
  reads no file, and depends on the rows' content alone, never on their order.

`_top.keep` then cuts the ranking and writes the decision on every row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distill_app.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The rows to choose from, as columns of one length: ids (unique), the problem of each, and its signals."""

    ids: Sequence[str]
    problem_ids: Sequence[str]
    signals: Mapping[str, Floats]

    def __post_init__(self) -> None:
        lengths = {len(self.ids), len(self.problem_ids), *(len(column) for column in self.signals.values())}
        if len(lengths) != 1:
            raise ValueError(f"columns of different lengths: {sorted(lengths)}")
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("candidate ids are not unique")


@dataclass(frozen=True, slots=True)
class Ranking:
    """All candidates in order.

    `order` holds positions in the pool, best first, each once; `scores` one score a position of the pool (what the
    order is made from; NaN where a selector has none); `explain(position)` says in a few words why the row stands
    where it does.
    """

    order: Ints
    scores: Floats
    explain: Callable[[int], str]


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


__all__ = ["Candidates", "Ranking", "seeded_keys", "signal"]
