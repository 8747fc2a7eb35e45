from __future__ import annotations

import random

import pytest

from distill_app.problems.word_problems import generate
from distill_app.seeds import derive
from distill_app.selectors import Accuracy, Candidates, skill_aware
from distill_app.skills.accuracy import chains_by_problem, subsample, tally
from distill_app.skills.labels import attribute
from distill_app.skills.tree import load
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
        "Number": Accuracy(3.0, 5),
        "Number -> addition": Accuracy(3.0, 4),
        "Number -> division": Accuracy(3.0, 5),
        "Shape": Accuracy(0.0, 1),
        "Shape -> area": Accuracy(0.0, 1),
    }


def test_a_problem_has_the_chains_of_all_its_traces() -> None:
    rows = [("p", ("b", "a")), ("q", ()), ("p", ("a", "c"))]
    assert chains_by_problem(rows) == {"p": ("a", "b", "c"), "q": ()}


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
    weights = {chain: min((tallies[chain].answers + 2) / (tallies[chain].right + 1), 20.0) for chain in leaves}
    heaviest = sorted(weights, key=lambda chain: -weights[chain])
    assert set(heaviest[:2]) == weak
    assert weights[heaviest[1]] > 2 * weights[heaviest[2]]

    ids = sorted(chains)
    pool = Candidates(
        ids, ids, {}, skills=[chains[name] for name in ids], accuracy=tallies,
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
