"""Bands of perplexity, by hand."""

from __future__ import annotations

import math

import pytest

from distill_app.seeds import derive
from distill_app.selectors import perplexity
from tests.selectors.tables import candidates, ids, options

# CPPL 1, 5, 2, 4, 3; PPL the other way round: 6, 2, 5, 3, 4.
POOL = candidates(
    "abcde",
    nll=[math.log(value) for value in (1, 5, 2, 4, 3)],
    nll_alone=[math.log(value) for value in (6, 2, 5, 3, 4)],
)


def test_top_and_bottom_by_hand() -> None:
    assert ids(POOL, "perplexity") == ["b", "d", "e", "c", "a"]
    assert ids(POOL, "perplexity", band="bottom") == ["a", "c", "e", "d", "b"]
    assert ids(POOL, "perplexity", metric="ppl") == ["a", "c", "e", "d", "b"]


def test_the_middle_goes_outwards_from_the_median() -> None:
    for seed in range(8):
        # e is the median; c and d are one rank from it, a and b two: each pair stands by its draw.
        near, far = (sorted(pair, key=lambda name: derive(seed, name)) for pair in ("cd", "ab"))
        assert ids(POOL, "perplexity", seed, band="middle") == ["e", *near, *far]


def test_scores_are_perplexities() -> None:
    ranking = perplexity.rank(POOL, options("perplexity"), 0)
    assert ranking.scores == pytest.approx([1, 5, 2, 4, 3])
    assert ranking.explain(1) == "CPPL 5.0000"
    assert ranking.facts["median"] == pytest.approx(3)
