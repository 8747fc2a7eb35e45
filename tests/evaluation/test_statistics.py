"""Intervals and p-values against scipy, exact small cases by hand."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import stats

from distill_app import seeds
from distill_app.errors import UsageError
from distill_app.evaluation import resampling
from distill_app.evaluation.statistics import (
    Drawn,
    Interval,
    Stratum,
    behind_best,
    bounds,
    differences,
    distinguishable,
    estimates,
    holm,
    mean,
    means,
    n_clusters,
    paired,
    paired_p_values,
    resampled,
    sign_flip_p_values,
)
from tests.evaluation.one_line import interval, paired_difference, standard_error

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
    with pytest.raises(ValueError, match="shorter"):
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


CLUSTERS = [f"c{place // 4}" for place in range(40)] + [None] * 20
"""Ten clusters of four, twenty problems alone."""


def by_cluster(values: list[float]) -> tuple[list[float], list[float]]:
    sums = [sum(values[start : start + 4]) for start in range(0, 40, 4)] + values[40:]
    return sums, [4.0] * 10 + [1.0] * 20


def test_clustered_standard_error_by_hand() -> None:
    # Deviations from 1/2 sum to 1 and -1 in the two clusters: sqrt(2 / 1 * (1 + 1)) / 4.
    assert standard_error([1.0, 1.0, 0.0, 0.0], ["a", "a", "b", "b"]) == pytest.approx(0.5)
    # The same four problems alone: sqrt(4 / 4 / (4 * 3)).
    assert standard_error([1.0, 1.0, 0.0, 0.0]) == pytest.approx((1 / 12) ** 0.5)
    # Right and wrong in each cluster: the clusters do not differ.
    assert standard_error([1.0, 0.0, 1.0, 0.0], ["a", "a", "b", "b"]) == pytest.approx(0.0)
    assert standard_error([1.0, 0.0], ["a", "a"]) is None
    assert standard_error(A, [None] * 60) == pytest.approx(float(stats.sem(A)))
    assert n_clusters([Stratum("", [A], CLUSTERS)]) == 30
    assert n_clusters([Stratum("", [A], None), Stratum("", [A], CLUSTERS)]) == 90
    assert n_clusters([Stratum("", [A], [None] * 60)]) is None


def test_clustered_interval_agrees_with_scipys_bootstrap_of_clusters() -> None:
    ours = interval(A, CLUSTERS)
    theirs = stats.bootstrap(
        by_cluster(A),
        lambda sums, sizes, axis: sums.sum(axis=axis) / sizes.sum(axis=axis),
        paired=True,
        n_resamples=10_000,
        method="percentile",
        rng=np.random.default_rng(1),
    )
    assert ours is not None
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.008)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.008)
    assert interval([1.0, 0.0, 1.0], ["a", "a", "a"]) is None


def test_macro_interval_agrees_with_scipys_bootstrap_of_two_samples() -> None:
    short = B[:15]
    (ours,) = estimates([Stratum("long", [A]), Stratum("short", [short])])
    theirs = stats.bootstrap(
        (A, short),
        lambda a, b, axis: (a.mean(axis=axis) + b.mean(axis=axis)) / 2,
        n_resamples=10_000,
        method="percentile",
        rng=np.random.default_rng(1),
    )
    assert ours.mean == pytest.approx((mean(A) + mean(short)) / 2)
    assert ours.standard_error == pytest.approx((float(stats.sem(A)) ** 2 + float(stats.sem(short)) ** 2) ** 0.5 / 2)
    assert ours.interval is not None
    assert ours.interval.low == pytest.approx(theirs.confidence_interval.low, abs=0.008)
    assert ours.interval.high == pytest.approx(theirs.confidence_interval.high, abs=0.008)
    (one,) = estimates([Stratum("long", [A]), Stratum("one", [[0.5]])])
    assert (one.standard_error, one.interval) == (None, None)


def test_benchmarks_of_one_length_are_drawn_each_by_itself() -> None:
    """Two benchmarks with the same scores: drawn alike, their mean would vary as much as one of them."""
    one, both = estimates([Stratum("a", [A])])[0], estimates([Stratum("a", [A]), Stratum("b", [A])])[0]
    assert one.interval is not None
    assert both.interval is not None
    width, narrower = (found.high - found.low for found in (one.interval, both.interval))
    assert narrower / width == pytest.approx(2**-0.5, rel=0.05)


def test_lines_are_resampled_with_the_same_draws() -> None:
    draws = resampled([Stratum("x", [A, B, [a - b for a, b in zip(A, B, strict=True)]], CLUSTERS)])
    assert draws is not None
    assert draws[0] - draws[1] == pytest.approx(draws[2])
    assert bounds(draws[2:])[0] == paired_difference(A, B, CLUSTERS, name="x").interval
    assert means([Stratum("x", [A, B])]) == pytest.approx([float(np.mean(A)), float(np.mean(B))])


@pytest.mark.parametrize(("n", "short", "tolerance"), [(24, 5, 1e-9), (60, 60, 0.02)])
def test_clustered_and_macro_sign_flips_agree_with_scipy(n: int, short: int, tolerance: float) -> None:
    """Signs are flipped cluster by cluster; each difference weighs 1 / (problems * benchmarks)."""
    differences = [a - b for a, b in zip(A, B, strict=True)]
    clusters = CLUSTERS[:n]
    sums = [
        sum(x for x, own in zip(differences, clusters, strict=False) if own == name) for name in set(clusters) - {None}
    ]
    weighed = [x / n / 2 for x in sums + differences[40:n]] + [x / short / 2 for x in differences[:short]]
    theirs = stats.permutation_test(
        (weighed,),
        lambda x, axis: x.sum(axis=axis),
        permutation_type="samples",
        n_resamples=10_000,
        rng=np.random.default_rng(1),
    )
    ours = sign_flip_p_values([Stratum("a", [differences[:n]], clusters), Stratum("b", [differences[:short]])])
    assert ours == pytest.approx([float(theirs.pvalue)], abs=tolerance)


def test_a_cluster_has_one_sign() -> None:
    """Four differences of 1 in two clusters: 2 of 4 patterns reach the mean, not 2 of 16."""
    assert sign_flip_p_values([Stratum("", [[1.0] * 4], ["a", "a", "b", "b"])]) == [0.5]
    assert sign_flip_p_values([Stratum("", [[1.0] * 4])]) == [pytest.approx(2 / 16)]
    # Lines do not depend on each other: none, few and many differences.
    lines = [[0.0] * 60, [1.0] * 3 + [0.0] * 57, [a - b for a, b in zip(A, B, strict=True)]]
    together = sign_flip_p_values([Stratum("", lines)])
    assert together == [sign_flip_p_values([Stratum("", [line])])[0] for line in lines]
    assert together[:2] == [1.0, pytest.approx(2 / 8)]


def test_intervals_cover_the_true_mean_about_as_often_as_they_say() -> None:
    """600 benchmarks of 60 problems, right with chance 0.4: 95 % is 570, give or take 11 for two standard errors."""
    values = np.random.default_rng(11).binomial(1, 0.4, size=(600, 60)).astype(float)
    draws = resampled([Stratum("", values.tolist())])
    assert draws is not None
    covered = np.mean([found.low <= 0.4 <= found.high for found in bounds(draws)])
    assert 0.92 <= covered <= 0.97


def test_ignoring_clusters_is_too_sure() -> None:
    """Forty passages of six questions, mostly right or mostly wrong together."""
    generator = np.random.default_rng(12)
    chance = np.repeat(generator.beta(0.3, 0.3, size=(300, 40)), 6, axis=1)
    values = generator.binomial(1, chance).astype(float).tolist()
    clusters = [f"passage {place // 6}" for place in range(240)]
    covered, width = {}, {}
    for name, given in (("clustered", clusters), ("alone", None)):
        draws = resampled([Stratum("", values, given)])
        assert draws is not None
        found = bounds(draws)
        covered[name] = np.mean([ends.low <= 0.5 <= ends.high for ends in found])
        width[name] = np.mean([ends.high - ends.low for ends in found])
    assert covered["clustered"] > 0.91
    assert covered["alone"] < 0.75
    # Variance grows by 1 + (6 - 1) * 0.625, the correlation within a passage being 1 / (0.3 + 0.3 + 1).
    assert width["clustered"] / width["alone"] == pytest.approx((1 + 5 * 0.625) ** 0.5, rel=0.05)


def test_holm_by_hand() -> None:
    # Sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, and 0.04 * 1, which may not fall below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


def test_distinguishable_needs_the_interval_and_the_p_value() -> None:
    assert distinguishable(Interval(0.1, 0.2))
    assert distinguishable(Interval(-0.2, -0.1), 0.049)
    assert not distinguishable(Interval(0.1, 0.2), 0.05)
    assert not distinguishable(Interval(0.0, 0.2), 0.001)
    assert not distinguishable(None, 0.001)


def test_behind_best_of_one_and_of_equals() -> None:
    nothing = Interval(0.0, 0.0)
    assert behind_best([Stratum("", [A])]) == [(True, nothing, None)]
    assert behind_best([Stratum("", [A, A])]) == [(True, nothing, None), (True, nothing, 1.0)]
    low = [0.0] * len(A)
    (first, second) = behind_best([Stratum("", [A, low, A])], among=[2, 1])
    assert first == (True, nothing, None)
    assert [one.p_value for one in behind_best([Stratum("", [A, low, A])], among=[2, 0])] == [None, 1.0]
    assert not second.near
    assert second.interval
    assert second.interval.high < 0


def test_pairs_come_out_as_their_differences_do_and_each_line_is_drawn_once() -> None:
    lines = [A, B, A[::-1]]
    pairs = [(0, 1), (2, 1), (0, 2), (1, 1)]
    strata = [Stratum("a", lines), Stratum("b", [line[:20] for line in lines], [*"aabb", *[None] * 16])]
    drawn = Drawn()
    found = paired(strata, pairs, drawn)
    alone = differences([stratum.less(pairs) for stratum in strata])
    assert [one.interval for one in found] == [one.interval for one in alone]
    assert found == alone
    kept = dict(drawn.resampled), dict(drawn.flipped)
    assert paired_p_values(strata, pairs[:2], drawn) == [one.p_value for one in alone[:2]]
    assert paired(strata, pairs, drawn) == found
    assert all(drawn.resampled[key] is value for key, value in kept[0].items())
    assert (len(drawn.resampled), len(drawn.flipped)) == (len(kept[0]), len(kept[1])) == (6, 6)


def test_problems_are_drawn_the_same_however_many_at_a_time() -> None:
    sums = np.random.default_rng(seeds.derive(20_260_101, "x")).integers(0, 60, size=(10_000, 60))
    whole = np.array(A)[sums].mean(axis=1)
    (found,) = resampled([Stratum("x", [A])])
    np.testing.assert_allclose(found, whole, atol=1e-12)


@pytest.mark.parametrize("steps", [8, 7])
def test_draws_are_the_same_in_parts_and_eighths_to_the_bit_in_single_precision(
    monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    values = np.random.default_rng(1).integers(0, steps + 1, size=(3, 150)) / steps
    strata = [Stratum("x", values, [*(["p"] * 7), *(["q"] * 5), *([None] * 138)])]
    pairs = [(0, 1), (2, 1)]
    assert resampling._exact_in(values) is (np.float32 if steps == 8 else np.float64)
    draws, p_values = resampled(strata), paired_p_values(strata, pairs)
    monkeypatch.setattr(resampling, "_exact_in", lambda _: np.float64)
    monkeypatch.setattr(resampling, "_AT_ONCE", 100_000)
    # Sums in float64 are taken in another order where another number is at work at once.
    np.testing.assert_allclose(resampled(strata), draws, rtol=0, atol=0 if steps == 8 else 1e-12)
    assert paired_p_values(strata, pairs) == p_values


def test_a_tie_counts_where_differences_are_tiny_beside_the_scores() -> None:
    # 14 problems apart by 1e-9: by the lines' own sums, ties would be lost in rounding.
    one = [0.5 + (1e-9 if place < 14 else 0.0) for place in range(100)]
    two = [0.5] * 100
    strata = [Stratum("t", [one, two])]
    assert paired_p_values(strata, [(0, 1)]) == sign_flip_p_values([strata[0].less([(0, 1)])])
