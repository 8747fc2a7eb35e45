from __future__ import annotations

import random

import pytest

from distill_app.problems.word_problems import generate
from distill_app.seeds import derive
from distill_app.selectors import Accuracy, Candidates, skill_aware
from distill_app.skills.accuracy import (
    Tally,
    chains_by_problem,
    clopper_pearson,
    smoothed,
    subsample,
    tally,
    weaknesses,
    wilson,
)
from distill_app.skills.labels import attribute
from distill_app.skills.tree import ARROW, load
from tests.skills.test_labels import trace


def test_every_node_on_the_way_counts_a_problem_once() -> None:
    chains = {
        "p": ("Number -> addition", "Number -> division"),
        "q": ("Number -> division", "Shape -> area"),
        "r": (),
        "never asked": ("logic",),
    }
    verdicts = {"p": [True, False, True, True], "q": [False], "r": [True], "no chains at all": [True], "s": []}
    found = tally(verdicts, chains)
    assert found == {
        "Number": Tally(3, 5, 2, 0.75),
        "Number -> addition": Tally(3, 4, 1, 0.75),
        "Number -> division": Tally(3, 5, 2, 0.75),
        "Shape": Tally(0, 1, 1, 0.0),
        "Shape -> area": Tally(0, 1, 1, 0.0),
    }
    assert found["Number"].accuracy == Accuracy(3.0, 5)


def test_a_problem_has_the_chains_of_all_its_traces() -> None:
    rows = [("p", ("b", "a")), ("q", ()), ("p", ("a", "c"))]
    assert chains_by_problem(rows) == {"p": ("a", "b", "c"), "q": ()}


def test_smoothing_is_the_mean_of_the_beta_posterior() -> None:
    assert smoothed(Accuracy(0, 1), 1, 1) == pytest.approx(1 / 3)
    assert smoothed(Accuracy(3, 4), 0, 0) == 0.75
    assert smoothed(Accuracy(0, 0), 2, 6) == 0.25
    with pytest.raises(ValueError, match="no answers"):
        smoothed(Accuracy(0, 0), 0, 0)


@pytest.mark.parametrize(("right", "trials", "alpha"), [(0, 7, 0.05), (3, 10, 0.05), (7, 7, 0.1), (45, 100, 0.01)])
def test_intervals_equal_scipys(right: int, trials: int, alpha: float) -> None:
    from scipy.stats import binomtest

    for ours, theirs in ((clopper_pearson, "exact"), (wilson, "wilson")):
        other = binomtest(right, trials).proportion_ci(1 - alpha, method=theirs)
        assert ours(right, trials, alpha) == pytest.approx((other.low, other.high), abs=1e-9)


def test_intervals_in_figures_known_elsewhere() -> None:
    # Clopper-Pearson of 0 of n: 1 - (alpha / 2) ** (1 / n); Wilson of 0 of n: z^2 / (n + z^2).
    assert clopper_pearson(0, 10, 0.05) == pytest.approx((0, 1 - 0.025**0.1))
    assert wilson(0, 10, 0.05) == pytest.approx((0, 3.841459 / 13.841459))
    # R: binom.test(8, 20)$conf.int
    assert clopper_pearson(8, 20, 0.05) == pytest.approx((0.1911901, 0.6394574), abs=1e-7)
    assert clopper_pearson(0, 0, 0.05) == wilson(0, 0, 0.05) == (0, 1)
    low, high = clopper_pearson(2.5, 10, 0.05)
    assert clopper_pearson(2, 10, 0.05).low < low < 0.25 < high < clopper_pearson(3, 10, 0.05).high
    with pytest.raises(ValueError, match="no such proportion"):
        wilson(3, 2, 0.05)


def test_the_subsample_takes_enough_of_every_leaf() -> None:
    chains = {f"p{i}": ("x",) if i % 2 else ("x", "y") for i in range(40)} | {"lone": ("z",), "none": ()}
    chosen = subsample(chains, 3, seed=5)
    assert chosen == sorted(chosen)
    count = {leaf: sum(leaf in chains[p] for p in chosen) for leaf in "xyz"}
    assert count["z"] == 1
    assert count["x"] >= 3
    assert count["y"] == 3
    assert len(chosen) <= 7
    assert "none" not in chosen
    assert subsample(chains, None, seed=5) == sorted(chains)
    assert subsample(dict(reversed(chains.items())), 3, seed=5) == chosen
    assert subsample(chains, 3, seed=6) != chosen
    # The three of leaf y with the smallest keys, by another road.
    keys = sorted((derive(5, "skill accuracy", p), p) for p, through in chains.items() if "y" in through)
    assert {p for _, p in keys[:3]} <= set(chosen)


