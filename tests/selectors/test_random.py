"""The random selector: by id and seed alone, and even."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from distill_app.seeds import derive
from distill_app.selectors import _top, random, seeded_keys
from tests.selectors.tables import kept, pool

OPTIONS = random.Options(top=3, per_problem=None)
ROWS = [(f"row-{n}", f"p{n % 4}", 0.0) for n in range(12)]


def select(rows: list[tuple[str, str, float]], seed: int) -> set[str]:
    candidates = pool(rows)
    return kept(_top.keep(candidates, random.rank(candidates, OPTIONS, seed), 3, None))


def test_keys_are_the_derived_seeds() -> None:
    ids = ["a", "b/c", "ü"]
    assert seeded_keys(ids, 17).tolist() == [derive(17, name) for name in ids]


def test_the_three_lowest_draws_are_kept() -> None:
    expected = sorted((derive(5, name), name) for name, _, _ in ROWS)[:3]
    assert select(ROWS, 5) == {name for _, name in expected}


@given(st.permutations(ROWS), st.integers(0, 2**31 - 1))
def test_the_order_of_rows_changes_nothing(rows: list[tuple[str, str, float]], seed: int) -> None:
    assert select(rows, seed) == select(ROWS, seed)


def test_every_row_is_as_likely() -> None:
    counts = Counter(name for seed in range(2000) for name in select(ROWS, seed))
    # 3 of 12 rows: 500 of 2,000 each, standard deviation 19.
    assert all(410 < counts[name] < 590 for name, _, _ in ROWS)
