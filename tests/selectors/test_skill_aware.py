"""Skill-aware selection: weights by hand, and clocks that are the paper's loop."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from distill_app.errors import StageError
from distill_app.selectors import Accuracy, Candidates, skill_aware
from distill_app.selectors._skills import interval, leaves
from tests.selectors.tables import accuracies, candidates, ids, options, select

# half: 5 of 10, never: 0 of 10. a needs half, b both, c never.
POOL = candidates(
    "abc",
    skills=[("half",), ("half", "never"), ("never",)],
    accuracy=accuracies({"half": (5, 10), "never": (0, 10)}),
)


def facts(given: Candidates = POOL, **chosen: Any) -> Any:
    return skill_aware.rank(given, options("skill_aware", top=1, **chosen), 0).facts


def weights(given: Candidates = POOL, **chosen: Any) -> dict[str, float]:
    return {leaf["skill"]: leaf["weight"] for leaf in facts(given, **chosen)["leaves"]}


def test_weights_by_hand() -> None:
    # Smoothed by one right and one wrong: 6/12 and 1/12. Plain: 1/2 and 0, which takes the cap.
    assert weights() == pytest.approx({"half": 2, "never": 12})
    assert weights(smoothing=0.0) == pytest.approx({"half": 2, "never": 20})
    assert weights(smoothing=0.0, cap=1000.0) == pytest.approx({"half": 2, "never": 1000})
    assert weights(smoothing=0.0, tau=2.0) == pytest.approx({"half": 4, "never": 400})
    assert weights(tau=0.5) == pytest.approx({"half": 2**0.5, "never": 12**0.5})
    assert weights(tau=0.0) == pytest.approx({"half": 1, "never": 1})
    assert weights(cap=3.0) == pytest.approx({"half": 2, "never": 3})


def test_facts_by_hand() -> None:
    found = facts()
    half, never = found["leaves"]
    assert (half["skill"], half["right"], half["answers"], half["rows"]) == ("half", 5, 10, 2)
    assert half["accuracy"] == pytest.approx(0.5)
    assert half["target"] == pytest.approx(2 / 14)
    assert never["target"] == pytest.approx(12 / 14)
    assert half["share"] + never["share"] == pytest.approx(1)
    for leaf, right in ((half, 5), (never, 0)):
        wilson = binomtest(right, 10).proportion_ci(0.95, "wilson")
        assert (leaf["low"], leaf["high"]) == pytest.approx((wilson.low, wilson.high), abs=1e-12)


def test_no_answers_tell_nothing() -> None:
    assert interval(Accuracy(0.0, 0)) == (0.0, 1.0)


def loop(
    generator: random.Random, rows_of: dict[str, list[str]], weight: dict[str, float], wanted: int
) -> tuple[str, ...]:
    """The paper's loop as it stands: a leaf by weight, one of its rows evenly, added if it is new."""
    chosen: list[str] = []
    names = list(weight)
    while len(chosen) < wanted:
        leaf = generator.choices(names, [weight[name] for name in names])[0]
        row = generator.choice(rows_of[leaf])
        if row not in chosen:
            chosen.append(row)
    return tuple(chosen)


def test_the_clocks_ring_as_the_loop_draws() -> None:
    # Weights 2 and 12 over two rows each: rates 1, 7 and 6. P(a, b, c) = 1/14 * 7/13, and so on.
    rates = {"a": 1.0, "b": 7.0, "c": 6.0}
    runs = 6000
    rang = Counter(tuple(ids(POOL, "skill_aware", seed, top=1)) for seed in range(runs))
    generator = random.Random(5)
    looped = Counter(
        loop(generator, {"half": ["a", "b"], "never": ["b", "c"]}, {"half": 2, "never": 12}, 3) for _ in range(runs)
    )
    for first in "abc":
        for second in "abc".replace(first, ""):
            third = "abc".replace(first, "").replace(second, "")
            exact = rates[first] / 14 * rates[second] / (14 - rates[first])
            # Four standard deviations of a count of 6,000.
            error = 4 * (exact * (1 - exact) / runs) ** 0.5
            assert rang[first, second, third] / runs == pytest.approx(exact, abs=error)
            assert looped[first, second, third] / runs == pytest.approx(exact, abs=error)


