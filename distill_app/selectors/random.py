"""A uniform draw without replacement: the baseline every other selector must beat.

Selecting again draws afresh before each epoch: the fair control of any dynamic selector, known as RS2 (ICLR 2024)
[secondary source]. The first epoch's draw is that of the static arm.
"""

from __future__ import annotations

from dataclasses import dataclass

from distill_app.seeds import derive
from distill_app.selectors import Candidates, CommonOptions, Ranking, seeded_keys

VERSION = 1
LABEL = "Random"
NEEDS: frozenset[str] = frozenset()
DYNAMIC = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(CommonOptions):
    every: int


def rank(pool: Candidates, options: Options, seed: int) -> Ranking:  # noqa: ARG001
    """Candidates in the order of `seeds.derive(seed, id)`; the score is that draw as a share, the lowest first.

    From the second epoch on the seed is `seeds.derive(seed, "epoch", epoch)`.
    """
    import numpy as np

    keys = seeded_keys(pool.ids, derive(seed, "epoch", pool.epoch) if pool.epoch else seed)
    draws = keys / 2.0**63
    shown = draws.tolist()
    return Ranking(np.argsort(keys, kind="stable"), draws, lambda position: f"drew {shown[position]:.4f}")