def test_the_draw_of_a_leaf_is_uniform() -> None:
    chains = {f"p{i}": ("x",) for i in range(10)}
    times = dict.fromkeys(chains, 0)
    for seed in range(2000):
        for problem in subsample(chains, 3, seed):
            times[problem] += 1
    # 600 expected of each; the standard deviation is sqrt(2000 * 0.3 * 0.7) = 20.5.
    assert all(abs(n - 600) < 90 for n in times.values())


def test_weak_nodes_are_told_at_the_highest_level_that_is_weak_throughout() -> None:
    def row(right: int, problems: int) -> Tally:
        return Tally(right, problems, problems, float(right))

    rows = {
        "A": row(20, 100), "A -> a": row(5, 50), "A -> b": row(15, 50),  # upper ends 0.292, 0.218, 0.446
        "B": row(40, 100), "B -> c": row(2, 40), "B -> d": row(38, 60),  # 0.503, 0.169, 0.754
        "C": row(1, 30), "C -> e": row(1, 25), "C -> f": row(0, 4),  # 0.172, 0.204, 0.602 (small: not asked for)
        "D": row(0, 4),
    }  # fmt: skip
    found = weaknesses(rows, 0.45)
    assert [weak.chain for weak in found] == ["C", "B -> c", "A"]
    assert found[0].accuracy == pytest.approx(1 / 30)
    assert found[0].interval.high == pytest.approx(0.1721695, abs=1e-6)
    assert [weak.chain for weak in weaknesses(rows, 0.30)] == ["C", "B -> c", "A -> a"]
    assert [weak.chain for weak in weaknesses(rows, 0.45, least=4)] == ["C", "B -> c", "A"]
    assert [weak.chain for weak in weaknesses(rows, 0.61, least=4)] == ["D", "C", "B -> c", "A"]


def test_several_answers_to_one_problem_are_one_trial() -> None:
    once = {"A": Tally(0, 6, 6, 0.0)}
    often = {"A": Tally(0, 48, 6, 0.0)}
    assert [weak.interval for weak in weaknesses(once, 0.5)] == [weak.interval for weak in weaknesses(often, 0.5)]
    assert weaknesses(once, 0.4) == weaknesses(often, 0.4) == []


def test_weights_recover_the_weak_skills_of_a_student_made_from_the_shipped_tree() -> None:
    """A student that is right four times in five, but at percentages and rates one time in ten."""
    tree = load("builtin:school_math").tree
    problems = generate("train", 630, None, {}, "medium", 1)
    found = attribute([trace(problem.id, *problem.skills) for problem in problems], tree)
    chains = {row.id: row.chains for row in found.rows}
    weak = {"Numbers and operations -> Parts of a whole -> percentages", "Quantities in everyday life -> rates"}
    rng = random.Random(0)
    verdicts = {
        name: [rng.random() < (0.1 if weak & set(chains[name]) else 0.8) for _ in range(4)]
        for name in subsample(chains, 25, seed=3)
    }
    assert len(verdicts) < 250
    tallies = tally(verdicts, chains)
    leaves = {chain for through in chains.values() for chain in through}
    weights = {chain: min(1 / smoothed(tallies[chain].accuracy, 1, 1), 20.0) for chain in leaves}
    heaviest = sorted(weights, key=lambda chain: -weights[chain])
    assert set(heaviest[:2]) == weak
    assert weights[heaviest[1]] > 2 * weights[heaviest[2]]

    ids = sorted(chains)
    pool = Candidates(
        ids, ids, {}, skills=[chains[name] for name in ids],
        accuracy={chain: row.accuracy for chain, row in tallies.items()},
    )  # fmt: skip
    options = skill_aware.Options(
        top=60, per_problem=None, unit="row", dynamic=False, mode="sample", tau=1.0, cap=20.0, smoothing=1.0,
        min_answers=1, max_depth=None,
    )  # fmt: skip
    ranking = skill_aware.rank(pool, options, seed=0)
    assert {row["skill"]: row["weight"] for row in ranking.facts["leaves"]} == pytest.approx(weights)
    kept = [ids[row] for row in ranking.order[:60].tolist()]
    share = sum(bool(weak & set(chains[name])) for name in kept) / 60
    assert share > 2 * sum(bool(weak & set(through)) for through in chains.values()) / 630

    told = {weakness.chain for weakness in weaknesses(tallies, 0.4)}
    assert told >= {"Quantities in everyday life -> rates"}
    assert any(chain.startswith("Numbers and operations" + ARROW + "Parts of a whole") for chain in told)
    assert not any(chain.startswith(("Algebra", "Geometry", "Data")) for chain in told)
