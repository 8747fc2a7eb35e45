"""How sure a score is: problems are the sampling unit, and two students are compared on the same problems.

Problems that share a source (a passage, a contest) are drawn together, cluster by cluster; a problem without a cluster
stands alone. Several benchmarks are strata: each is resampled by itself, and the macro score is the unweighted mean of
their scores. Draws depend on a benchmark's name, the number of its clusters and the constants below alone: the same
numbers give the same interval on every machine, and all students on a benchmark are resampled with the same draws.

The resampling is ours: scipy.stats.bootstrap has clusters or strata but not both, and draws anew for each student;
scipy.stats.permutation_test takes fourteen times as long (0.14 s against 0.01 s at 500 problems, scipy 1.17). The tests
hold ours against scipy's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from distill_app import seeds
from distill_app.errors import UsageError
from distill_app.evaluation.resampling import DRAWS, EXACT_UNITS, SEED, by_unit, chunks, counts_of, exact, hits_of
from distill_app.evaluation.resampling import Stratum as Stratum

if TYPE_CHECKING:
    from distill_app.evaluation.resampling import Floats

LEVEL = 0.95
ALPHA = 0.05
MOST = 500
"""Comparisons beyond which no adjusted p-value can be below 5 %: the least that `DRAWS` can give is 1 in 10,001."""

_DIGITS = 12
"""Bounds are rounded to so many: a sum in another order must not decide whether an interval covers 0."""


class Interval(NamedTuple):
    """The two ends of a 95 % interval."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A mean over problems, its standard error and interval (both None where nothing was there to vary)."""

    mean: float
    standard_error: float | None
    interval: Interval | None


class Difference(NamedTuple):
    """Mean of a - b over the problems, its standard error and interval, and a two-sided p-value."""

    mean: float
    standard_error: float | None
    interval: Interval | None
    p_value: float


def mean(values: Sequence[float]) -> float:
    """The mean over problems. No problem is refused with `UsageError`."""
    if not values:
        raise UsageError("There are no problems to score.", "Check the benchmark's data set and its limit.")
    return math.fsum(values) / len(values)


def estimates(strata: Sequence[Stratum]) -> list[Estimate]:
    """Mean, standard error and interval of each line: of one benchmark, or the macro average of several.

    The standard error of G clusters with n problems is sqrt(G / (G - 1) * sum over clusters (sum over their problems
    (s_i - mean))^2) / n: sqrt(sum (s_i - mean)^2 / (n (n - 1))) where problems stand alone. The interval is the 95 %
    percentile bootstrap interval: `DRAWS` resamples of the clusters with replacement. One problem, or one cluster, has
    neither: it says nothing about others. Where all problems have the same value both ends are that value; this is what
    the bootstrap gives, and too sure of itself: reports say so in words.

    The macro mean is the unweighted mean of the benchmarks' means, its standard error the root of the sum of their
    squared errors over their number, its interval that of benchmarks resampled each by itself. A benchmark with one
    problem or one cluster leaves all of it without error and interval.
    """
    draws = resampled(strata)
    ends = [None] * len(strata[0].values) if draws is None else bounds(draws)
    return [Estimate(*found) for found in zip(means(strata), _standard_errors(strata), ends, strict=True)]


def differences(strata: Sequence[Stratum]) -> list[Difference]:
    """`estimates` of lines that are differences by problem, each with its sign-flip p-value.

    Resampling the differences is resampling both students with the same draws.
    """
    return [Difference(*estimate, p) for estimate, p in zip(estimates(strata), sign_flip_p_values(strata), strict=True)]


def means(strata: Sequence[Stratum]) -> list[float]:
    """The mean of each line: over problems, then over benchmarks. No problem is refused with `UsageError`."""
    by_stratum = [[mean(line) for line in stratum.values] for stratum in strata]
    return [math.fsum(column) / len(strata) for column in zip(*by_stratum, strict=True)]


def resampled(strata: Sequence[Stratum]) -> Floats | None:
    """The mean of each line in each of `DRAWS` resamples, lines x draws; None where a benchmark has one cluster.

    The draws are the same for all lines: the difference of two lines here is that of the resampled differences.
    """
    import numpy as np

    total = np.zeros((len(strata[0].values), DRAWS))
    for stratum in strata:
        sums, sizes = by_unit(stratum)
        if len(sizes) == 1:
            return None
        generator = np.random.default_rng(seeds.derive(SEED, stratum.name))
        for start, stop in chunks(len(sizes)):
            counts = counts_of(generator, stop - start, len(sizes))
            total[:, start:stop] += (sums @ counts.T) / (counts @ sizes)
    return total / len(strata)


