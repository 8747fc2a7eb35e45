"""Released traces: which row answers which request, and what is counted."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest

from distill_app.errors import StageError
from distill_app.recipe.model import build
from distill_app.records import Completion, Problem, Request
from distill_app.teachers import traces

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
A = Problem("a", "How many  Apples?", "4", "jsonl")
B = Problem("b", "How many pears?", "5", "jsonl")
C = Problem("c", "How many plums?", "6", "jsonl")


def options(path: Any, bad_rows: str = "stop", **fields: Any) -> traces.Options:
    names = {"reasoning": "reasoning", "problem_id": None, "question": "question", "group": None, **fields}
    return build(traces.Options, {"path": path, "fields": names, "bad_rows": bad_rows})


def ask(*wanted: tuple[Problem, int]) -> list[Request]:
    return [Request(f"{problem.id}/{sample}", problem, "", sample, 0) for problem, sample in wanted]


def answers(asked: list[Request], chosen: traces.Options) -> list[Completion]:
    return [done for batch in traces.complete(asked, chosen) for done in batch]


def write(path: Path, *rows: Any) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_matches_by_question_in_file_order(tmp_path: Path) -> None:
    write(tmp_path / "2.jsonl", {"question": "how MANY apples?", "reasoning": "third"})
    write(
        tmp_path / "1.jsonl.gz",
        {"question": "How many apples?", "reasoning": "first"},
        {"question": "How many\nAPPLES?", "reasoning": "second"},
        {"question": "How many pears?", "reasoning": "pears"},
        {"question": "How many nuts?", "reasoning": "nobody asked"},
    )
    chosen = options(str(tmp_path / "*.jsonl*"))
    done = answers(ask((A, 2), (A, 0), (B, 0), (A, 1), (A, 3), (B, 1), (C, 0)), chosen)
    assert [c.text for c in done] == ["third", "first", "pears", "second", "", "", ""]
    assert [c.finish_reason for c in done] == ["stop"] * 4 + ["missing"] * 3
    assert traces.survey([A, B, C], chosen) == {
        "rows in files": 5,
        "rows of no problem": 1,
        "bad rows skipped": 0,
        "problems without a trace": 1,
    }


def test_matches_by_id_where_a_column_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "t.jsonl", {"pid": "b", "question": A.question, "why": "by id"})
    chosen = options(str(file), reasoning="why", problem_id="pid")
    assert [c.text for c in answers(ask((A, 0), (B, 0)), chosen)] == ["", "by id"]


def test_parquet_and_lists_of_paths(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"question": [B.question], "reasoning": ["columns"]}), tmp_path / "b.parquet")
    lines = write(tmp_path / "a.jsonl", {"question": B.question, "reasoning": "lines"})
    chosen = options([str(tmp_path / "b.parquet"), str(lines), str(tmp_path / "*.jsonl")])
    assert [c.text for c in answers(ask((B, 0), (B, 1), (B, 2)), chosen)] == ["lines", "columns", ""]


def test_bad_rows_stop_or_are_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "t.jsonl", {"question": A.question}, "{", {"question": A.question, "reasoning": "good"})
    with pytest.raises(StageError, match=r"t\.jsonl, line 1: there is no column 'reasoning'"):
        answers(ask((A, 0)), options(str(file)))
    chosen = options(str(file), bad_rows="skip")
    assert answers(ask((A, 0)), chosen)[0].text == "good"
    assert [(line, reason[:20]) for _, line, reason in traces.read(chosen).skipped] == [
        (1, "there is no column '"), (2, "the line is not JSON"),
    ]  # fmt: skip


def test_no_file_and_no_row_are_errors(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="No file matches"):
        answers(ask((A, 0)), options(str(tmp_path / "*.jsonl")))
    with pytest.raises(StageError, match="no usable trace"):
        answers(ask((A, 0)), options(str(write(tmp_path / "t.jsonl"))))


def test_content_id_is_of_bytes_in_order_of_name(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "b.jsonl", "{}")
        write(tmp_path / folder / "a.jsonl", "[]")
    expected = "+".join(hashlib.sha256(text).hexdigest() for text in (b"[]\n", b"{}\n"))
    assert traces.content_id(options(str(tmp_path / "one" / "*"))) == f"sha256:{expected}"
    assert traces.content_id(options(str(tmp_path / "two" / "*"))) == f"sha256:{expected}"
    write(tmp_path / "two" / "b.jsonl", "{} ")
    assert traces.content_id(options(str(tmp_path / "two" / "*"))) != f"sha256:{expected}"


def test_real_pool_of_four_teachers() -> None:
    file = DATA / "traces" / "gsm8k_openai_4teachers.jsonl.gz"
    if not file.exists():
        pytest.skip("../shared/data is not here")
    with gzip.open(file, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    problem = Problem(rows[0]["question_id"], rows[0]["question"].upper(), "18", "jsonl")
    for chosen in (options(str(file)), options(str(file), problem_id="question_id")):
        done = answers(ask(*((problem, sample) for sample in range(5))), chosen)
        assert [c.text for c in done] == [row["reasoning"].strip() for row in rows[:4]] + [""]
        assert traces.survey([problem], chosen)["rows of no problem"] == 3996


def test_a_rows_numbers_go_with_its_trace(tmp_path: Path) -> None:
    file = write(
        tmp_path / "t.jsonl",
        {
            "question": A.question, "reasoning": "one", "reward": -1.5, "correct": True, "level": 3, "predicted": "4",
            "quality": {"kind": "human", "value": 0.25, "deep": {"x": 1}, "ok": False}, "list": [1], "none": None,
            "huge": 10**400,
        },
        {"question": A.question, "reasoning": "two", "reward": float("nan")},
        {"question": A.question, "reasoning": "three"},
    )  # fmt: skip
    first, second, third, missing = answers(ask(*((A, sample) for sample in range(4))), options(str(file)))
    assert first.numbers == (
        ("correct", 1.0), ("level", 3.0), ("quality.ok", 0.0), ("quality.value", 0.25), ("reward", -1.5),
    )  # fmt: skip
    assert [name for name, _ in second.numbers] == ["reward"]
    assert math.isnan(second.numbers[0][1])
    assert third.numbers == missing.numbers == ()


def test_numbers_of_parquet_columns(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"question": [A.question], "reasoning": ["r"], "n": [2], "q": [{"v": 0.5, "w": None}]})
    pq.write_table(table, tmp_path / "t.parquet")
    (only,) = answers(ask((A, 0)), options(str(tmp_path / "t.parquet")))
    assert only.numbers == (("n", 2.0), ("q.v", 0.5))


def test_rows_of_one_group_say_so(tmp_path: Path) -> None:
    file = write(
        tmp_path / "traces.jsonl",
        {"question": A.question, "reasoning": "forward", "source": 7},
        {"question": B.question, "reasoning": "backward", "source": 7},
    )
    found = answers(ask((A, 0), (B, 0)), options(str(file), group="source"))
    assert [row.group for row in found] == ["7", "7"]
    assert [row.group for row in answers(ask((A, 0)), options(str(file)))] == [None]
