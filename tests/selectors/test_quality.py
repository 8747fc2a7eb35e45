"""The quality selector: highest first, ties by seed, and no silent use of a broken signal."""

from __future__ import annotations

import numpy as np
import pytest

from distill_app.errors import StageError
from distill_app.seeds import derive
from distill_app.selectors import Candidates, quality
from tests.selectors.tables import options, pool, select

ROWS = [("a", "p", 0.2), ("b", "p", 0.9), ("c", "q", 0.9), ("d", "q", 0.9), ("e", "r", 1.0), ("f", "s", -1.0)]


def test_needs_the_quality_signal() -> None:
    assert frozenset({"quality"}) == quality.NEEDS
    assert not quality.DYNAMIC


def test_highest_first_ties_by_seed() -> None:
    assert select(pool(ROWS), "quality", top=1) == {"e"}
    assert select(pool(ROWS), "quality", top=4) == {"e", "b", "c", "d"}
    for seed in range(20):
        tied = min(("b", "c", "d"), key=lambda name: derive(seed, name))
        assert select(pool(ROWS), "quality", seed, top=2) == {"e", tied}
    assert len({frozenset(select(pool(ROWS), "quality", seed, top=2)) for seed in range(20)}) == 3


def test_per_problem_passes_over() -> None:
    found = select(pool(ROWS), "quality", top=3, per_problem=1)
    assert found == {"e", "b"} | (found & {"c", "d"})
    assert len(found) == 3


def test_a_tie_is_told() -> None:
    ranking = quality.rank(pool(ROWS), options("quality", top=2), 0)
    assert ranking.explain(0) == "quality 0.2000"
    assert ranking.explain(2) == "quality 0.9000, shared by 3 of 6 rows and so drawn among them by seed"
    constant = quality.rank(pool([(name, p, 0.5) for name, p, _ in ROWS]), options("quality", top=2), 0)
    assert "shared by 6 of 6 rows" in constant.explain(0)


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_a_broken_signal_stops(broken: float) -> None:
    rows = [*ROWS[:2], ("x", "z", broken), ("y", "z", broken)]
    with pytest.raises(StageError, match=r"not a number in 2 of 4 candidates, such as 'x'"):
        quality.rank(pool(rows), options("quality", top=1), 0)


def test_a_missing_signal_stops() -> None:
    candidates = Candidates(["a"], ["p"], {"length": np.array([1.0])})
    with pytest.raises(StageError, match="needs the signal 'quality'; the candidates have length"):
        quality.rank(candidates, options("quality", top=1), 0)


def test_candidates_are_checked() -> None:
    with pytest.raises(ValueError, match="not unique"):
        Candidates(["a", "a"], ["p", "q"], {})
    with pytest.raises(ValueError, match="different lengths"):
        Candidates(["a", "b"], ["p"], {})
