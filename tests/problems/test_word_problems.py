"""The built-in problems: right, distinct, in disjoint splits, and a prefix of every longer list."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest

from distill_app.errors import StageError
from distill_app.problems import word_problems
from distill_app.problems._families import FAMILIES, SIZES
from distill_app.problems._wording import FORMS
from distill_app.quality import _equations

SMALL = {"families": None, "mix": {}, "difficulty": "small", "seed": 0}


def test_every_family_has_wording_in_several_forms() -> None:
    assert list(FORMS) == list(FAMILIES)
    assert len(FAMILIES) >= 16
    for name, forms in FORMS.items():
        assert len(set(forms)) >= 3, name


def test_the_small_difficulty_is_large_enough_for_training_and_test() -> None:
    train = word_problems.generate("train", 1000, **SMALL)
    test = word_problems.generate("test", 300, **SMALL)
    assert (len(train), len(test)) == (1000, 300)
    assert len({p.question for p in train + test}) == 1300
    assert len({p.id for p in train + test}) == 1300


@pytest.mark.parametrize("difficulty", list(SIZES))
def test_steps_answer_and_solution_agree(difficulty: str) -> None:
    for problem in word_problems.generate("train", 420, None, {}, difficulty, 3):
        assert problem.solution is not None
        assert problem.family is not None
        assert problem.skills == FAMILIES[problem.family].skills
        # The solution is recomputed by the verifier's own parser, which shares no code with the generator.
        equations = _equations.find(problem.solution)
        assert len(equations) == len(problem.steps)
        assert all(equation.holds for equation in equations)
        assert equations[-1].result == int(problem.answer) > 0
        assert problem.solution.endswith(f"Answer: {problem.answer}")
        # Every number of the question is used by the steps, or is one they lead to.
        used = {Fraction(x) for step in problem.steps for x in (step.left, step.right)}
        assert {value for value, _ in _equations.numbers(problem.question)} <= used


def test_small_numbers_stay_small() -> None:
    for problem in word_problems.generate("train", 1000, **SMALL):
        for step in problem.steps:
            if step.operator in "+-":
                assert max(step.left, step.result) < 60
            elif step.left != 100:
                assert max(step.left, step.result) < 90


def test_known_problems() -> None:
    """Worked by hand from the family's definition."""
    numbers, steps = FAMILIES["discount"].work(25, 14)
    assert numbers == {"a": 56, "b": 25}
    assert [(s.left, s.operator, s.right, s.result) for s in steps] == [
        (100, "/", 25, 4), (56, "/", 4, 14), (56, "-", 14, 42),
    ]  # fmt: skip
    numbers, steps = FAMILIES["equation"].work(4, 2, 17)
    assert numbers == {"a": 2, "b": 17, "c": 25}
    assert [s.result for s in steps] == [8, 4]


def test_no_operand_tuple_crosses_a_split_whatever_the_seed() -> None:
    where: dict[tuple[str, tuple[tuple[float, str, float], ...]], set[str]] = {}
    for split in word_problems.SPLITS:
        for seed in (0, 1):
            for difficulty in ("small", "medium"):
                for p in word_problems.generate(split, 600, None, {}, difficulty, seed):
                    assert p.family is not None
                    key = (p.family, tuple((s.left, s.operator, s.right) for s in p.steps))
                    where.setdefault(key, set()).add(split)
    assert len(where) > 1500
    assert all(len(splits) == 1 for splits in where.values())


def test_order_of_operands_does_not_move_a_commutative_problem() -> None:
    for a in range(2, 40):
        assert word_problems.split_of(FAMILIES["add"], (a, 7)) == word_problems.split_of(FAMILIES["add"], (7, a))


def test_splits_have_their_shares() -> None:
    tuples = [(a, b) for a in range(100) for b in range(100)]
    counts = Counter(word_problems.split_of(FAMILIES["sub"], pair) for pair in tuples)
    # Standard error of a share of 0.6 in 10,000 draws is 0.005.
    assert counts["train"] / 10_000 == pytest.approx(0.6, abs=0.02)
    assert counts["placement"] / 10_000 == pytest.approx(0.2, abs=0.02)


def test_a_shorter_list_is_a_prefix_and_the_seed_changes_it() -> None:
    long = word_problems.generate("train", 300, **SMALL)
    assert word_problems.generate("train", 50, **SMALL) == long[:50]
    assert word_problems.generate("train", 50, **{**SMALL, "seed": 1}) != long[:50]
    assert len(word_problems.generate("train", None, **SMALL)) == 400


def test_families_take_turns_by_weight() -> None:
    plain = word_problems.generate("train", 42, **SMALL)
    assert [p.family for p in plain] == list(FAMILIES) * 2
    mixed = word_problems.generate("train", 12, ("add", "mul", "sub"), {"mul": 4, "sub": 0}, "small", 0)
    # Weights 1 and 4: one in five is an addition.
    assert Counter(p.family for p in mixed[:10]) == {"mul": 8, "add": 2}


def test_too_many_is_refused_with_the_number_there_are() -> None:
    with pytest.raises(StageError) as caught:
        word_problems.generate("test", 500, ("discount",), {}, "small", 0)
    there = int(str(caught.value).split(" has ")[1].split()[0])
    assert 0 < there < 500
    assert len(word_problems.generate("test", there, ("discount",), {}, "small", 0)) == there
    assert "500 were asked for" in str(caught.value)
    assert "difficulty" in caught.value.hint


@pytest.mark.parametrize(
    ("change", "names"),
    [({"split": "dev"}, "placement"), ({"families": ("ad",)}, "add"), ({"difficulty": "easy"}, "medium")],
)
def test_unknown_words_are_answered_with_the_known_ones(change: dict[str, object], names: str) -> None:
    with pytest.raises(StageError, match=names):
        word_problems.generate(**{"split": "train", "limit": 5, **SMALL, **change})
