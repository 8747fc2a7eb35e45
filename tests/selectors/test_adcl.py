"""ADCL over epochs, by hand: bands of the current difficulty from easy to hard."""

from __future__ import annotations

import dataclasses
import math

import pytest

from distill_app.seeds import derive
from distill_app.selectors import adcl
from tests.selectors.tables import candidates, ids, options

# Perplexity without the question rises from a to h; with it, it falls.
POOL = candidates(
    "abcdefgh",
    nll_alone=[math.log(value) for value in range(1, 9)],
    nll=[math.log(value) for value in range(8, 0, -1)],
)


def band(epoch: int, epochs: int, top: int | str, **chosen: object) -> str:
    given = dataclasses.replace(POOL, epoch=epoch, epochs=epochs)
    wide = {2: 2, "50%": 4, "25%": 2}[top]
    return "".join(ids(given, "adcl", top=top, dynamic=True, **chosen)[:wide])


def test_bands_by_hand() -> None:
    assert [band(epoch, 4, 2) for epoch in range(4)] == ["ab", "cd", "ef", "gh"]
    assert [band(epoch, 2, "50%") for epoch in range(2)] == ["abcd", "efgh"]
    # Wider than a third: bands overlap, evenly spaced from the easiest to the hardest.
    assert [band(epoch, 3, "50%") for epoch in range(3)] == ["abcd", "cdef", "efgh"]
    assert [band(epoch, 2, "25%", metric="cppl") for epoch in range(2)] == ["hg", "ba"]
    assert band(0, 1, 2) == "ab"


def test_rows_beyond_the_band_stand_by_how_near_they_are() -> None:
    given = dataclasses.replace(POOL, epoch=1, epochs=4)
    assert "".join(ids(given, "adcl", top=2)) == "cdbeafgh"
    ranking = adcl.rank(given, options("adcl", top=2), 0)
    assert ranking.explain(2) == "PPL 3.0000, place 3 from the easiest; epoch 2 of 4 takes 3 to 4"
    assert ranking.scores == pytest.approx(range(1, 9))
    assert ranking.facts["label"] == "ADCL as a selector (inferred)"


def test_the_difficulty_is_the_current_one() -> None:
    learned = dataclasses.replace(POOL, signals={"nll_alone": -POOL.signals["nll_alone"]}, epoch=1, epochs=2)
    assert set(ids(learned, "adcl", top=2)[:2]) == {"a", "b"}, "a and b are the hardest now"


def test_equals_stand_by_their_draw_and_a_share_is_of_the_whole_pool() -> None:
    whole = candidates("abcdefgh", nll_alone=[1.0] * 8)
    part = candidates("abcd", nll_alone=[1.0] * 4, reference=whole, epoch=1, epochs=2)
    drawn = sorted("abcd", key=lambda name: derive(3, name))
    # A quarter of eight rows is two: the second of two bands is the last two of four.
    assert ids(part, "adcl", 3, top="25%")[:2] == drawn[2:]


def test_groups_widen_the_band() -> None:
    given = dataclasses.replace(POOL, groups=list("wwxxyyzz"), epoch=1, epochs=2)
    ranking = adcl.rank(given, options("adcl", top=2, unit="group"), 0)
    assert (ranking.facts["first"], ranking.facts["last"]) == (5, 8)
