"""`grade_file`: what a row may be, what is refused, and that every row is answered in its place."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from distill_app.errors import UsageError
from distill_app.evaluation.grade_file import grade_file


def write(folder: Path, rows: list[Any], name: str = "rows.jsonl") -> Path:
    path = folder / name
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_every_row_in_its_place(tmp_path: Path, name: str) -> None:
    path = write(
        tmp_path,
        [
            {"id": "a", "gold": 5, "prediction": "Answer: 5", "extra": [1]},
            {"id": 2, "gold": "1/2", "prediction": 0.5},
            {"id": "c", "gold": "1/2", "prediction": None},
            "",
            {"id": "d", "gold": "1/2", "prediction": ""},
            {"id": "e", "gold": "1/2", "prediction": "\\boxed{9^{9^{9^{9^9}}}+1}"},
            {"id": "f", "gold": "B", "prediction": "B) Paris", "kind": "choice"},
            {"id": "g", "gold": 0.5, "prediction": 0.51, "kind": "number", "tolerance": 0.02},
            {"id": "h", "gold": "073", "prediction": "73", "kind": "integer"},
            {"id": "i", "gold": "7", "prediction": "It is 8."},
        ],
        name,
    )
    seen: list[tuple[int, int]] = []
    graded = list(grade_file(path, workers=1, limit_seconds=1, progress=lambda done, total: seen.append((done, total))))
    assert [(row["id"], row["verdict"], row["rule"]) for row in graded] == [
        ("a", "correct", "answer_line"),
        (2, "correct", "bare"),
        ("c", "no_answer", None),
        ("d", "no_answer", None),
        ("e", "timeout", "boxed"),
        ("f", "correct", "choice_letter"),
        ("g", "correct", "bare"),
        ("h", "correct", "bare"),
        ("i", "wrong", "last_number"),
    ]
    assert graded[0]["extracted"] == "5"
    assert graded[2]["extracted"] is None
    assert seen[-1] == (9, 9)


GOOD = {"id": "a", "gold": "1", "prediction": "1"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([GOOD, "{"], "line 2 is no JSON"),
        ([GOOD, "[1]"], "line 2 is no JSON object"),
        ([{"id": "a", "gold": "1"}], "line 1 has no prediction"),
        ([{"gold": "1"}], "line 1 has no id and no prediction"),
        ([GOOD, {**GOOD, "gold": "2"}], "line 2 has the id 'a', which line 1 has already"),
        ([{**GOOD, "id": 1}, {**GOOD, "id": "1"}], "line 2 has the id '1', which line 1"),
        ([{**GOOD, "id": None}], "line 1: id must be text"),
        ([{**GOOD, "gold": " "}], "line 1: gold is empty"),
        ([{**GOOD, "gold": None}], "line 1: gold must be text or a number"),
        ([{**GOOD, "prediction": ["1"]}], "line 1: prediction must be text or a number"),
        ([{**GOOD, "kind": "essay"}], "line 1: kind must be one of auto, number"),
        ([{**GOOD, "tolerance": -1}], "line 1: tolerance must be a number, 0 or above"),
        ([{**GOOD, "tolerance": "x"}], "line 1: tolerance must be a number, 0 or above"),
        ([], "has no rows"),
    ],
)
def test_bad_rows_are_named_with_their_line(tmp_path: Path, rows: list[Any], message: str) -> None:
    path = write(tmp_path, rows)
    with pytest.raises(UsageError) as caught:
        list(grade_file(path, workers=1, limit_seconds=1))
    assert message in caught.value.message
    assert "rows.jsonl" in caught.value.message


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no file"):
        list(grade_file(tmp_path / "none.jsonl", workers=1, limit_seconds=1))
    (tmp_path / "plain.jsonl.gz").write_text("{}")
    with pytest.raises(UsageError, match="cannot be read"):
        list(grade_file(tmp_path / "plain.jsonl.gz", workers=1, limit_seconds=1))
    (tmp_path / "latin.jsonl").write_bytes(b'{"id": "\xe9"}')
    with pytest.raises(UsageError, match="is not UTF-8"):
        list(grade_file(tmp_path / "latin.jsonl", workers=1, limit_seconds=1))
