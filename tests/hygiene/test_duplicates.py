"""Duplicates, word for word and nearly: what counts, which row stays, and that no row is left out wrongly."""

from __future__ import annotations

import random
import unicodedata
from dataclasses import replace

import pytest

from distill_app.hygiene import duplicates, lessons
from distill_app.hygiene.duplicates import bands, exact, jaccard, near, shingles
from distill_app.records import Trace
from tests.hygiene.rows import trace


def others(rows: list[Trace]) -> dict[str, str | None]:
    return {name: row.other for name, row in exact(lessons(rows)).items()}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("It is 4.", "It is  4.\n", True),
        ("It is 4.", "it IS 4.", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("x\u00b2 = 4", "x2 = 4", False),
        ("It is 4.", "It is 4", False),
        ("<think>a</think>4", "<think>b</think>4", False),
    ],
)
def test_word_for_word(first: str, second: str, same: bool) -> None:
    assert others([trace("a", first), trace("b", second)]) == ({"b": "a"} if same else {})


def test_question_and_task_count_and_the_lowest_id_stays() -> None:
    rows = [trace("b", "4"), trace("c", "4"), trace("a", "4"), trace("d", "4", "Which?"), trace("e", "4", task="other")]
    assert others(rows) == others(rows[::-1]) == {"b": "a", "c": "a"}
    assert exact(lessons(rows))["b"].said == "repeats another row word for word; it is a"


def test_a_lesson_repeats_only_where_each_of_its_rows_does() -> None:
    tasks = ("solve", "backward_question", "backward_solve")
    first = [trace(f"a/{task}", task, group="a", task=task) for task in tasks]
    again = [trace(f"b/{task}", task, group="b", task=task) for task in tasks]
    half = [replace(row, id=row.id.replace("b", "c"), group="c") for row in again[:2]]
    half.append(trace("c/backward_solve", "new", group="c", task="backward_solve"))
    alone = trace("d", "solve")
    assert others([*first, *again, *half, alone]) == {
        "b/solve": "a/solve", "b/backward_question": "a/backward_question", "b/backward_solve": "a/backward_solve",
        "d": "a/solve",
    }  # fmt: skip


def test_jaccard_by_hand() -> None:
    first, second = shingles("a b c d e f", 3), shingles("A b  c d e g", 3)
    # abc bcd cde def; abc bcd cde deg: 3 of 5
    assert (len(first), jaccard(first, second)) == (4, 0.6)
    assert len(shingles("a b a b a b a b", 2)) == 2
    assert jaccard(shingles("a b", 3), shingles("a b", 3)) == 1.0
    assert jaccard(shingles("a b", 2), shingles("b a", 2)) == 0.0


def plain_near(rows: list[Trace], threshold: float, ngram: int) -> dict[str, str | None]:
    """Every row against every kept one, on sets of words themselves."""

    def runs(row: Trace) -> set[tuple[str, ...]]:
        words = unicodedata.normalize("NFKC", f"{row.question}\n{row.text}").casefold().split()
        return {tuple(words[place : place + ngram]) for place in range(len(words) - ngram + 1)}

    kept: dict[str, set[tuple[str, ...]]] = {}
    found: dict[str, str | None] = {}
    for row in sorted(rows, key=lambda row: row.id):
        mine = runs(row)
        alike = {name: len(mine & other) / len(mine | other) for name, other in kept.items()}
        best = min(alike, key=lambda name: (-alike[name], name), default=None)
        if best is not None and alike[best] >= threshold:
            found[row.id] = best
        else:
            kept[row.id] = mine
    return found


@pytest.mark.parametrize("threshold", [0.7, 0.8, 0.9])
def test_near_duplicates_are_those_of_a_plain_comparison(threshold: float) -> None:
    draw = random.Random(3)
    rows = []
    for source in range(60):
        text = [f"w{draw.randrange(500)}" for _ in range(60)]
        for copy in range(5):
            changed = list(text)
            for _ in range(copy):
                changed[draw.randrange(60)] = f"n{draw.randrange(10**6)}"
            rows.append(trace(f"p{source:02d}/{copy}", " ".join(changed)))
    draw.shuffle(rows)
    expected = plain_near(rows, threshold, 3)
    assert 20 <= len(expected) <= 235
    found = near(lessons(rows), threshold, 3)
    assert {name: row.other for name, row in found.items()} == expected


def test_near_compares_rows_of_a_task_and_says_how_like_they_are() -> None:
    text = " ".join(f"w{n}" for n in range(40))
    rows = [trace("a", text), trace("b", text + " end"), trace("c", text, task="backward_solve"), trace("d", "short")]
    # The question has 3 words, so of runs of 5 there are 39 and 40.
    found = near(lessons(rows), 0.9, 5)
    assert {name: row.said for name, row in found.items()} == {
        "b": "nearly the same as another row; 0.975 of it and a is the same"
    }


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8, 0.9, 0.99, 1.0])
def test_the_index_misses_few_pairs(threshold: float) -> None:
    number, rows = bands(threshold)
    assert number * rows <= duplicates.PERMUTATIONS
    assert (1 - threshold**rows) ** number <= 0.005
    assert rows > 1


def test_bands_by_hand() -> None:
    # (1 - 0.8^6)^21 = 0.0017, and 7 rows a band would miss (1 - 0.8^7)^18 = 0.014
    assert bands(0.8) == (21, 6)
