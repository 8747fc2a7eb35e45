"""Common scales for signals: equal to scipy's where scipy has them, and frozen to what they were fitted on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from distill_app.errors import StageError
from distill_app.selectors._normalise import by_band, fit, ranks, spearman

FEW = st.lists(st.sampled_from([-2.0, 0.0, 0.5, 1.0, 7.0]), min_size=3, max_size=40)


@given(FEW)
def test_percentile_is_scipys_average_rank_over_n(values: list[float]) -> None:
    x = np.array(values)
    assert fit(x, "percentile", 0.0, "it").apply(x) == pytest.approx(rankdata(x) / len(x), abs=1e-15)
    assert ranks(x) == pytest.approx(rankdata(x), abs=1e-12)


def test_percentile_of_other_rows_by_hand() -> None:
    scale = fit(np.array([1.0, 2.0, 2.0, 4.0]), "percentile", 0.0, "it")
    # Below all: half a rank. Between 2 and 4: three ranks below, so 3.5. Above all: no more than 1.
    assert scale.apply(np.array([0.0, 1.0, 2.0, 3.0, 4.0, 9.0])) == pytest.approx(
        [0.5 / 4, 1 / 4, 2.5 / 4, 3.5 / 4, 1.0, 1.0]
    )


def test_minmax_by_hand() -> None:
    # Quantiles 0.25 and 0.75 of 0..4 are 1 and 3.
    scale = fit(np.arange(5.0), "minmax", 0.25, "it")
    assert scale.apply(np.array([0.0, 1.0, 1.5, 2.0, 3.0, 4.0])) == pytest.approx([0, 0, 0.25, 0.5, 1, 1])
    assert dict(scale.facts) == {"low": 1.0, "high": 3.0, "clip": 0.25}


def test_robust_z_by_hand() -> None:
    # 1..5: median 3, quartiles 2 and 4, so one unit is 2 / 1.349.
    scale = fit(np.arange(1.0, 6.0), "z", 0.0, "it")
    assert scale.apply(np.array([1.0, 3.0, 4.0])) == pytest.approx([-1.349, 0.0, 0.6745])
    normal = np.random.default_rng(0).normal(5.0, 3.0, 100_000)
    z = fit(normal, "z", 0.0, "it").apply(normal)
    assert float(z.std()) == pytest.approx(1.0, abs=0.01)


def test_sigmoid_and_raw() -> None:
    values = np.array([0.0, np.log(3.0), -1000.0, 1000.0])
    assert fit(values, "sigmoid", 0.0, "it").apply(values) == pytest.approx([0.5, 0.75, 0.0, 1.0])
    assert fit(values, "raw", 0.0, "it").apply(values) is values


@pytest.mark.parametrize("method", ["minmax", "z"])
def test_a_constant_signal_is_refused_with_what_to_change(method: str) -> None:
    with pytest.raises(StageError, match=r"cannot scale the quality.*1") as caught:
        fit(np.array([0.0, *[1.0] * 99, 2.0]), method, 0.02, "the quality")
    assert "percentile" in caught.value.hint
    assert fit(np.ones(4), "percentile", 0.0, "it").apply(np.ones(4)).tolist() == [0.625] * 4  # 2.5 of 4


@given(FEW, st.randoms(use_true_random=False))
def test_spearman_is_scipys(values: list[float], random: object) -> None:
    x = np.array(values)
    y = np.array([random.choice([0.0, 1.0, 3.0]) for _ in values])  # type: ignore[attr-defined]
    if len(set(values)) == 1 or len(set(y.tolist())) == 1:
        assert spearman(x, y) is None
    else:
        assert spearman(x, y) == pytest.approx(float(spearmanr(x, y).statistic), abs=1e-12)


def test_bands_by_hand() -> None:
    values, keys = np.array([5.0, 1.0, 3.0, 3.0, 9.0]), np.array([4, 3, 2, 1, 0])
    assert by_band(values, "high", keys).tolist() == [4, 0, 3, 2, 1]
    assert by_band(values, "low", keys).tolist() == [1, 3, 2, 0, 4]
    # Ranks 4, 1, 2.5, 2.5, 5 are 1, 2, 0.5, 0.5, 2 from the middle rank 3.
    assert by_band(values, "middle", keys).tolist() == [3, 2, 0, 4, 1]
