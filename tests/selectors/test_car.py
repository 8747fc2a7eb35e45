"""CAR per record: the formula by hand, and no inverted meaning for negative rewards."""

from __future__ import annotations

import numpy as np
import pytest

from distill_app.errors import StageError
from distill_app.selectors import car
from tests.selectors.tables import candidates, ids, options

POOL = candidates("abc", quality=[0.9, 0.5, 0.7], nll=[1.0, 0.2, 0.5])


def test_raw_by_hand() -> None:
    # beta 1: 0.9 / 2 = 0.45, 0.5 / 1.2 = 0.4167, 0.7 / 1.5 = 0.4667.
    ranking = car.rank(POOL, options("car", quality="raw"), 0)
    assert ranking.scores == pytest.approx([0.45, 0.5 / 1.2, 0.7 / 1.5])
    assert ids(POOL, "car", quality="raw") == ["c", "a", "b"]
    # beta 3: 0.9 / 4 = 0.225, 0.5 / 1.6 = 0.3125, 0.7 / 2.5 = 0.28. beta 0 is quality.
    assert ids(POOL, "car", quality="raw", beta=3.0) == ["b", "c", "a"]
    assert ids(POOL, "car", quality="raw", beta=0.0) == ["a", "c", "b"]
    assert ranking.explain(0) == "CAR (inferred form) 0.4500 = 0.9000 / (1 + 1 x 1.0000)"
    assert ranking.facts["label"] == "CAR per record (inferred form)"
    assert ranking.facts["beta"] == 1.0


def test_scales_by_hand() -> None:
    # Percentiles 3/3, 1/3, 2/3.
    ranking = car.rank(POOL, options("car"), 0)
    assert ranking.scores == pytest.approx([1 / 2, 1 / 3 / 1.2, 2 / 3 / 1.5])
    # Quantiles 0.25 and 0.75 of 0.5, 0.7, 0.9 are 0.6 and 0.8: 1, 0, 0.5 after clipping.
    ranking = car.rank(POOL, options("car", quality="minmax", clip=0.25), 0)
    assert ranking.scores == pytest.approx([1 / 2, 0.0, 0.5 / 1.5])
    given = candidates("ab", quality=[0.0, float(np.log(3))], nll=[1.0, 0.5])
    ranking = car.rank(given, options("car", quality="sigmoid"), 0)
    assert ranking.scores == pytest.approx([0.5 / 2, 0.75 / 1.5])


def test_negative_raw_rewards_are_refused_because_the_order_would_invert() -> None:
    given = candidates("ab", quality=[-2.0, -2.0], nll=[0.1, 3.0])
    with pytest.raises(StageError, match=r"2 of 2 candidates have one of 0 or less \(the least is -2\)") as caught:
        car.rank(given, options("car", quality="raw"), 0)
    assert "less negative" in caught.value.hint
    for quality in ("percentile", "sigmoid"):
        assert ids(given, "car", quality=quality) == ["a", "b"], "the smaller loss stands first"


def test_the_scale_stays_that_of_the_pool_before_training() -> None:
    part = candidates("ac", quality=[0.9, 0.7], nll=[0.2, 0.1], reference=POOL, epoch=1)
    ranking = car.rank(part, options("car"), 0)
    assert ranking.scores == pytest.approx([1 / 1.2, 2 / 3 / 1.1])
