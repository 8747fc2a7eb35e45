"""Puts signals on a common scale: fitted on one set of rows, applied to any.

Fitting on the pool as it stood before training keeps a value's meaning while the student learns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from distill_app.errors import StageError

if TYPE_CHECKING:
    from distill_app.selectors import Floats, Ints

NORMAL_IQR = 1.349
"""Interquartile range of a normal distribution of standard deviation 1."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A fitted normalisation: `apply(values)` for any rows, and the figures it was made from."""

    method: str
    facts: Mapping[str, float]
    apply: Callable[[Floats], Floats]


def fit(reference: Floats, method: str, clip: float, name: str) -> Scale:
    """The normalisation `method` of the signal `name`, fitted on the values `reference`.

    - percentile: average rank over the number of values, in (0, 1]: `scipy.stats.rankdata(x) / n` on the reference
      itself; a value between two of its ranks stands half way between them;
    - minmax: 0 at the `clip` quantile, 1 at the `1 - clip` quantile, linear between, clipped beyond;
    - z: (x - median) / (IQR / 1.349), so that it is a standard score on normal data;
    - sigmoid: 1 / (1 + exp(-x)); raw: as it is. Neither looks at the reference.

    Raises `StageError` where minmax or z meets a signal with no spread to divide by.
    """
    import numpy as np

    if method == "raw":
        return Scale(method, {}, lambda values: values)
    if method == "sigmoid":
        return Scale(method, {}, lambda values: np.exp(-np.logaddexp(0.0, -values)))
    if method == "percentile":
        ordered = np.sort(reference)
        return Scale(method, {"values": float(len(ordered))}, lambda values: _share(ordered, values))
    if method == "minmax":
        low, high = (float(value) for value in np.quantile(reference, [clip, 1.0 - clip]))
        if not low < high:
            raise StageError(
                f"`minmax` cannot scale {name}: its {clip:g} and {1 - clip:g} quantiles are both {low:g}.",
                "Take `percentile`, which needs no spread, or a scorer that tells the rows apart.",
            )
        facts = {"low": low, "high": high, "clip": clip}
        return Scale(method, facts, lambda values: np.clip((values - low) / (high - low), 0.0, 1.0))
    if method == "z":
        lower, median, upper = (float(value) for value in np.quantile(reference, [0.25, 0.5, 0.75]))
        spread = (upper - lower) / NORMAL_IQR
        if not spread > 0:
            raise StageError(
                f"A robust z-score cannot scale {name}: the middle half of its {len(reference)} values is {median:g}.",
                "Take `percentile` or `raw`, which need no spread, or a scorer that tells the rows apart.",
            )
        return Scale(method, {"median": median, "spread": spread}, lambda values: (values - median) / spread)
    raise ValueError(f"no normalisation {method!r}")


def ranks(values: Floats) -> Floats:
    """Ranks from 1, equals at their mean: `scipy.stats.rankdata(values)`."""
    import numpy as np

    return _share(np.sort(values), values) * len(values)


def spearman(one: Floats, other: Floats) -> float | None:
    """Spearman's rank correlation, ties at their mean rank; None where either does not vary."""
    import numpy as np

    # Twice a rank less twice the mean is a whole number, so that the sums are exact and know no order of the rows.
    a, b = (np.rint(2 * ranks(values) - (len(values) + 1)).astype(np.int64) for values in (one, other))
    size = _dot(a, a) * _dot(b, b)
    return _dot(a, b) / math.sqrt(size) if size > 0 else None


def middle_first(values: Floats) -> Floats:
    """How far each value's rank is from the middle one: the least stands in the middle of the values."""
    import numpy as np

    return np.abs(ranks(values) - (len(values) + 1) / 2)


def by_band(values: Floats, band: str, keys: Ints) -> Ints:
    """Positions by value, equals by key: "high" first, "low" first, or "middle" first (nearest the median's rank)."""
    import numpy as np

    if band == "middle":
        return np.lexsort((keys, middle_first(values)))
    return np.lexsort((keys, -values if band == "high" else values))


def _dot(one: Ints, other: Ints) -> int:
    """The exact sum of products, in parts that fit 64 bits (up to ten million rows)."""
    part = 65536
    return sum(int(one[at : at + part] @ other[at : at + part]) for at in range(0, len(one), part))


def _share(ordered: Floats, values: Floats) -> Floats:
    """Average rank of each value among `ordered`, over how many there are; at most 1."""
    import numpy as np

    # Neighbouring look-ups hit the same memory: a million at random would take three times as long.
    order = np.argsort(values)
    found = values[order]
    inside = np.searchsorted(ordered, found, "left") + np.searchsorted(ordered, found, "right")
    shares = np.empty(len(values), dtype=np.float64)
    shares[order] = (inside + 1) / (2 * len(ordered))
    return np.minimum(shares, 1.0)
