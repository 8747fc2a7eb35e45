"""The placement test's draw: size, source, and that only seed and ids decide."""

from __future__ import annotations

import random

import pytest

from distill_app.errors import StageError
from distill_app.selection.placement import draw

IDS = [f"t{n:03d}" for n in range(200)]
QUALITY = [n / 200 for n in range(200)]


def test_it_comes_from_the_best_tenth() -> None:
    drawn = draw(IDS, QUALITY, rows=15, from_top="10%", seed=1)
    assert len(set(drawn)) == 15
    assert min(drawn) >= "t180"
    assert drawn == sorted(drawn)


@pytest.mark.parametrize(
    ("rows", "candidates", "expected"),
    [(None, 200, 4), (None, 10_000, 100), (None, 40, 1), ("5%", 200, 10), (7, 200, 7)],
)
def test_size(rows: int | str | None, candidates: int, expected: int) -> None:
    ids = [str(n) for n in range(candidates)]
    assert len(draw(ids, [0.0] * candidates, rows=rows, from_top="10%", seed=0)) == expected


def test_order_of_the_rows_does_not_matter_and_the_seed_does() -> None:
    mixed = list(zip(IDS, [0.5] * 200, strict=True))
    random.Random(3).shuffle(mixed)
    ids, quality = [name for name, _ in mixed], [value for _, value in mixed]
    first = draw(IDS, [0.5] * 200, rows=10, from_top="10%", seed=0)
    assert draw(ids, quality, rows=10, from_top="10%", seed=0) == first
    assert draw(ids, quality, rows=10, from_top="10%", seed=1) != first


@pytest.mark.parametrize("rows", [21, "11%", "0.1%"])
def test_more_than_the_best_hold(rows: int | str) -> None:
    with pytest.raises(StageError, match="the best 10% of 200 candidates are 20") as told:
        draw(IDS, QUALITY, rows=rows, from_top="10%", seed=0)
    assert "Set capability.rows to at most 20" in told.value.hint
