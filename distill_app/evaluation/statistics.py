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

from distill_app.errors import UsageError
from distill_app.evaluation import resampling
from distill_app.evaluation.resampling import DRAWS, EXACT_UNITS, by_unit, exact
from distill_app.evaluation.resampling import Drawn as Drawn
from distill_app.evaluation.resampling import Stratum as Stratum

if TYPE_CHECKING:
    from distill_app.evaluation.resampling import Bools, Floats

LEVEL = 0.95
ALPHA = 0.05
MOST = 500
"""Comparisons beyond which no adjusted p-value can be below 5 %: the least that `DRAWS` can give is 1 in 10,001."""

_AT_ONCE = 200
"""Differences worked on at once: 16 MB of draws, however many there are."""

_SLACK = 1e-12
"""Where a tie may be missed by less than this, the difference of two sums is too coarse to notice it."""

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


def estimates(strata: Sequence[Stratum], drawn: Drawn | None = None) -> list[Estimate]:
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
    draws = resampled(strata, drawn)
    ends = [None] * len(strata[0].values) if draws is None else bounds(draws)
    return [Estimate(*found) for found in zip(means(strata), _standard_errors(strata), ends, strict=True)]


def differences(strata: Sequence[Stratum]) -> list[Difference]:
    """`estimates` of lines that are differences by problem, each with its sign-flip p-value.

    Resampling the differences is resampling both students with the same draws.
    """
    return [Difference(*estimate, p) for estimate, p in zip(estimates(strata), sign_flip_p_values(strata), strict=True)]


def paired(strata: Sequence[Stratum], pairs: Sequence[tuple[int, int]], drawn: Drawn | None = None) -> list[Difference]:
    """`differences` of pairs of lines, the first less the second: each line is drawn once, in however many pairs."""
    drawn = drawn or Drawn()
    draws = resampled(strata, drawn)
    found: list[Difference] = []
    for some in _by_few(pairs):
        apart = [stratum.less(some) for stratum in strata]
        ends = [None] * len(some) if draws is None else apart_bounds(draws, some)
        p_values = _p_values(apart, strata, some, drawn)
        found += map(Difference, means(apart), _standard_errors(apart), ends, p_values)
    return found


def means(strata: Sequence[Stratum]) -> list[float]:
    """The mean of each line: over problems, then over benchmarks. No problem is refused with `UsageError`."""
    # Python's own numbers are read ten times as fast as those of an array.
    by_stratum = [[mean(line) for line in stratum.array().tolist()] for stratum in strata]
    return [math.fsum(column) / len(strata) for column in zip(*by_stratum, strict=True)]


def resampled(strata: Sequence[Stratum], drawn: Drawn | None = None) -> Floats | None:
    """The mean of each line in each of `DRAWS` resamples, lines x draws; None where a benchmark has one cluster.

    The draws are the same for all lines: the difference of two lines here is that of the resampled differences. What
    was `drawn` before is not drawn again.
    """
    import numpy as np

    drawn = drawn or Drawn()
    total = np.zeros((len(strata[0].values), DRAWS))
    for stratum in strata:
        found = resampling.resampled(stratum, drawn)
        if found is None:
            return None
        total += found
    return total / len(strata)


def bounds(draws: Floats) -> list[Interval]:
    """The 95 % percentile interval of each line of `resampled`, or of differences of such lines."""
    import numpy as np

    tail = ALPHA / 2
    low, high = np.round(np.quantile(draws, [tail, 1 - tail], axis=1), _DIGITS)
    # Adding 0 turns -0.0 into 0.0, which is what a person would write.
    return [Interval(float(a) + 0.0, float(b) + 0.0) for a, b in zip(low, high, strict=True)]


def apart_bounds(draws: Floats, pairs: Sequence[tuple[int, int]]) -> list[Interval]:
    """`bounds` of the differences of pairs of lines of `resampled`, the first less the second."""
    found: list[Interval] = []
    for some in _by_few(pairs):
        ones, others = ([pair[side] for pair in some] for side in (0, 1))
        found += bounds(draws[ones] - draws[others])
    return found


def sign_flip_p_values(strata: Sequence[Stratum]) -> list[float]:
    """Two-sided p-value of each line of differences: how often flipped signs give a mean at least this far from 0.

    Each cluster's sum of differences is taken to be as likely to have the other sign. Exact where at most
    `EXACT_UNITS` clusters differ, else (1 + hits) / (1 + `DRAWS`) by random signs, the same for all lines. Without any
    difference it is 1. It is the statistic of scipy.stats.permutation_test with permutation_type="samples".
    """
    return _p_values(strata)


