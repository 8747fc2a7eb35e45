"""Reading problems: field names, bad rows, limits, and a hub that is out of reach."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from distill_app.errors import StageError
from distill_app.problems import sources
from distill_app.recipe.model import ProblemFields, ProblemSource

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def source(dataset: str, **change: Any) -> ProblemSource:
    fields = {"id": None, "question": "question", "answer": "answer", "solution": None, **change.pop("fields", {})}
    values: dict[str, Any] = {
        "dataset": dataset, "config": None, "split": "train", "revision": None, "answer_after": None,
        "limit": None, "bad_rows": "stop", "families": None, "mix": {}, "difficulty": "small", "seed": 0, **change,
    }  # fmt: skip
    return ProblemSource(fields=ProblemFields(**fields), **values)


def write(path: Path, rows: list[Any]) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return f"jsonl:{path}"


GOOD = {"question": "How many?", "answer": "4"}


def test_fields_answer_mark_and_numbers(tmp_path: Path) -> None:
    rows = [
        {"uid": 7, "problem": " Two and two? ", "full": "2+2=4\n#### 4", "how": "Add."},
        {"uid": "b", "problem": "Three?", "full": "#### 1 #### 3", "how": "Count."},
    ]
    fields = {"id": "uid", "question": "problem", "answer": "full", "solution": "how"}
    result = sources.read(source(write(tmp_path / "a.jsonl", rows), fields=fields, answer_after="####"))
    assert [(p.id, p.question, p.answer, p.solution) for p in result.problems] == [
        ("7", "Two and two?", "4", "Add."),
        ("b", "Three?", "3", "Count."),
    ]
    assert result.skipped == []


def test_a_number_as_answer_becomes_text_and_rows_are_numbered_by_line(tmp_path: Path) -> None:
    rows = [{**GOOD, "answer": 27.0}, "", {**GOOD, "answer": 0.5}, {**GOOD, "answer": 12}]
    result = sources.read(source(write(tmp_path / "a.jsonl", rows)))
    assert [(p.id, p.answer) for p in result.problems] == [
        ("row-000001", "27"), ("row-000003", "0.5"), ("row-000004", "12"),
    ]  # fmt: skip


BAD: list[tuple[Any, str]] = [
    ('{"question": "cut', "not JSON"),
    ("[1, 2]", "not an object"),
    ({"qestion": "How many?", "answer": "4"}, "did you mean 'qestion'"),
    ({"question": ["How", "many"], "answer": "4"}, "holds a list, not text"),
    ({"question": "How many?", "answer": True}, "holds a boolean"),
    ({"question": "  ", "answer": "4"}, "'question' is empty"),
    ({"question": "How many?", "answer": ""}, "'answer' is empty"),
    ({"question": "How many?", "answer": None}, "holds a null"),
]


@pytest.mark.parametrize(("row", "says"), BAD)
def test_a_bad_row_stops_with_file_line_and_reason(tmp_path: Path, row: Any, says: str) -> None:
    with pytest.raises(StageError) as caught:
        sources.read(source(write(tmp_path / "a.jsonl", [GOOD, row])))
    assert f"{tmp_path / 'a.jsonl'}, line 2: " in str(caught.value)
    assert says in str(caught.value)


def test_bad_rows_are_skipped_and_named(tmp_path: Path) -> None:
    dataset = write(tmp_path / "a.jsonl", [GOOD, *(row for row, _ in BAD), GOOD])
    result = sources.read(source(dataset, bad_rows="skip"))
    assert [p.id for p in result.problems] == ["row-000001", "row-000010"]
    assert [line for line, _ in result.skipped] == list(range(2, 10))
    assert all(says in reason for (_, says), (_, reason) in zip(BAD, result.skipped, strict=True))


def test_two_rows_of_one_id_are_a_fault(tmp_path: Path) -> None:
    dataset = write(tmp_path / "a.jsonl", [{**GOOD, "id": "x"}, {**GOOD, "id": "x"}])
    with pytest.raises(StageError, match="line 2: the id 'x' is that of line 1 already"):
        sources.read(source(dataset, fields={"id": "id"}))


def test_a_missing_mark_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="does not hold the mark '####'"):
        sources.read(source(write(tmp_path / "a.jsonl", [GOOD]), answer_after="####"))


def test_nothing_usable_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no usable problem"):
        sources.read(source(write(tmp_path / "a.jsonl", [])))
    with pytest.raises(StageError, match="all 1 were bad"):
        sources.read(source(write(tmp_path / "a.jsonl", ["{"]), bad_rows="skip"))


def test_limit_counts_good_rows_and_stops_reading(tmp_path: Path) -> None:
    dataset = write(tmp_path / "a.jsonl", ["{", GOOD, GOOD, "never read"])
    result = sources.read(source(dataset, bad_rows="skip", limit=2))
    assert (len(result.problems), len(result.skipped)) == (2, 1)


def test_parquet_gives_what_jsonl_gives(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"question": f"What is {n}?", "answer": n} for n in range(5)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    parquet = sources.read(source(f"parquet:{tmp_path / 'a.parquet'}")).problems
    lines = sources.read(source(write(tmp_path / "a.jsonl", rows))).problems
    assert [(p.id, p.question, p.answer) for p in parquet] == [(p.id, p.question, p.answer) for p in lines]


def test_damaged_and_wrong_files_are_plain_errors(tmp_path: Path) -> None:
    whole = gzip.compress(json.dumps(GOOD).encode() * 50)
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[:-12])
    (tmp_path / "a.parquet").write_bytes(b"PAR1 but not really")
    (tmp_path / "a.jsonl").write_text(json.dumps(GOOD))
    for dataset, says in (
        (f"jsonl:{tmp_path / 'cut.jsonl.gz'}", "not a whole gzip file"),
        (f"parquet:{tmp_path / 'a.parquet'}", "not a readable Parquet file"),
        (f"jsonl:{tmp_path / 'gone.jsonl'}", "There is no file"),
        (f"parquet:{tmp_path / 'a.jsonl'}", "announced as parquet"),
        ("csv:a.csv", "no known kind"),
        ("builtin:riddles", "no built-in data set"),
    ):
        with pytest.raises(StageError, match=says):
            sources.read(source(dataset))


def test_content_id_is_of_the_bytes_not_the_path(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a.jsonl", [GOOD]), write(tmp_path / "b.jsonl", [GOOD])
    expected = hashlib.sha256((tmp_path / "a.jsonl").read_bytes()).hexdigest()
    assert sources.content_id(source(one)) == sources.content_id(source(two)) == f"sha256:{expected}"
    assert sources.content_id(source(one, limit=3)) == f"sha256:{expected}"
    assert sources.content_id(source("builtin:word_problems", seed=4)) == "word_problems:v1"
    commit = "e53f048856ff4f594e959d75785d2c2d37b678ee"
    assert sources.content_id(source("openai/gsm8k", revision=commit)) == f"hub:openai/gsm8k@{commit}"


def test_path_on_this_machine_replaces_the_one_named(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", [GOOD])
    assert len(sources.read(source("jsonl:elsewhere.jsonl"), tmp_path / "a.jsonl").problems) == 1


def test_builtin_problems_come_from_the_generator() -> None:
    result = sources.read(source("builtin:word_problems", limit=3, families=("mul",), split="test"))
    assert [p.id.rsplit("-", 1)[0] for p in result.problems] == [f"word-test-mul-000{n}" for n in range(3)]


@pytest.mark.parametrize("call", ["read", "content_id"])
def test_a_hub_out_of_reach_says_what_would_serve(tmp_path: Path, call: str) -> None:
    """In a process of its own: the hub's client reads HF_HUB_OFFLINE once, on import."""
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_sources import source
from distill_app.errors import StageError
from distill_app.problems import sources
try:
    sources.{call}(source("openai/gsm8k", config="main"))
except StageError as error:
    print(error)
"""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert "'openai/gsm8k' could not be read from the hub" in done.stdout
    assert "jsonl:PATH" in done.stdout
    assert "HF_HUB_OFFLINE" in done.stdout


def test_offline_commit_comes_from_the_local_cache(tmp_path: Path) -> None:
    refs = tmp_path / "hub" / "datasets--openai--gsm8k" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text("0123456789012345678901234567890123456789")
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_sources import source
from distill_app.problems import sources
print(sources.content_id(source("openai/gsm8k")))
"""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    env.pop("HF_HUB_CACHE", None)
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "hub:openai/gsm8k@0123456789012345678901234567890123456789"


def test_real_gsm8k_reads_whole() -> None:
    file = DATA / "benchmarks" / "gsm8k_train.jsonl.gz"
    if not file.exists():
        pytest.skip("../shared/data is not here")
    marked = sources.read(
        source(f"jsonl:{file}", fields={"id": "id", "answer": "solution"}, answer_after="####")
    ).problems
    plain = sources.read(source(f"jsonl:{file}", fields={"id": "id"})).problems
    assert len(marked) == 7473
    assert [(p.id, p.answer) for p in marked] == [(p.id, p.answer) for p in plain]
    assert marked[0].answer == "72"
