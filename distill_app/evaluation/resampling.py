"""Drawing problems again: which are drawn together, how often each is, and sums with flipped signs.

`statistics` says what the draws mean. Everything is kept to bounded memory by working through the draws in runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

DRAWS = 10_000
SEED = 20_260_101
EXACT_UNITS = 13
"""Up to this many differences the sign-flip test goes through all 2**n signs (8,192) instead of drawing."""

_CELLS = 2_000_000
"""Values held at once while resampling: under 100 MB however many problems there are."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """One benchmark: a line of `values` a student (or a difference of two), a column a problem.

    `clusters` names the cluster of each problem, None for one that stands alone; None if no problem has one.
    """

    name: str
    values: Sequence[Sequence[float]]
    clusters: Sequence[str | None] | None = None

    def less(self, pairs: Sequence[tuple[int, int]]) -> Stratum:
        """Differences by problem: of each pair the first line less the second."""
        lines = [[a - b for a, b in zip(self.values[one], self.values[other], strict=True)] for one, other in pairs]
        return Stratum(self.name, lines, self.clusters)


def by_unit(stratum: Stratum) -> tuple[Floats, Floats]:
    """Sums over each cluster's problems, lines x clusters, and the clusters' sizes."""
    import numpy as np

    values = np.asarray(stratum.values, dtype=np.float64)
    n = values.shape[1]
    if stratum.clusters is None:
        return values, np.ones(n)
    places = np.asarray(_places(stratum.clusters))
    sizes = np.bincount(places).astype(np.float64)
    sums = np.zeros((len(values), len(sizes)))
    np.add.at(sums.T, places, values.T)
    return sums, sizes


def _places(clusters: Sequence[str | None]) -> list[int]:
    """A number for each cluster, from 0 as they appear; a problem without one has its own."""
    seen: dict[object, int] = {}
    return [
        seen.setdefault(("alone", problem) if name is None else name, len(seen))
        for problem, name in enumerate(clusters)
    ]


def counts_of(generator: np.random.Generator, draws: int, units: int) -> Floats:
    """How often each unit is in each of some resamples, draws x units."""
    import numpy as np

    drawn = generator.integers(0, units, size=(draws, units), dtype=np.int64)
    drawn += np.arange(draws)[:, None] * units
    return np.bincount(drawn.ravel(), minlength=draws * units).reshape(draws, units).astype(np.float64)


def exact(data: Floats, threshold: float) -> float:
    """The share of all signs of some differences that reach a threshold; 1 where there is no difference."""
    import numpy as np

    if not len(data):
        return 1.0
    signs = 1.0 - 2.0 * ((np.arange(2 ** len(data))[:, None] >> np.arange(len(data))) & 1)
    return float((np.abs(signs @ data) >= threshold).mean())


def hits_of(data: Floats, thresholds: Floats) -> NDArray[np.int64]:
    """How many random flips reach each line's threshold."""
    import numpy as np

    generator = np.random.default_rng(SEED)
    units = data.shape[1]
    totals = data.sum(axis=1)
    hits = np.zeros(len(data), dtype=np.int64)
    for start, stop in chunks(units):
        flipped = generator.integers(0, 2, size=(stop - start, units), dtype=np.int8).astype(np.float64)
        hits += (np.abs(totals - 2.0 * (flipped @ data.T)) >= thresholds).sum(axis=0)
    return hits


def chunks(units: int) -> list[tuple[int, int]]:
    """The draws in runs that keep `_CELLS` in memory; depends on the number of units alone."""
    draws = max(1, _CELLS // units)
    return [(start, min(start + draws, DRAWS)) for start in range(0, DRAWS, draws)]