def test_on_a_larger_pool_rows_are_kept_as_often_as_by_the_loop() -> None:
    # x has six rows, y and z three each.
    skills = [("x",), ("x", "y"), ("x",), ("y", "z"), ("z",), ("x", "y", "z"), ("x",), ("x",)]
    given = candidates("abcdefgh", skills=skills, accuracy=accuracies({"x": (9, 10), "y": (3, 10), "z": (0, 4)}))
    weight = weights(given, smoothing=0.0, cap=10.0)
    assert weight == pytest.approx({"x": 10 / 9, "y": 10 / 3, "z": 10})
    rows_of = {leaf: [name for name, has in zip("abcdefgh", skills, strict=True) if leaf in has] for leaf in "xyz"}
    runs, generator = 4000, random.Random(6)
    rang: Counter[str] = Counter()
    looped: Counter[str] = Counter()
    for seed in range(runs):
        rang.update(select(given, "skill_aware", seed, top=4, smoothing=0.0, cap=10.0))
        looped.update(loop(generator, rows_of, weight, 4))
    for name in "abcdefgh":
        # Two counts of 4,000 differ by at most four standard deviations, each of at most 31.6.
        assert abs(rang[name] - looped[name]) < 4 * 2**0.5 * 31.7


def test_rows_that_do_not_count_say_why() -> None:
    given = candidates(
        "abcd",
        skills=[("seen",), (), ("rare",), ("rare", "seen")],
        accuracy=accuracies({"seen": (1, 9), "rare": (1, 2)}),
    )
    ranking = skill_aware.rank(given, options("skill_aware", top=1, min_answers=3), 0)
    assert ranking.eligible is not None
    assert ranking.eligible.tolist() == [True, False, False, True]
    assert ranking.explain(1) == "no skill was attributed to it"
    assert ranking.explain(2) == "none of its skills has 3 judged answers or more"
    assert ranking.explain(3).endswith("for seen (accuracy 0.18)")
    assert ranking.facts["left_out"] == ["rare"]
    assert ranking.facts["rows_without_skill"] == 1
    assert ranking.facts["rows_not_eligible"] == 2
    with pytest.raises(StageError, match="asks for 3 rows and only 2 can be kept"):
        select(given, "skill_aware", top=3, min_answers=3)
    with pytest.raises(StageError, match=r"2 skills have fewer, and 1 of 4 candidates have no skill") as caught:
        select(given, "skill_aware", top=1, min_answers=10)
    assert "min_answers" in caught.value.hint


def test_a_skill_that_nobody_judged_is_left_out() -> None:
    given = candidates("ab", skills=[("x",), ("y",)], accuracy=accuracies({"x": (1, 2)}))
    assert ids(given, "skill_aware", top=1) == ["a"]


def test_chains_are_cut_to_a_depth() -> None:
    given = candidates(
        "abc",
        skills=[("A -> x", "A -> y"), ("A -> x",), ("B",)],
        accuracy=accuracies({"A -> x": (1, 2), "A -> y": (1, 2), "A": (3, 4), "B": (1, 4)}),
    )
    assert set(weights(given)) == {"A -> x", "A -> y", "B"}
    # A: 4/6 and B: 2/6, smoothed. Row a has A once.
    assert weights(given, max_depth=1) == pytest.approx({"A": 1.5, "B": 3})
    assert leaves(given, 1, frozenset()).rows.tolist() == [2, 1]
    assert leaves(given, 2, frozenset()).rows.tolist() == [2, 1, 1]


