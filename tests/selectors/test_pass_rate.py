"""The band of pass rates, by hand: inside by draw, outside and unknown left with the reason."""

from __future__ import annotations

import pytest

from distill_app.errors import StageError
from distill_app.seeds import derive
from distill_app.selectors import pass_rate
from tests.selectors.tables import candidates, ids, options

NONE = float("nan")
RATES = [0.1, 0.25, 0.5, 0.625, 0.7, NONE]
POOL = candidates("abcdef", pass_rate=RATES, numbers__rate=[1.0, 0.9, 0.5, 0.5, 0.4, 0.2])


def test_inside_the_band_by_draw() -> None:
    for seed in range(6):
        assert ids(POOL, "pass_rate", seed) == sorted("bcd", key=lambda name: derive(seed, name))
    assert set(ids(POOL, "pass_rate", low=0.0, high=0.25)) == {"a", "b"}
    assert set(ids(POOL, "pass_rate", source="rate", low=0.4, high=0.5)) == {"c", "d", "e"}


def test_every_row_has_its_reason() -> None:
    ranking = pass_rate.rank(POOL, options("pass_rate"), 0)
    assert [ranking.explain(row) for row in (0, 1, 4, 5)] == [
        "pass rate 0.100 is outside 0.25 to 0.625",
        "pass rate 0.250 is inside 0.25 to 0.625",
        "pass rate 0.700 is outside 0.25 to 0.625",
        "its pass rate is not known",
    ]
    assert ranking.facts == {"source": "student", "inside": 3, "unknown": 1, "below": 1, "above": 1}


def test_needs_depend_on_the_source() -> None:
    assert pass_rate.needs(options("pass_rate")) == {"answers"}
    assert pass_rate.needs(options("pass_rate", source="rate")) == {"numbers"}


def test_an_empty_band_is_refused() -> None:
    used = options("pass_rate", low=0.7, high=0.3)
    assert pass_rate.check(options("pass_rate")) == []
    assert pass_rate.check(used) == [("low", "the band from 0.7 to 0.3 is empty.", "Set low to at most high.")]
    with pytest.raises(StageError, match=r"selector\.low: the band from 0\.7 to 0\.3 is empty"):
        pass_rate.rank(POOL, used, 0)


def test_a_column_that_is_missing_or_no_rate_is_refused() -> None:
    with pytest.raises(StageError, match=r"no numbers in a column 'rat'; they have rate\. Did you mean 'rate'\?"):
        pass_rate.rank(POOL, options("pass_rate", source="rat"), 0)
    given = candidates("ab", numbers__rate=[0.5, 62.5])
    with pytest.raises(StageError, match=r"outside 0 to 1 in 1 of 2 candidates, such as 'b' \(62\.5\)"):
        pass_rate.rank(given, options("pass_rate", source="rate"), 0)
