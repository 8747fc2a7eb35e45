"""A band of the candidates by length in tokens [inferred]: the longest, the shortest, or the middle.

The middle band, by distance of a row's rank from the median's, is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from distill_app.selectors import Candidates, CommonOptions, Ranking, seeded_keys, signal
from distill_app.selectors._normalise import by_band

VERSION = 1
LABEL = "Length"
NEEDS: frozenset[str] = frozenset({"tokens"})
DYNAMIC = False
"""The length of a trace does not change while the student learns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(CommonOptions):
    band: Literal["longest", "middle", "shortest"]


def rank(pool: Candidates, options: Options, seed: int) -> Ranking:
    """Candidates from the longest, the shortest, or the median outwards; equals by `seeds.derive(seed, id)`."""
    import numpy as np

    tokens = signal(pool, "tokens")
    band = {"longest": "high", "middle": "middle", "shortest": "low"}[options.band]
    shown = tokens.tolist()
    return Ranking(
        by_band(tokens, band, seeded_keys(pool.ids, seed)),
        tokens,
        lambda row: f"{shown[row]:.0f} tokens",
        facts={"median_tokens": float(np.median(tokens))},
    )
