"""The quality selector: highest first, ties by seed, and no silent use of a broken signal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_app.errors import StageError
from distill_app.seeds import derive
from distill_app.selectors import Candidates, _top, quality
from tests.selectors.tables import kept, pool

ROWS = [("a", "p", 0.2), ("b", "p", 0.9), ("c", "q", 0.9), ("d", "q", 0.9), ("e", "r", 1.0), ("f", "s", -1.0)]


def select(rows: list[tuple[str, str, float]], top: int, seed: int, per_problem: int | None = None) -> set[str]:
    options = quality.Options(top=top, per_problem=per_problem)
    candidates = pool(rows)
    ranking = quality.rank(candidates, options, seed)
    return kept(_top.keep(candidates, ranking, options.top, options.per_problem))


def test_needs_the_quality_signal() -> None:
    assert frozenset({"quality"}) == quality.NEEDS


def test_highest_first_ties_by_seed() -> None:
    assert select(ROWS, 1, 0) == {"e"}
    assert select(ROWS, 4, 0) == {"e", "b", "c", "d"}
    for seed in range(20):
        tied = min(("b", "c", "d"), key=lambda name: derive(seed, name))
        assert select(ROWS, 2, seed) == {"e", tied}
    assert len({frozenset(select(ROWS, 2, seed)) for seed in range(20)}) == 3


def test_per_problem_passes_over() -> None:
    assert select(ROWS, 3, 0, per_problem=1) == {"e", "b"} | (select(ROWS, 3, 0, per_problem=1) & {"c", "d"})
    assert len(select(ROWS, 3, 0, per_problem=1)) == 3


@given(
    st.lists(st.sampled_from([0.0, -0.0, 0.25, 0.5, 1.0]), min_size=4, max_size=25),
    st.randoms(use_true_random=False),
    st.integers(0, 1000),
    st.sampled_from([None, 2]),
)
def test_the_order_of_rows_changes_nothing(scores: list[float], rng: object, seed: int, limit: int | None) -> None:
    rows = [(f"row-{n}", f"p{n // 2}", score) for n, score in enumerate(scores)]
    shuffled = list(rows)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert select(rows, 3, seed, limit) == select(shuffled, 3, seed, limit)
    assert len(select(rows, 3, seed, limit)) == 3


def test_a_tie_is_told() -> None:
    ranking = quality.rank(pool(ROWS), quality.Options(top=2, per_problem=None), 0)
    assert ranking.explain(0) == "quality 0.2000"
    assert ranking.explain(2) == "quality 0.9000, shared by 3 of 6 rows and so drawn among them by seed"
    constant = quality.rank(pool([(name, p, 0.5) for name, p, _ in ROWS]), quality.Options(top=2, per_problem=None), 0)
    assert "shared by 6 of 6 rows" in constant.explain(0)


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_a_broken_signal_stops(broken: float) -> None:
    rows = [*ROWS[:2], ("x", "z", broken), ("y", "z", broken)]
    with pytest.raises(StageError, match=r"not a number in 2 of 4 candidates, such as 'x'"):
        quality.rank(pool(rows), quality.Options(top=1, per_problem=None), 0)


def test_a_missing_signal_stops() -> None:
    candidates = Candidates(["a"], ["p"], {"length": np.array([1.0])})
    with pytest.raises(StageError, match="needs the signal 'quality'; the candidates have length"):
        quality.rank(candidates, quality.Options(top=1, per_problem=None), 0)


def test_candidates_are_checked() -> None:
    with pytest.raises(ValueError, match="not unique"):
        Candidates(["a", "a"], ["p", "q"], {})
    with pytest.raises(ValueError, match="different lengths"):
        Candidates(["a", "b"], ["p"], {})
