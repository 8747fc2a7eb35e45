"""Cutting a ranking: counts, shares, limits by problem, and a reason for every row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_app.errors import StageError
from distill_app.selectors import Ranking
from distill_app.selectors._top import count, keep
from tests.selectors.tables import kept, pool

ROWS = [("a", "p", 0.9), ("b", "p", 0.8), ("c", "p", 0.7), ("d", "q", 0.6), ("e", "r", 0.5)]


def ranked(order: list[int]) -> Ranking:
    return Ranking(np.array(order), np.array([0.9, 0.8, 0.7, 0.6, 0.5]), lambda position: f"row {position}")


@pytest.mark.parametrize(
    ("top", "candidates", "expected"),
    [("12.5%", 800, 100), ("12.5%", 15, 1), ("100%", 7, 7), ("33.3%", 10, 3), (5, 5, 5), ("29%", 100, 29)],
)
def test_count(top: str | int, candidates: int, expected: int) -> None:
    assert count(top, candidates) == expected  # 0.29 * 100 is 28.999... in floats


def test_a_share_of_nothing_names_the_smallest_that_works() -> None:
    with pytest.raises(StageError, match=r"smallest share that selects a row is 14\.29%") as caught:
        count("12.5%", 7)
    assert count(caught.value.hint.split()[-1].rstrip("."), 7) == 1


@given(st.integers(2, 5_000_000))
def test_the_named_share_always_selects_one_row(candidates: int) -> None:
    with pytest.raises(StageError) as caught:
        count("0.000000001%", candidates)
    assert count(caught.value.hint.split()[-1].rstrip("."), candidates) == 1


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(StageError, match="asks for 6 rows and there are 5"):
        count(6, 5)
    with pytest.raises(StageError, match="no candidate"):
        count("50%", 0)


def test_decisions_by_hand() -> None:
    decisions = keep(pool(ROWS), ranked([0, 1, 2, 3, 4]), 3, 2)
    assert kept(decisions) == {"a", "b", "d"}
    assert [(d.id, d.rank, d.score) for d in decisions] == [
        ("a", 1, 0.9), ("b", 2, 0.8), ("c", 3, 0.7), ("d", 4, 0.6), ("e", 5, 0.5),
    ]  # fmt: skip
    assert [d.reason for d in decisions] == [
        "kept: 1 of 3; row 0",
        "kept: 2 of 3; row 1",
        "left: 2 rows of this problem are kept already; row 2",
        "kept: 3 of 3; row 3",
        "left: the 3 rows are full before rank 5; row 4",
    ]


def test_decisions_follow_the_pool_whatever_the_ranking() -> None:
    decisions = keep(pool(ROWS), ranked([4, 2, 0, 1, 3]), "40%", None)
    assert [d.id for d in decisions] == ["a", "b", "c", "d", "e"]
    assert kept(decisions) == {"e", "c"}
    assert [d.rank for d in decisions] == [3, 4, 2, 5, 1]


def test_too_few_problems_for_per_problem_is_refused() -> None:
    with pytest.raises(StageError, match="only 3 can be kept"):
        keep(pool(ROWS), ranked([0, 1, 2, 3, 4]), 4, 1)
