"""Skills of rows as arrays: which leaves there are, which rows need which, how well the student does at each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distill_app.errors import StageError
from distill_app.selectors import Accuracy, Candidates
from distill_app.skills.tree import ARROW

if TYPE_CHECKING:
    from distill_app.selectors import Floats, Ints

Z95 = 1.959963984540054
"""Quantile of the normal distribution for a two-sided 95 % interval."""


@dataclass(frozen=True, slots=True)
class Leaves:
    """`names` in alphabetical order; `sets` the distinct combinations of them (positions in `names`) that rows have.

    `set_of` gives each row its combination, -1 where the row has no leaf; `rows` counts the rows of each leaf.
    """

    names: list[str]
    sets: list[tuple[int, ...]]
    set_of: Ints
    rows: Ints


def chains_of(pool: Candidates) -> Sequence[tuple[str, ...]]:
    """The chains of each row. Raises `StageError` where the candidates have none at all."""
    if not len(pool.skills):
        raise StageError(
            "The selector needs the skills of each row and the candidates have none.",
            "The plan makes what a selector's NEEDS names; check that the module names it.",
        )
    return pool.skills


def cut(chain: str, depth: int | None) -> str:
    """A chain's first `depth` names; the whole chain for None."""
    return chain if depth is None else ARROW.join(chain.split(ARROW)[:depth])


def leaves(pool: Candidates, depth: int | None, left_out: frozenset[str]) -> Leaves:
    """The leaves of chains cut to `depth` names, without those `left_out`. A row has a leaf once, if at all."""
    import numpy as np

    # A pool has far fewer combinations of chains than rows: each is worked out once.
    combinations: dict[tuple[str, ...], int] = {}
    codes = np.fromiter(
        (combinations.setdefault(chains, len(combinations)) for chains in chains_of(pool)), np.int64, len(pool.ids)
    )
    named = [tuple(sorted({cut(chain, depth) for chain in chains} - left_out)) for chains in combinations]
    distinct = sorted(set(named) - {()})
    place = {combination: index for index, combination in enumerate(distinct)} | {(): -1}
    set_of = np.array([place[combination] for combination in named], dtype=np.int64)[codes]
    names = sorted({name for combination in distinct for name in combination})
    where = {name: index for index, name in enumerate(names)}
    sets = [tuple(where[name] for name in combination) for combination in distinct]
    counts = np.bincount(set_of[set_of >= 0], minlength=len(sets))
    rows = np.zeros(len(names), dtype=np.int64)
    for members, number in zip(sets, counts.tolist(), strict=True):
        rows[list(members)] += number
    return Leaves(names, sets, set_of, rows)


def interval(accuracy: Accuracy) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of `answers` answers; (0, 1) where there are none."""
    n = accuracy.answers
    if n == 0:
        return 0.0, 1.0
    share, square = accuracy.right / n, Z95 * Z95
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = Z95 / (1 + square / n) * ((share * (1 - share) + square / (4 * n)) / n) ** 0.5
    return max(0.0, centre - half), min(1.0, centre + half)


def shares(leaf_sets: Leaves, chosen: Sequence[int], values: Floats | None = None) -> Floats:
    """Share of each leaf among the leaves of the rows at positions `chosen`; `values` weighs the leaves instead."""
    import numpy as np

    total = np.zeros(len(leaf_sets.names)) if values is None else values.astype(np.float64)
    if values is None:
        of_set = np.bincount(leaf_sets.set_of[np.asarray(chosen, dtype=np.int64)], minlength=len(leaf_sets.sets))
        for members, number in zip(leaf_sets.sets, of_set.tolist(), strict=True):
            total[list(members)] += number
    return total / max(float(total.sum()), 1e-300)