def bounds(draws: Floats) -> list[Interval]:
    """The 95 % percentile interval of each line of `resampled`, or of differences of such lines."""
    import numpy as np

    tail = ALPHA / 2
    low, high = np.round(np.quantile(draws, [tail, 1 - tail], axis=1), _DIGITS)
    # Adding 0 turns -0.0 into 0.0, which is what a person would write.
    return [Interval(float(a) + 0.0, float(b) + 0.0) for a, b in zip(low, high, strict=True)]


def sign_flip_p_values(strata: Sequence[Stratum]) -> list[float]:
    """Two-sided p-value of each line of differences: how often flipped signs give a mean at least this far from 0.

    Each cluster's sum of differences is taken to be as likely to have the other sign. Exact where at most
    `EXACT_UNITS` clusters differ, else (1 + hits) / (1 + `DRAWS`) by random signs, the same for all lines. Without any
    difference it is 1. It is the statistic of scipy.stats.permutation_test with permutation_type="samples".
    """
    import numpy as np

    parts = []
    for stratum in strata:
        sums, sizes = by_unit(stratum)
        parts.append(sums / (sizes.sum() * len(strata)))
    data = np.concatenate(parts, axis=1)
    # Sums of the same values in another order differ in the last bits: a tie must count as a tie.
    thresholds = np.abs(data.sum(axis=1)) - 1e-9 * np.abs(data).sum(axis=1)
    differing = np.count_nonzero(data, axis=1)
    found = np.empty(len(data))
    for line in np.flatnonzero(differing <= EXACT_UNITS):
        found[line] = exact(data[line][data[line] != 0.0], thresholds[line])
    many = np.flatnonzero(differing > EXACT_UNITS)
    if len(many):
        found[many] = (1 + hits_of(data[many], thresholds[many])) / (1 + DRAWS)
    return [float(p) for p in found]


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for being several, after Holm (1979), in the order given.

    The i-th smallest of m is multiplied by m - i + 1; none is above 1 or below one before it. Holds the chance of
    even one false finding, whatever the dependence. (scipy has false discovery rates only.)
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def distinguishable(found: Interval | None, p_value: float | None = None) -> bool:
    """Whether a difference may be called one: its interval leaves 0 out, and its (adjusted) p is below 5 %, if given.

    Both, because each is too sure at times: the interval with few problems, either of them among many comparisons.
    """
    if found is None or found.low <= 0.0 <= found.high:
        return False
    return p_value is None or p_value < ALPHA


def behind_best(strata: Sequence[Stratum]) -> list[tuple[bool, float | None]]:
    """For each line of scores whether it is within noise of the best, and its adjusted p-value (None for the best).

    Within noise is a paired difference from the best that is not `distinguishable` with its p-value adjusted after
    Holm over the lines beside the best.
    """
    scores = means(strata)
    best = scores.index(max(scores))
    others = [place for place in range(len(scores)) if place != best]
    found: list[tuple[bool, float | None]] = [(True, None)] * len(scores)
    if not others:
        return found
    apart = [stratum.less([(place, best) for place in others]) for stratum in strata]
    found_apart = differences(apart)
    adjusted = holm([difference.p_value for difference in found_apart])
    for place, difference, p_value in zip(others, found_apart, adjusted, strict=True):
        found[place] = (not distinguishable(difference.interval, p_value), p_value)
    return found


def n_clusters(strata: Sequence[Stratum]) -> int | None:
    """How many clusters are drawn, each problem that stands alone counted as one; None where no problem has one."""
    if all(name is None for stratum in strata for name in stratum.clusters or ()):
        return None
    return sum(len(by_unit(stratum)[1]) for stratum in strata)


def _standard_errors(strata: Sequence[Stratum]) -> list[float | None]:
    import numpy as np

    squares = np.zeros(len(strata[0].values))
    for stratum in strata:
        sums, sizes = by_unit(stratum)
        units, n = len(sizes), sizes.sum()
        if units == 1:
            return [None] * len(squares)
        apart = sums - np.outer(sums.sum(axis=1) / n, sizes)
        squares += (apart**2).sum(axis=1) * units / (units - 1) / n**2
    return [float(error) for error in np.sqrt(squares) / len(strata)]
