"""A uniform draw without replacement: the baseline every other selector must beat."""

from __future__ import annotations

from dataclasses import dataclass

from distill_app.selectors import Candidates, Ranking, seeded_keys

VERSION = 1
NEEDS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    top: str | int
    per_problem: int | None


def rank(pool: Candidates, options: Options, seed: int) -> Ranking:  # noqa: ARG001
    """Candidates in the order of `seeds.derive(seed, id)`; the score is that draw as a share, the lowest first."""
    import numpy as np

    keys = seeded_keys(pool.ids, seed)
    draws = keys / 2.0**63
    shown = draws.tolist()
    return Ranking(np.argsort(keys, kind="stable"), draws, lambda position: f"drew {shown[position]:.4f}")
