"""Which rows make the placement test: drawn from the best by quality, and held out of training for good."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from distill_app import seeds
from distill_app.errors import StageError

PAPER_ROWS = 100
SMALL_SHARE = Fraction(2, 100)
"""Of a pool too small for the paper's 100 rows, this share of the candidates is taken (our choice)."""


def draw(
    ids: Sequence[str], quality: Sequence[float], *, rows: int | str | None, from_top: str, seed: int
) -> list[str]:
    """The ids of the test: `rows` of the best `from_top` of the candidates by quality, drawn by seed and id.

    Candidates of equal quality at the edge are taken in the order of the seed and their ids. Raises `StageError`
    where the best hold fewer than asked for.
    """
    best = math.floor(_share(from_top) * len(ids))
    if isinstance(rows, str):
        wanted = math.floor(_share(rows) * len(ids))
    else:
        wanted = rows if rows is not None else min(PAPER_ROWS, max(1, math.floor(SMALL_SHARE * len(ids))))
    if wanted == 0 or wanted > best:
        raise StageError(
            f"The placement test asks for {wanted} rows, and the best {from_top} of {len(ids)} candidates are {best}.",
            f"Set capability.rows to at most {best}, or raise capability.from_top."
            if best
            else "Raise capability.from_top, make the pool larger, or set capability.mode to fixed.",
        )
    keys = {name: seeds.derive(seed, "placement", name) for name in ids}
    order = sorted(range(len(ids)), key=lambda place: (-quality[place], keys[ids[place]]))
    drawn = sorted((ids[place] for place in order[:best]), key=lambda name: seeds.derive(seed, "drawn", name))
    return sorted(drawn[:wanted])


def _share(text: str) -> Fraction:
    return Fraction(text.removesuffix("%")) / 100
