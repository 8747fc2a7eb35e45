"""Intervals and p-values against scipy, exact small cases by hand."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from distill_app.errors import UsageError
from distill_app.evaluation.statistics import Interval, interval, mean, paired_difference, standard_error

rng = np.random.default_rng(3)
A = (rng.binomial(8, rng.beta(2, 3, size=60)) / 8).tolist()
B = (rng.binomial(8, rng.beta(2, 4, size=60)) / 8).tolist()


def test_standard_error_by_hand_and_by_scipy() -> None:
    assert standard_error([0.0, 1.0]) == pytest.approx(0.5)
    assert standard_error([0.0, 0.5, 1.0]) == pytest.approx((0.5 / 6) ** 0.5)
    assert standard_error(A) == pytest.approx(float(stats.sem(A)))
    assert standard_error([0.3]) is None


def test_interval_agrees_with_scipy() -> None:
    ours = interval(A)
    theirs = stats.bootstrap((A,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(1))
    assert ours is not None
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.006)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.006)
    assert interval(A) == ours


def test_small_and_flat_cases() -> None:
    assert interval([0.4]) is None
    assert interval([0.25, 0.25, 0.25]) == Interval(0.25, 0.25)
    assert interval([0.0, 1.0]) == Interval(0.0, 1.0)
    same = paired_difference([0.5, 1.0], [0.5, 1.0])
    assert (same.mean, same.interval, same.p_value) == (0.0, Interval(0.0, 0.0), 1.0)
    one = paired_difference([1.0], [0.0])
    assert (one.mean, one.interval, one.p_value) == (1.0, None, 1.0)
    with pytest.raises(UsageError, match="no problems"):
        mean([])
    with pytest.raises(UsageError, match="same problems: 2 against 1"):
        paired_difference([1.0, 0.0], [1.0])


def test_paired_difference_uses_the_pairs() -> None:
    """A constant shift is certain however much the problems differ; the same values unpaired are not."""
    shifted = [value + 0.125 for value in B]
    found = paired_difference(shifted, B)
    assert found.mean == pytest.approx(0.125)
    assert found.interval == pytest.approx((0.125, 0.125))
    assert found.p_value == pytest.approx(1 / 10_001)
    swapped = paired_difference(shifted, B[::-1])
    assert swapped.mean == pytest.approx(0.125)
    assert swapped.interval is not None
    assert swapped.interval.high - swapped.interval.low > 0.1


def test_paired_interval_agrees_with_scipys_paired_bootstrap() -> None:
    ours = paired_difference(A, B).interval
    theirs = stats.bootstrap(
        (A, B),
        lambda a, b: np.mean(a) - np.mean(b),
        paired=True,
        vectorized=False,
        n_resamples=5_000,
        method="percentile",
        rng=np.random.default_rng(2),
    )
    assert ours is not None
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.01)


def test_permutation_by_hand() -> None:
    """Differences 1, 1, 1: of 8 sign patterns only +++ and --- reach |3|. With -1 in it, all 8 reach |1|."""
    assert paired_difference([1.0] * 3, [0.0] * 3).p_value == pytest.approx(2 / 8)
    assert paired_difference([1.0, 1.0, 0.0], [0.0, 0.0, 1.0]).p_value == 1.0


@pytest.mark.parametrize("n", [6, 12, 60])
def test_permutation_agrees_with_scipy(n: int) -> None:
    def statistic(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        return np.mean(a - b, axis=axis)  # type: ignore[no-any-return]

    theirs = stats.permutation_test(
        (A[:n], B[:n]), statistic, permutation_type="samples", n_resamples=10_000, rng=np.random.default_rng(1)
    )
    tolerance = 1e-9 if n <= 12 else 0.02
    assert paired_difference(A[:n], B[:n]).p_value == pytest.approx(float(theirs.pvalue), abs=tolerance)


def test_memory_stays_bounded_for_5000_problems() -> None:
    values = (np.arange(5000) % 9 / 8).tolist()
    tracemalloc.start()
    found = paired_difference(values, [0.5] * 5000)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 100 * 2**20
    assert found.interval is not None
    error = standard_error([value - 0.5 for value in values])
    assert error is not None
    assert found.interval.high - found.interval.low == pytest.approx(2 * 1.96 * error, rel=0.05)
