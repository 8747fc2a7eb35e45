"""The rank-surprisal ratio by hand: lower is better."""

from __future__ import annotations

import pytest

from distill_app.selectors import rsr
from tests.selectors.tables import candidates, ids, options

# 100 / (0.5 * 100) = 2, 150 / (1 * 100) = 1.5, 400 / (0.8 * 100) = 5; d has no surprisal to divide by.
POOL = candidates("abcd", rank_sum=[100, 150, 400, 20], nll=[0.5, 1.0, 0.8, 0.0], tokens_scored=[100, 100, 100, 20])


def test_lowest_first() -> None:
    ranking = rsr.rank(POOL, options("rsr"), 0)
    assert ranking.scores[:3] == pytest.approx([2.0, 1.5, 5.0])
    assert ids(POOL, "rsr") == ["b", "a", "c"]
    assert ranking.explain(1) == "RSR 1.5000 = 150 / 100.00"
    assert ranking.explain(3) == "no RSR: the student is certain of every token"
    assert ranking.facts == {"left_out": 1}


def test_the_sum_counts_the_tokens_that_were_scored() -> None:
    # The same means over twice the tokens: 300 / (1 * 200) is the same ratio, 150 / (1 * 200) half of it.
    given = candidates("ab", rank_sum=[300, 150], nll=[1.0, 1.0], tokens_scored=[200, 200])
    assert rsr.rank(given, options("rsr"), 0).scores == pytest.approx([1.5, 0.75])