def test_candidates_without_skills_stop() -> None:
    with pytest.raises(StageError, match="needs the skills of each row"):
        skill_aware.rank(candidates("ab"), options("skill_aware", top=1), 0)


# Plain accuracies 1 and 1/3 weigh 1 and 3: the target is 1/4 easy, 3/4 hard.
FORCED = candidates(
    ["e1", "e2", "e3", "h1", "h2", "h3", "h4"],
    ["p", "p", "q", "p", "p", "q", "q"],
    skills=[("easy",)] * 3 + [("hard",)] * 4,
    accuracy=accuracies({"easy": (9, 9), "hard": (3, 9)}),
)


def test_forced_meets_the_target_by_hand() -> None:
    for seed in range(6):
        found = ids(FORCED, "skill_aware", seed, top=4, mode="forced", smoothing=0.0)
        # First hard (squared distance 1/8, not 9/8); of four, three hard and one easy meet the target exactly.
        assert found[0].startswith("h")
        assert sorted(name[0] for name in found[:4]) == ["e", "h", "h", "h"]
    ranking = skill_aware.rank(FORCED, options("skill_aware", top=4, mode="forced", smoothing=0.0), 0)
    assert ranking.facts["distance_from_target"] == pytest.approx(0.0, abs=1e-9)
    sampled = skill_aware.rank(FORCED, options("skill_aware", top=4, smoothing=0.0), 0)
    assert [leaf["target"] for leaf in sampled.facts["leaves"]] == pytest.approx([0.25, 0.75])
    # Rows alike stand in the sampled order.
    place = {FORCED.ids[row]: at for at, row in enumerate(sampled.order.tolist())}
    chosen = [FORCED.ids[row] for row in ranking.order[:4].tolist()]
    hard = [name for name in chosen if name[0] == "h"]
    assert hard == sorted(hard, key=place.__getitem__)


def test_forced_minds_per_problem() -> None:
    for seed in range(6):
        found = select(FORCED, "skill_aware", seed, top=2, per_problem=1, mode="forced", smoothing=0.0)
        assert len(found) == 2
        assert len({FORCED.problem_ids[FORCED.ids.index(name)] for name in found}) == 2


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sets(st.sampled_from("uvwxy"), min_size=1, max_size=3), min_size=3, max_size=12),
    st.lists(st.integers(0, 9), min_size=5, max_size=5),
    st.data(),
)
def test_each_forced_pick_is_the_closest_there_is(sets: list[set[str]], right: list[int], data: st.DataObject) -> None:
    names = [f"r{n}" for n in range(len(sets))]
    accuracy = {leaf: (float(count), 9) for leaf, count in zip("uvwxy", right, strict=True)}
    problems = [f"p{n // 2}" for n in range(len(sets))]
    limit = data.draw(st.sampled_from([None, 1]))
    given = candidates(names, problems, skills=[tuple(one) for one in sets], accuracy=accuracies(accuracy))
    most = len(set(problems)) if limit else len(sets)
    wanted = data.draw(st.integers(1, most))
    used = options("skill_aware", top=wanted, mode="forced", per_problem=limit)
    ranking = skill_aware.rank(given, used, 1)
    used_leaves = [leaf["skill"] for leaf in ranking.facts["leaves"]]
    target = np.array([leaf["target"] for leaf in ranking.facts["leaves"]])
    vectors = np.array([[float(leaf in one) for leaf in used_leaves] for one in sets])
    histogram, taken = np.zeros(len(used_leaves)), []
    for row in ranking.order[:wanted].tolist():
        full = {problems[other] for other in taken} if limit else set()
        free = [other for other in range(len(sets)) if other not in taken and problems[other] not in full]
        assert row in free
        after = {other: histogram + vectors[other] for other in free}
        distance = {other: float(((sums / sums.sum() - target) ** 2).sum()) for other, sums in after.items()}
        assert distance[row] <= min(distance.values()) + 1e-9
        histogram, taken = after[row], [*taken, row]
