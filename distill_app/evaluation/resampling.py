"""Drawing problems again: which are drawn together, how often each is, and sums with flipped signs.

`statistics` says what the draws mean. Everything is kept to bounded memory by working through the draws in runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from distill_app import seeds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]

DRAWS = 10_000
SEED = 20_260_101
EXACT_UNITS = 13
"""Up to this many differences the sign-flip test goes through all 2**n signs (8,192) instead of drawing."""

_AT_ONCE = 250_000
"""Problems drawn, or signs, at once: they stay in a core's cache. Another number draws the same."""

_STEPS = 1024
"""Values that are multiples of one part in so many may be added up in float32: shares of 8, 16 ... samples are."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """One benchmark: a line of `values` a student (or a difference of two), a column a problem; or an array of them.

    `clusters` names the cluster of each problem, None for one that stands alone; None if no problem has one.
    """

    name: str
    values: Sequence[Sequence[float]] | Floats
    clusters: Sequence[str | None] | None = None

    def less(self, pairs: Sequence[tuple[int, int]]) -> Stratum:
        """Differences by problem: of each pair the first line less the second."""
        values = self.array()
        ones, others = ([pair[side] for pair in pairs] for side in (0, 1))
        return Stratum(self.name, values[ones] - values[others], self.clusters)

    def array(self) -> Floats:
        """The values, lines x problems. Lines of different lengths are a `ValueError`."""
        import numpy as np

        if len(shorter := sorted({len(line) for line in self.values})) > 1:
            raise ValueError(f"a line of {shorter[0]} problems is shorter than one of {shorter[-1]}")
        return np.asarray(self.values, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What was drawn of lines before: asked again, of a line in another company, it is looked up.

    By what settles it: the benchmark's name, the line's sums and, of `resampled`, its clusters' sizes. Holds 80 kB a
    line and question: for one table, not for a process that goes on.
    """

    resampled: dict[tuple[str, bytes, bytes], Floats] = field(default_factory=dict)
    flipped: dict[tuple[str, bytes], Floats] = field(default_factory=dict)


def by_unit(stratum: Stratum) -> tuple[Floats, Floats]:
    """Sums over each cluster's problems, lines x clusters, and the clusters' sizes."""
    import numpy as np

    values = stratum.array()
    n = values.shape[1]
    if stratum.clusters is None or not any(name is not None for name in stratum.clusters):
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


def resampled(stratum: Stratum, drawn: Drawn) -> Floats | None:
    """The mean of each line of one benchmark in each of `DRAWS` resamples, lines x draws; None with one cluster."""
    import numpy as np

    sums, sizes = by_unit(stratum)
    units = len(sizes)
    if units == 1:
        return None
    keys = [(stratum.name, sizes.tobytes(), line.tobytes()) for line in sums]
    new = {key: place for place, key in enumerate(keys) if key not in drawn.resampled}
    if new:
        asked = sums[list(new.values())]
        found = np.empty((len(asked), DRAWS))
        generator = np.random.default_rng(seeds.derive(SEED, stratum.name))
        exact_in = _exact_in(np.vstack([asked, sizes]))
        asked, sizes = asked.astype(exact_in), sizes.astype(exact_in)
        with _one_thread():
            for start, stop in _runs(units):
                counts = _counts(generator, stop - start, units).astype(exact_in)
                np.divide(asked @ counts.T, counts @ sizes, out=found[:, start:stop], dtype=np.float64)
        drawn.resampled.update(zip(new, found, strict=True))
    return np.stack([drawn.resampled[key] for key in keys])


def _counts(generator: np.random.Generator, draws: int, units: int) -> NDArray[np.int64]:
    """How often each unit is in each of some resamples, draws x units."""
    import numpy as np

    places = generator.integers(0, units, size=(draws, units), dtype=np.int64)
    places += np.arange(draws)[:, None] * units
    return np.bincount(places.ravel(), minlength=draws * units).reshape(draws, units)


def exact(data: Floats, threshold: float) -> float:
    """The share of all signs of some differences that reach a threshold; 1 where there is no difference."""
    import numpy as np

    if not len(data):
        return 1.0
    signs = 1.0 - 2.0 * ((np.arange(2 ** len(data))[:, None] >> np.arange(len(data))) & 1)
    return float((np.abs(signs @ data) >= threshold).mean())


def flipped(stratum: Stratum, drawn: Drawn) -> Floats:
    """Of each line of one benchmark the sum of what is flipped, cluster by cluster, in `DRAWS` flips, lines x draws."""
    import numpy as np

    sums, _ = by_unit(stratum)
    keys = [(stratum.name, line.tobytes()) for line in sums]
    new = {key: place for place, key in enumerate(keys) if key not in drawn.flipped}
    if new:
        asked = sums[list(new.values())]
        found = np.empty((len(asked), DRAWS))
        generator = np.random.default_rng(seeds.derive(SEED, stratum.name, "signs"))
        exact_in = _exact_in(asked)
        asked = asked.astype(exact_in)
        with _one_thread():
            for start, stop in _runs(asked.shape[1]):
                found[:, start:stop] = asked @ _signs(generator, stop - start, asked.shape[1]).astype(exact_in).T
        drawn.flipped.update(zip(new, found, strict=True))
    return np.stack([drawn.flipped[key] for key in keys])


def _signs(generator: np.random.Generator, draws: int, units: int) -> NDArray[np.uint8]:
    """1 for each unit that is flipped, else 0, in some draws, draws x units: the bits of whole words."""
    import numpy as np

    words = generator.integers(0, 2**64, size=(draws, -(-units // 64)), dtype=np.uint64)
    return np.unpackbits(words.astype("<u8").view(np.uint8), axis=1, count=units)


def _exact_in(lines: Floats) -> type[np.floating[Any]]:
    """float32, twice as fast, where no sum of a line's values, each as often as there are values, is rounded in it."""
    import numpy as np

    steps = lines * _STEPS
    fine = bool((steps == np.rint(steps)).all()) and np.abs(steps).max(initial=0.0) * lines.shape[1] < 2**24
    return np.float32 if fine else np.float64


def _one_thread() -> AbstractContextManager[Any]:
    """Matrix products on one core: these take milliseconds, and other threads would wait for them at full speed."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1, user_api="blas")
    return limits


def _runs(units: int) -> list[tuple[int, int]]:
    """All draws, so many at a time."""
    draws = max(1, _AT_ONCE // units)
    return [(start, min(start + draws, DRAWS)) for start in range(0, DRAWS, draws)]
