"""Cutting a ranking: counts, shares, limits by problem, groups, and a reason for every row."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_app.errors import StageError
from distill_app.selectors import Ranking
from distill_app.selectors._top import count, keep, units
from tests.selectors.tables import candidates, kept, pool

ROWS = [("a", "p", 0.9), ("b", "p", 0.8), ("c", "p", 0.7), ("d", "q", 0.6), ("e", "r", 0.5)]


def ranked(order: list[int], eligible: list[bool] | None = None, scores: list[float] | None = None) -> Ranking:
    given = np.array(scores or [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3][: len(order)])
    mask = None if eligible is None else np.array(eligible)
    return Ranking(np.array(order), given, lambda position: f"row {position}", mask)


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
    with pytest.raises(StageError, match=r"asks for 6 rows and there are 5 candidates\. Set top to at most 5"):
        count(6, 5)
    with pytest.raises(StageError, match=r"asks for 6 groups and there are 5 groups of candidates"):
        count(6, 5, "group")
    with pytest.raises(StageError, match=r"50% of 1 groups of candidates is less than one group"):
        count("50%", 1, "group")
    with pytest.raises(StageError, match="no candidate"):
        count("50%", 0)


def test_decisions_by_hand() -> None:
    decisions = keep(pool(ROWS), ranked([0, 1, 2, 3, 4]), 3, 2, "row")
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
    decisions = keep(pool(ROWS), ranked([4, 2, 0, 1, 3]), "40%", None, "row")
    assert [d.id for d in decisions] == ["a", "b", "c", "d", "e"]
    assert kept(decisions) == {"e", "c"}
    assert [d.rank for d in decisions] == [3, 4, 2, 5, 1]


def test_a_row_that_is_not_eligible_is_never_kept_and_has_no_rank() -> None:
    ranking = ranked([2, 4, 3, 0, 1], [False, False, True, True, True], [0.9, float("nan"), 0.7, 0.6, 0.5])
    decisions = keep(pool(ROWS), ranking, 2, None, "row")
    assert [(d.kept, d.rank, d.score, d.reason) for d in decisions] == [
        (False, None, 0.9, "left: row 0"),
        (False, None, None, "left: row 1"),
        (True, 1, 0.7, "kept: 1 of 2; row 2"),
        (False, 3, 0.6, "left: the 2 rows are full before rank 3; row 3"),
        (True, 2, 0.5, "kept: 2 of 2; row 4"),
    ]


def test_too_few_is_refused_and_says_what_to_change() -> None:
    with pytest.raises(StageError, match=r"asks for 4 rows and only 3 can be kept: per_problem is 1\.") as caught:
        keep(pool(ROWS), ranked([0, 1, 2, 3, 4]), 4, 1, "row")
    assert caught.value.hint == "Set top to at most 3; or raise per_problem."
    none = ranked([2, 3, 4, 0, 1], [False, False, True, True, True])
    with pytest.raises(StageError, match=r"only 3 can be kept: the selector leaves out 2 of 5 candidates, such as 'a'"):
        keep(pool(ROWS), none, 4, None, "row")
    with pytest.raises(StageError) as caught:
        keep(pool(ROWS), ranked([0, 1, 2, 3, 4], [False] * 5), 4, None, "row")
    assert "Set top" not in caught.value.hint
    assert "pool larger" in caught.value.hint


# Groups x = {a, d}, y = {b}, z = {c, e, f}; the ranking d e b a c f gives the rows the ranks
# a 4, b 3, c 5, d 1, e 2, f 6: means x (4 + 1) / 2 = 2.5, y 3, z (5 + 2 + 6) / 3 = 4.33.
GROUPED = candidates("abcdef", "ppqqrr", groups=list("xyzxzz"))
ORDER = [3, 4, 1, 0, 2, 5]


def test_groups_stand_by_the_mean_rank_of_their_rows() -> None:
    assert units(GROUPED, "group") == 3
    assert units(GROUPED, "row") == 6
    for top, expected in ((1, "ad"), (2, "abd"), (3, "abcdef"), ("70%", "abd")):
        assert kept(keep(GROUPED, ranked(ORDER), top, None, "group")) == set(expected)
    decisions = keep(GROUPED, ranked(ORDER), 1, None, "group")
    assert [d.rank for d in decisions] == [4, 3, 5, 1, 2, 6]
    assert decisions[0].reason == "kept: group 1 of 1, 2 rows of mean rank 2.5; row 0"
    assert decisions[1].reason == "left: the 1 groups are full before this one, 1 row of rank 3; row 1"
    assert decisions[2].reason.startswith("left: the 1 groups are full before this one, 3 rows of mean rank 4.33333;")


def test_groups_of_equal_mean_rank_stand_by_their_id() -> None:
    for groups, expected in ((list("vwvw"), "ac"), (list("wvwv"), "bd")):
        given = candidates("abcd", groups=groups)
        # Ranks a 1, b 2, d 3, c 4: both means are 2.5.
        assert kept(keep(given, ranked([0, 1, 3, 2]), 1, None, "group")) == set(expected)


def test_per_problem_counts_groups() -> None:
    # x holds rows of p and q, y one of p, z rows of q and r: one group a problem keeps x and then nothing of p or q.
    with pytest.raises(StageError, match="asks for 2 groups and only 1 can be kept: per_problem is 1"):
        keep(GROUPED, ranked(ORDER), 2, 1, "group")
    decisions = keep(GROUPED, ranked(ORDER), 2, 2, "group")
    assert kept(decisions) == {"a", "b", "d"}
    given = candidates("abc", "ppq", groups=list("xyz"))
    decisions = keep(given, ranked([0, 1, 2]), 2, 1, "group")
    assert kept(decisions) == {"a", "c"}
    assert decisions[1].reason == "left: 1 group of this problem is kept already; row 1"


def test_a_group_with_a_row_that_is_not_eligible_is_left_as_a_whole() -> None:
    eligible = [False, True, True, True, True, True]
    decisions = keep(GROUPED, ranked([3, 4, 1, 2, 5, 0], eligible), 2, None, "group")
    assert kept(decisions) == {"b", "c", "e", "f"}
    assert decisions[0].reason == "left: row 0"
    assert decisions[0].rank is None
    assert decisions[3].reason == "left: row 'a' of its group cannot be kept; row 3"
    assert decisions[3].rank == 1


def test_a_pool_without_groups_holds_rows_that_stand_alone() -> None:
    one, other = (keep(pool(ROWS), ranked([4, 2, 0, 1, 3]), 2, None, unit) for unit in ("row", "group"))
    assert one == other


def test_a_share_counts_from_the_whole_pool() -> None:
    whole = candidates("abcdefgh", groups=list("xxyyzzvv"))
    part = candidates("abcd", groups=list("xxyy"), reference=whole)
    assert len(kept(keep(part, ranked([0, 1, 2, 3]), "25%", None, "row"))) == 2
    assert kept(keep(part, ranked([0, 1, 2, 3]), "25%", None, "group")) == {"a", "b"}
    with pytest.raises(StageError, match="asks for 6 rows and only 4 can be kept") as caught:
        keep(part, ranked([0, 1, 2, 3]), "75%", None, "row")
    assert "selector.candidates" in caught.value.hint


@pytest.mark.parametrize("on", [True, False])
def test_the_collector_is_left_as_it_was(on: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if on else gc.disable)()
        seen = []
        ranking = Ranking(np.arange(5), np.zeros(5), lambda _: str(seen.append(gc.isenabled())))
        keep(pool(ROWS), ranking, 2, None, "row")
        assert seen == [False] * 5
        assert gc.isenabled() is on
        with pytest.raises(StageError):
            keep(pool(ROWS), ranking, 4, 1, "row")
        assert gc.isenabled() is on
    finally:
        (gc.enable if before else gc.disable)()


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=30), st.data())
def test_keep_equals_the_plain_loop(rows: list[tuple[int, bool]], data: st.DataObject) -> None:
    names = [f"r{n:02d}" for n in range(len(rows))]
    given = candidates(names, [str(problem) for problem, _ in rows])
    order = data.draw(st.permutations(range(len(rows))))
    eligible = [fine for _, fine in rows]
    order = [row for row in order if eligible[row]] + [row for row in order if not eligible[row]]
    limit = data.draw(st.sampled_from([None, 1, 2]))
    wanted = data.draw(st.integers(1, len(rows)))
    taken: list[int] = []
    for row in order:
        same = sum(rows[other][0] == rows[row][0] for other in taken)
        if eligible[row] and len(taken) < wanted and (limit is None or same < limit):
            taken.append(row)
    ranking = Ranking(np.array(order), np.zeros(len(rows)), str, np.array(eligible))
    if len(taken) < wanted:
        with pytest.raises(StageError, match=f"only {len(taken)} can be kept"):
            keep(given, ranking, wanted, limit, "row")
    else:
        assert kept(keep(given, ranking, wanted, limit, "row")) == {names[row] for row in taken}
