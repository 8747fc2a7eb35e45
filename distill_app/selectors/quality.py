"""The candidates of highest quality [paper, DMC: its baseline]; equals drawn from the seed and the row's id."""

from __future__ import annotations

from dataclasses import dataclass

from distill_app.selectors import Candidates, CommonOptions, Ranking, seeded_keys, signal

VERSION = 1
LABEL = "Quality"
NEEDS: frozenset[str] = frozenset({"quality"})
DYNAMIC = False
"""Quality depends on the trace alone: the student's learning does not change it [paper, DMC]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(CommonOptions):
    """Nothing of its own."""


def rank(pool: Candidates, options: Options, seed: int) -> Ranking:  # noqa: ARG001
    """Candidates by falling quality, ties by `seeds.derive(seed, id)`: never by the order of the rows.

    The explanation tells how many rows share the score, so that a ranking that is a draw in truth shows as one.
    """
    import numpy as np

    quality = signal(pool, "quality")
    order = np.lexsort((seeded_keys(pool.ids, seed), -quality))
    _, place, sizes = np.unique(quality, return_inverse=True, return_counts=True)
    # Plain lists: explain is asked for every row, and a number out of an array costs ten out of a list.
    shared, shown = sizes[place].tolist(), quality.tolist()

    def explain(position: int) -> str:
        tied = shared[position]
        tie = "" if tied == 1 else f", shared by {tied} of {len(shown)} rows and so drawn among them by seed"
        return f"quality {shown[position]:.4f}{tie}"

    return Ranking(order, quality, explain)
