from __future__ import annotations

import pytest

from distill_app.errors import StageError
from distill_app.problems.word_problems import generate
from distill_app.records import Trace
from distill_app.skills import Unmatched
from distill_app.skills.labels import attribute
from distill_app.skills.tree import Tree, load


def trace(name: str, *skills: str) -> Trace:
    return Trace(name, "p", "q", "1", "text", "t", "chain_of_thought", 0, 0, "stop", skills=skills)


TREE = Tree("Maths", (Tree("Number", (Tree("addition"), Tree("division"))), Tree("Shape", (Tree("area"),))))


def test_rows_get_the_chains_of_their_labels() -> None:
    found = attribute(
        [trace("a", "area", "Addition", "area"), trace("b"), trace("c", "additions", "Number"), trace("d", "divison")],
        TREE,
    )
    assert [row.chains for row in found.rows] == [("Shape -> area", "Number -> addition"), (), (), ()]
    assert [row.reason for row in found.rows] == [
        None,
        "the row has no labels",
        "no leaf of the tree is called 'additions' or 'Number'",
        "no leaf of the tree is called 'divison'",
    ]
    assert found.counts == {"rows": 4, "without labels": 1, "without a match": 2, "labels not in the tree": 3}
    assert found.unmatched == {
        "additions": Unmatched(1, "addition"),
        "Number": Unmatched(1, None),
        "divison": Unmatched(1, "division"),
    }


def test_no_match_at_all_says_what_to_change() -> None:
    with pytest.raises(StageError) as caught:
        attribute([trace("a", "Shape"), trace("b", "cooking")], TREE)
    assert "'Shape', 'cooking'" in caught.value.message
    assert "'Maths' has 3 leaves, such as 'addition', 'division', 'area'" in caught.value.message
    assert "must name a leaf" in caught.value.hint
    assert "`skills.tree`" in caught.value.hint
    with pytest.raises(StageError, match="None of the 1 traces has skill labels"):
        attribute([trace("a")], TREE)
    assert attribute([], TREE).rows == []


def test_every_word_problem_has_chains_in_the_shipped_tree() -> None:
    problems = generate("train", 210, None, {}, "medium", 0)
    found = attribute([trace(p.id, *p.skills) for p in problems], load("builtin:school_math").tree)
    assert found.counts == {"rows": 210, "without labels": 0, "without a match": 0, "labels not in the tree": 0}
    by_id = {row.id: row.chains for row in found.rows}
    discount = next(p for p in problems if p.family == "discount")
    assert by_id[discount.id] == (
        "Numbers and operations -> Parts of a whole -> percentages",
        "Numbers and operations -> Whole numbers -> division",
        "Numbers and operations -> Whole numbers -> subtraction",
        "Quantities in everyday life -> money",
    )
