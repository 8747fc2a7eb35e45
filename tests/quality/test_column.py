"""A column of the data as the quality: the number as it is, or a plain refusal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distill_app.errors import StageError
from distill_app.quality import column
from distill_app.recipe.model import build
from distill_app.records import Problem, Quality, Request, Trace, Verdict
from distill_app.teachers import traces

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def rows(*numbers: dict[str, float]) -> list[tuple[Trace, Verdict]]:
    found = []
    for place, held in enumerate(numbers):
        name = f"row-{place}"
        trace = Trace(name, "p", "q", "a", "t", "t", "a", 0, 0, "stop", numbers=tuple(held.items()))
        found.append((trace, Verdict(name, "wrong", None, None)))
    return found


def test_the_number_is_the_quality() -> None:
    given = rows({"reward": -1.5, "x": 3.0}, {"x": 9.0, "reward": 2.0})
    assert column.score(given, column.Options(column="reward")) == [Quality("row-0", -1.5), Quality("row-1", 2.0)]
    assert column.survey([]) == {}


def test_a_row_without_it_is_refused_and_the_columns_are_named() -> None:
    given = rows({"reward": 1.0, "length": 4.0}, {"length": 5.0}, {"length": 6.0})
    with pytest.raises(StageError, match=r"2 of 3 traces have no number in the column 'reward', .* row-1\.") as caught:
        column.score(given, column.Options(column="reward"))
    assert caught.value.hint == "Columns with a number in every row: length. In some rows only: reward."
    with pytest.raises(StageError, match="3 of 3") as caught:
        column.score(given, column.Options(column="lenght"))
    assert caught.value.hint.startswith("Did you mean length?")
    with pytest.raises(StageError, match="2 of 2") as caught:
        column.score(rows({}, {}), column.Options(column="reward"))
    assert "No trace holds a number" in caught.value.hint


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_finite_number_is_refused(value: float) -> None:
    with pytest.raises(StageError, match=rf"1 of 2 traces hold no finite number .* row-1: {value}"):
        column.score(rows({"reward": 0.0}, {"reward": value}), column.Options(column="reward"))


def test_real_reward_scores_come_through_the_teacher() -> None:
    file = DATA / "traces" / "math_qwen_8samples.jsonl"
    if not file.exists():
        pytest.skip("../shared/data is not here")
    held = [json.loads(line) for line in file.read_text().splitlines()]
    problems = {row["question_id"]: Problem(row["question_id"], row["question"], row["answer"], "x") for row in held}
    fields = {"reasoning": "reasoning", "problem_id": "question_id", "question": "question", "group": None}
    nowhere = {"dataset": None, "config": None, "split": "train", "revision": None}
    options = build(traces.Options, {"path": str(file), "fields": fields, "bad_rows": "stop", **nowhere})
    asked = [Request(f"{p.id}/{k}", p, "", k, 0) for p in problems.values() for k in range(8)]
    answers = [answer for batch in traces.complete(asked, options) for answer in batch]
    given = [
        (
            Trace(a.id, "p", "q", "a", a.text, "t", "a", 0, 0, "stop", numbers=a.numbers),
            Verdict(a.id, "wrong", None, None),
        )
        for a in answers
    ]
    scores = column.score(given, column.Options(column="quality.rm_score"))
    assert sorted(row.quality for row in scores) == sorted(row["quality"]["rm_score"] for row in held)
    right = {
        f"{p}/{k}": row["correct"] for p in problems for k, row in enumerate(r for r in held if r["question_id"] == p)
    }
    assert {row.id: bool(row.quality) for row in column.score(given, column.Options(column="correct"))} == right
    with pytest.raises(StageError, match="560 of 560"):
        column.score(given, column.Options(column="predicted"))  # digits in a text
