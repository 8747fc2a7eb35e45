"""Bands of length, by hand."""

from __future__ import annotations

from distill_app.seeds import derive
from distill_app.selectors import length
from tests.selectors.tables import candidates, ids, options

POOL = candidates("abcde", tokens=[10, 50, 20, 40, 30])


def test_bands_by_hand() -> None:
    assert ids(POOL, "length") == ["b", "d", "e", "c", "a"]
    assert ids(POOL, "length", band="shortest") == ["a", "c", "e", "d", "b"]
    near, far = (sorted(pair, key=lambda name: derive(4, name)) for pair in ("cd", "ab"))
    assert ids(POOL, "length", 4, band="middle") == ["e", *near, *far]


def test_equals_stand_by_their_draw() -> None:
    given = candidates("abcd", tokens=[5, 5, 5, 9])
    for seed in range(6):
        assert ids(given, "length", seed) == ["d", *sorted("abc", key=lambda name: derive(seed, name))]


def test_reasons() -> None:
    ranking = length.rank(POOL, options("length"), 0)
    assert ranking.explain(1) == "50 tokens"
    assert ranking.facts == {"median_tokens": 30.0}
