"""IFD: perplexity with the question over perplexity without it, by hand; 1 or more is left out."""

from __future__ import annotations

import math

import pytest

from distill_app.errors import StageError
from distill_app.selectors import _top, ifd
from tests.selectors.tables import candidates, ids, options

# CPPL / PPL: 2/4 = 0.5, 4/5 = 0.8, 3/3 = 1, 6/5 = 1.2.
POOL = candidates(
    "abcd",
    nll=[math.log(value) for value in (2, 4, 3, 6)],
    nll_alone=[math.log(value) for value in (4, 5, 3, 5)],
)


def test_highest_below_one_first() -> None:
    ranking = ifd.rank(POOL, options("ifd"), 0)
    assert ranking.scores == pytest.approx([0.5, 0.8, 1.0, 1.2])
    assert ids(POOL, "ifd") == ["b", "a"]
    assert ranking.facts == {"left_out": 2}
    assert ranking.explain(0) == "IFD 0.5000"
    assert ranking.explain(3) == "IFD 1.2000 is 1 or more: the question does not help"


def test_too_few_below_one_is_refused() -> None:
    ranking = ifd.rank(POOL, options("ifd"), 0)
    with pytest.raises(StageError, match=r"only 2 can be kept: the selector leaves out 2 of 4 candidates, such as 'c'"):
        _top.keep(POOL, ranking, 3, None, "row")