def paired_p_values(
    strata: Sequence[Stratum], pairs: Sequence[tuple[int, int]], drawn: Drawn | None = None
) -> list[float]:
    """`sign_flip_p_values` of pairs of lines, the first less the second."""
    drawn = drawn or Drawn()
    found: list[float] = []
    for some in _by_few(pairs):
        found += _p_values([stratum.less(some) for stratum in strata], strata, some, drawn)
    return found


def _p_values(
    apart: Sequence[Stratum],
    strata: Sequence[Stratum] = (),
    pairs: Sequence[tuple[int, int]] = (),
    drawn: Drawn | None = None,
) -> list[float]:
    """The p-values of lines of differences; `strata` and `pairs` are what they are the differences of, if known."""
    import numpy as np

    data = _over_all(apart)
    sizes = np.abs(data).sum(axis=1)
    # Sums of the same values in another order differ in the last bits: a tie must count as a tie.
    slack = 1e-9 * sizes
    totals = data.sum(axis=1)
    thresholds = np.abs(totals) - slack
    differing = np.count_nonzero(data, axis=1)
    found = np.empty(len(data))
    for line in np.flatnonzero(differing <= EXACT_UNITS):
        found[line] = exact(data[line][data[line] != 0.0], thresholds[line])
    drawing = differing > EXACT_UNITS
    by_lines = drawing & (slack > _SLACK) if len(pairs) else np.zeros(len(data), dtype=bool)

    def put(lines: Bools, sums: Floats) -> None:
        hits = (np.abs(totals[lines, None] - 2.0 * sums) >= thresholds[lines, None]).sum(axis=1)
        found[lines] = (1 + hits) / (1 + DRAWS)

    if by_lines.any():
        sums = _flipped(strata, drawn or Drawn())
        ones, others = np.asarray(pairs)[by_lines].T
        put(by_lines, sums[ones] - sums[others])
    if (alone := drawing & ~by_lines).any():
        put(alone, _flipped([Stratum(one.name, one.array()[alone], one.clusters) for one in apart], Drawn()))
    return [float(p) for p in found]


def _flipped(strata: Sequence[Stratum], drawn: Drawn) -> Floats:
    """What is flipped of the mean of each line in each of `DRAWS` flips, each benchmark flipped by itself."""
    import numpy as np

    total = np.zeros((len(strata[0].values), DRAWS))
    for stratum in strata:
        total += resampling.flipped(stratum, drawn) / (len(stratum.values[0]) * len(strata))
    return total


def _over_all(strata: Sequence[Stratum]) -> Floats:
    """What each cluster of each benchmark adds to the mean of each line, lines x clusters."""
    import numpy as np

    parts = []
    for stratum in strata:
        sums, sizes = by_unit(stratum)
        parts.append(sums / (sizes.sum() * len(strata)))
    return np.concatenate(parts, axis=1)


def _by_few(pairs: Sequence[tuple[int, int]]) -> list[Sequence[tuple[int, int]]]:
    return [pairs[start : start + _AT_ONCE] for start in range(0, len(pairs), _AT_ONCE)]


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


class Standing(NamedTuple):
    """A line of scores beside the best: how it differs, and whether that is `near`, within noise (as the best is).

    `interval` is of the line less the best, None where a benchmark has one cluster; `p_value` is adjusted after Holm
    over the lines beside the best, None for the best.
    """

    near: bool
    interval: Interval | None
    p_value: float | None


def behind_best(
    strata: Sequence[Stratum], drawn: Drawn | None = None, among: Sequence[int] | None = None
) -> list[Standing]:
    """How each line of scores stands, or each `among` them, in that order; the best is the first with the best mean.

    Within noise is a paired difference from the best that is not `distinguishable` with its adjusted p-value.
    """
    drawn = drawn or Drawn()
    scores = means(strata)
    lines = range(len(scores)) if among is None else among
    best = max(lines, key=lambda line: scores[line])
    draws = resampled(strata, drawn)
    pairs = [(line, best) for line in lines]
    ends = [None] * len(pairs) if draws is None else apart_bounds(draws, pairs)
    p_values = iter(holm(paired_p_values(strata, [pair for pair in pairs if pair[0] != best], drawn)))
    found: list[Standing] = []
    for line, interval in zip(lines, ends, strict=True):
        p_value = None if line == best else next(p_values)
        found.append(Standing(line == best or not distinguishable(interval, p_value), interval, p_value))
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
