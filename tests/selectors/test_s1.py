"""s1, adapted: what is dropped by hand, and draws with the probabilities of the loop."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from distill_app.errors import StageError
from distill_app.seeds import derive
from distill_app.selectors import Candidates, s1
from tests.selectors.tables import candidates, ids, options, select


def flat(names: str, tokens: list[float], **columns: Any) -> Candidates:
    return candidates(names, quality=[1.0] * len(names), tokens=tokens, **columns)


def test_weights_halve_with_each_rank_by_length() -> None:
    given = flat("abc", [30, 20, 10])
    runs = 4000
    found = Counter("".join(ids(given, "s1", seed, domains="none", drop_lowest=0.0)) for seed in range(runs))
    # First 4/7, 2/7, 1/7; then 2/3 and 1/3 of the two that are left, the longer one first.
    exact = {"abc": 8 / 21, "acb": 4 / 21, "bac": 4 / 21, "bca": 2 / 21, "cab": 2 / 21, "cba": 1 / 21}
    for order, share in exact.items():
        assert found[order] / runs == pytest.approx(share, abs=4 * (share * (1 - share) / runs) ** 0.5)


def test_domains_are_as_likely_whatever_their_size() -> None:
    given = flat("abcdef", [1, 2, 3, 4, 5, 6], skills=[("A -> x",)] + [("B -> y",)] * 5)
    first = Counter(ids(given, "s1", seed, drop_lowest=0.0)[0] for seed in range(3000))
    assert first["a"] / 3000 == pytest.approx(0.5, abs=0.04)
    # In B the longest of five: 16/31 of a half.
    assert first["f"] / 3000 == pytest.approx(8 / 31, abs=0.035)


def loop(generator: random.Random, domains: dict[str, list[str]], wanted: int) -> tuple[str, ...]:
    """The loop as it stands: an even domain, a row by 2^(-rank) among those left in it, longest first."""
    rows = {name: list(members) for name, members in domains.items()}
    chosen: list[str] = []
    while len(chosen) < wanted:
        members = rows[generator.choice([name for name in rows if rows[name]])]
        row = generator.choices(members, [2.0**-rank for rank in range(len(members))])[0]
        chosen.append(row)
        for others in rows.values():
            if row in others:
                others.remove(row)
    return tuple(chosen)


def test_rows_of_several_domains_are_drawn_as_by_the_loop() -> None:
    # a is the longest of both A and B; lengths fall from a to e.
    given = flat("abcde", [50, 40, 30, 20, 10], skills=[("A -> x", "B"), ("A",), ("A -> y",), ("B",), ("B", "C")])
    domains = {"A": list("abc"), "B": list("ade"), "C": ["e"]}
    runs, generator = 5000, random.Random(3)
    drawn = Counter(tuple(ids(given, "s1", seed, drop_lowest=0.0))[:3] for seed in range(runs))
    looped = Counter(loop(generator, domains, 3) for _ in range(runs))
    for order in set(drawn) | set(looped):
        share = (drawn[order] + looped[order]) / (2 * runs)
        assert abs(drawn[order] - looped[order]) / runs < 4.5 * (2 * share * (1 - share) / runs) ** 0.5


def test_the_lowest_quality_is_dropped_and_equals_at_the_edge_by_draw() -> None:
    given = candidates("abcde", quality=[0.1, 0.5, 0.5, 0.5, 0.9], tokens=[1, 2, 3, 4, 5])
    for seed in range(6):
        # Two of five: a, and whichever of b, c, d drew lowest.
        dropped = {"a", min("bcd", key=lambda name: derive(seed, name))}
        assert set(ids(given, "s1", seed, domains="none", drop_lowest=0.4)) == set("abcde") - dropped
    assert len(ids(given, "s1", domains="none", drop_lowest=0.19)) == 5
    assert len(ids(given, "s1", domains="none", drop_lowest=0.2)) == 4


def test_reasons_and_counts() -> None:
    given = candidates(
        "abcde",
        quality=[0.1, 0.5, 0.6, 0.7, 0.8],
        tokens=[10, 20, 30, 40, 50],
        pass_rate=[0.0, 0.9, 0.5, float("nan"), 0.75],
        skills=[("A",), ("A",), (), ("A",), ("A -> x",)],
    )
    used = options("s1", drop_lowest=0.2, max_pass_rate=0.75, top=1)
    ranking = s1.rank(given, used, 0)
    assert [ranking.explain(row) for row in range(5)] == [
        "quality 0.1000 is among the lowest 20%",
        "the student's pass rate 0.900 is above 0.75",
        "no skill was attributed to it, so it has no domain",
        "the student's pass rate at its problem is not known",
        "drawn in A, 50 tokens",
    ]
    assert ranking.facts == {
        "domains": 1,
        "dropped_by_quality": 1,
        "dropped_by_pass_rate": 1,
        "pass_rate_unknown": 1,
        "without_domain": 1,
    }
    assert select(given, "s1", top=1, drop_lowest=0.2, max_pass_rate=0.75) == {"e"}
    with pytest.raises(StageError, match="only 1 can be kept: the selector leaves out 4 of 5"):
        select(given, "s1", top=2, drop_lowest=0.2, max_pass_rate=0.75)


def test_needs_depend_on_the_options() -> None:
    assert s1.needs(options("s1")) == {"quality", "tokens", "skills"}
    assert s1.needs(options("s1", domains="none")) == {"quality", "tokens"}
    assert s1.needs(options("s1", max_pass_rate=0.5)) == s1.NEEDS


def test_candidates_without_skills_stop() -> None:
    with pytest.raises(StageError, match="needs the skills of each row"):
        s1.rank(flat("ab", [1, 2]), options("s1", top=1), 0)
