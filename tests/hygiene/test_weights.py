"""Teachers in proportion: counts by hand, and that ids and seed alone decide which rows stay."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from distill_app.errors import StageError
from distill_app.hygiene import weights
from tests.hygiene.rows import trace


@pytest.mark.parametrize(
    ("rows", "given", "expected"),
    [
        ({"a": 100, "b": 50}, {"a": 1, "b": 2}, {"a": 25, "b": 50}),
        ({"a": 100, "b": 50}, {"a": 2, "b": 1}, {"a": 100, "b": 50}),
        ({"a": 10, "b": 10}, {"a": 1, "b": 3}, {"a": 3, "b": 10}),  # 10 / 3, rounded down
        ({"a": 7, "b": 3}, {"a": 0.7, "b": 0.3}, {"a": 7, "b": 3}),  # 3 / 0.3 * 0.7 is 6.999... in floats
        ({"a": 9, "b": 4, "c": 8}, {"a": 1, "b": 1, "c": 1}, {"a": 4, "b": 4, "c": 4}),
        ({"a": 5}, {"a": 0.1}, {"a": 5}),
        ({"a": 5}, {}, {}),
    ],
)
def test_counts(rows: dict[str, int], given: dict[str, float], expected: dict[str, int]) -> None:
    assert weights.counts(rows, given) == expected


def test_a_teacher_without_rows_has_no_proportion() -> None:
    with pytest.raises(StageError, match="leave no row of b, which has a weight"):
        weights.counts({"a": 5}, {"a": 1, "b": 1})


def test_rows_are_drawn_by_id_and_teachers_without_a_weight_keep_theirs() -> None:
    rows = [trace(f"p{n}/{who}", teacher=who) for n in range(60) for who in ("ann", "bob", "eve")]
    given = {"ann": 1.0, "bob": 0.5, "eve": None}
    found = weights.check(rows, given, 7)
    assert Counter(row.teacher for row in rows if row.id not in found) == {"ann": 60, "bob": 30, "eve": 60}
    assert found["p0/bob" if "p0/bob" in found else min(found)].said == (
        "more than its teacher's weight takes; 30 rows of bob are in proportion"
    )
    mixed = random.Random(0).sample(rows, len(rows))
    assert weights.check(mixed, given, 7).keys() == found.keys()
    assert weights.check(rows, given, 8).keys() != found.keys()
    # With fewer of the same rows, those that stay are still the first drawn.
    fewer = [row for row in rows if row.teacher != "ann" or int(row.id[1:].split("/")[0]) < 40]
    kept = {row.id for row in rows if row.teacher == "bob"} - found.keys()
    kept_of_fewer = {row.id for row in fewer if row.teacher == "bob"} - weights.check(fewer, given, 7).keys()
    assert len(kept_of_fewer) == 20
    assert kept_of_fewer < kept


def test_groups_stay_whole() -> None:
    rows = [trace(f"a{n}", teacher="ann") for n in range(10)]
    rows += [trace(f"b{n}", teacher="bob", group=f"g{n // 3}") for n in range(24)]
    found = weights.check(rows, {"ann": 1.0, "bob": 1.0}, 0)
    left = Counter(row.group for row in rows if row.id not in found)
    assert left[None] == 10
    assert sorted(left.values()) == [3, 3, 3, 10]  # 9 of 10: another group would not fit
