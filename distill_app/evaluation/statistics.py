"""How sure a score is: problems are the sampling unit, and two students are compared on the same problems.

All functions take one value per problem, in [0, 1] for a score. Draws depend on the number of problems and
the constants below alone, so that the same numbers give the same interval on every machine, and scores on the
same problems are resampled with the same draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from distill_app.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DRAWS = 10_000
LEVEL = 0.95
SEED = 20_260_101
EXACT_PROBLEMS = 13
"""Up to this many problems the permutation test goes through all 2**n signs (8,192) instead of drawing."""

_CELLS = 2_000_000
"""Values held at once while resampling: about 32 MB however many problems there are."""


class Interval(NamedTuple):
    """The two ends of a 95 % interval."""

    low: float
    high: float


class Difference(NamedTuple):
    """Mean of a - b over the problems, its interval (None for one problem), and a two-sided p-value."""

    mean: float
    interval: Interval | None
    p_value: float


def mean(values: Sequence[float]) -> float:
    """The mean over problems. No problem is refused with `UsageError`."""
    if not values:
        raise UsageError("There are no problems to score.", "Check the benchmark's data set and its limit.")
    return math.fsum(values) / len(values)


def standard_error(values: Sequence[float]) -> float | None:
    """sqrt(sum (s_i - mean)^2 / (n (n - 1))): standard error of the mean over problems; None for one problem."""
    n, center = len(values), mean(values)
    if n == 1:
        return None
    return math.sqrt(math.fsum((value - center) ** 2 for value in values) / (n * (n - 1)))


def interval(values: Sequence[float]) -> Interval | None:
    """The 95 % percentile bootstrap interval of the mean: `DRAWS` resamples of the problems with replacement.

    One problem gives None: it says nothing about other problems. Where all problems have the same value both ends
    are that value; this is what the bootstrap gives, and too sure of itself: reports say so in words.
    """
    import numpy as np

    mean(values)
    n = len(values)
    if n == 1:
        return None
    if min(values) == max(values):
        return Interval(values[0], values[0])
    data = np.asarray(values, dtype=np.float64)
    generator = np.random.default_rng(SEED)
    means = np.empty(DRAWS)
    for start, stop in _chunks(n):
        means[start:stop] = data[generator.integers(0, n, size=(stop - start, n), dtype=np.int32)].mean(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def paired_difference(a: Sequence[float], b: Sequence[float]) -> Difference:
    """a - b on the same problems in the same order: mean, paired bootstrap interval, sign-flip p-value.

    Resampling the differences is resampling both students with the same draws. The p-value is the chance
    of a mean at least this far from 0 if each problem's difference were as likely to have the other sign: exact up to
    `EXACT_PROBLEMS` problems, else (1 + hits) / (1 + `DRAWS`). Without any difference, or with one problem, it is 1.
    """
    if len(a) != len(b):
        raise UsageError(f"A paired comparison needs the same problems: {len(a)} against {len(b)}.")
    differences = [x - y for x, y in zip(a, b, strict=True)]
    return Difference(mean(differences), interval(differences), _sign_flip(differences))


def _sign_flip(differences: Sequence[float]) -> float:
    import numpy as np

    # A problem without a difference has none whatever its sign; leaving it out keeps small cases exact.
    data = np.asarray([value for value in differences if value != 0.0], dtype=np.float64)
    n = len(data)
    if n == 0:
        return 1.0
    # Sums of the same values in another order differ in the last bits: a tie must count as a tie.
    threshold = abs(float(data.sum())) - 1e-9 * float(np.abs(data).sum())
    if n <= EXACT_PROBLEMS:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float((np.abs(signs @ data) >= threshold).mean())
    generator = np.random.default_rng(SEED)
    hits = 0
    for start, stop in _chunks(n):
        hits += _hits(generator, stop - start, data, threshold)
    return (1 + hits) / (1 + DRAWS)


def _hits(generator: np.random.Generator, rows: int, data: NDArray[np.float64], threshold: float) -> int:
    import numpy as np

    signs = generator.integers(0, 2, size=(rows, len(data)), dtype=np.int8)
    return int((np.abs(data.sum() - 2.0 * (signs @ data)) >= threshold).sum())


def _chunks(n: int) -> list[tuple[int, int]]:
    """The draws in runs of rows that keep `_CELLS` in memory; depends on n alone."""
    rows = max(1, _CELLS // n)
    return [(start, min(start + rows, DRAWS)) for start in range(0, DRAWS, rows)]
