"""The random selector: by id, seed and epoch alone, and even."""

from __future__ import annotations

import dataclasses
from collections import Counter

from distill_app.seeds import derive
from distill_app.selectors import seeded_keys
from tests.selectors.tables import ids, pool, select

ROWS = [(f"row-{n}", f"p{n % 4}", 0.0) for n in range(12)]
NAMES = [name for name, _, _ in ROWS]


def test_keys_are_the_derived_seeds() -> None:
    names = ["a", "b/c", "ü"]
    assert seeded_keys(names, 17).tolist() == [derive(17, name) for name in names]


def test_the_three_lowest_draws_are_kept() -> None:
    expected = sorted(NAMES, key=lambda name: derive(5, name))
    assert ids(pool(ROWS), "random", 5) == expected
    assert select(pool(ROWS), "random", 5, top=3) == set(expected[:3])


def test_every_row_is_as_likely() -> None:
    counts = Counter(name for seed in range(2000) for name in select(pool(ROWS), "random", seed, top=3))
    # 3 of 12 rows: 500 of 2,000 each, standard deviation 19.
    assert all(410 < counts[name] < 590 for name in NAMES)


def test_each_epoch_draws_afresh_and_the_first_as_the_static_arm() -> None:
    def at(epoch: int) -> list[str]:
        return ids(dataclasses.replace(pool(ROWS), epoch=epoch, epochs=4), "random", 5, dynamic=True)

    assert at(0) == ids(pool(ROWS), "random", 5)
    for epoch in (1, 2, 3):
        assert at(epoch) == sorted(NAMES, key=lambda name: derive(derive(5, "epoch", epoch), name))
    assert len({tuple(at(epoch)) for epoch in range(4)}) == 4
    # Fresh and even: over 1,000 seeds the second epoch keeps 3 of the first epoch's 6 of 12, on average.
    again = dataclasses.replace(pool(ROWS), epoch=1)
    shared = sum(
        len(select(pool(ROWS), "random", seed, top=6) & select(again, "random", seed, top=6)) for seed in range(1000)
    )
    assert 2900 < shared < 3100
