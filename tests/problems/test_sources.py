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
from tests.problems.benchmark_files import file, source


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
    ({"question": "How many?", "answer": None}, "'answer' holds a null"),
    ({"question": "How many?", "answer": []}, "'answer' is an empty list"),
    ({"question": "How many?", "answer": ["4", None]}, "'answer' holds a null"),
    ({"question": "How many?", "answer": {"text": "4"}}, "'answer' holds an object"),
    ("[" * 100_000, "not JSON"),
    ('{"question": "How many?", "answer": ' + "4" * 5000 + "}", "not JSON"),
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
    assert [p.id for p in result.problems] == ["row-000001", f"row-{len(BAD) + 2:06d}"]
    assert [line for line, _ in result.skipped] == list(range(2, len(BAD) + 2))
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
    with pytest.raises(StageError, match="1 were bad, the first"):
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
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.problems.benchmark_files import source
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
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.problems.benchmark_files import source
from distill_app.problems import sources
print(sources.content_id(source("openai/gsm8k")))
"""
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    env.pop("HF_HUB_CACHE", None)
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "hub:openai/gsm8k@0123456789012345678901234567890123456789"


def test_real_gsm8k_reads_whole() -> None:
    path = f"jsonl:{file('gsm8k_train.jsonl.gz')}"
    marked = sources.read(source(path, fields={"id": "id", "answer": "solution"}, answer_after="####")).problems
    plain = sources.read(source(path, fields={"id": "id"})).problems
    assert len(marked) == 7473
    assert [(p.id, p.answer) for p in marked] == [(p.id, p.answer) for p in plain]
    assert marked[0].answer == "72"


def test_columns_inside_others_and_lists_of_answers(tmp_path: Path) -> None:
    rows = [
        {"q": {"text": "One?"}, "final": ["$2 \\sqrt{3}$"], "meta": {"contest": 12, "err": "1e-1"}},
        {"q": {"text": "Two?"}, "final": [1, "2.50"], "meta": {"contest": "b", "err": None}},
        {
            "q": {"text": "Three?"},
            "final": ["4.2"],
            "meta": {"contest": "b", "err": 0.05},
            "q.text": "A name of its own?",
        },
    ]
    fields = {"question": "q.text", "answer": "final", "cluster": "meta.contest", "tolerance": "meta.err"}
    problems = sources.read(source(write(tmp_path / "a.jsonl", rows), fields=fields)).problems
    assert [(p.question, p.answer, p.kind, p.cluster, p.tolerance) for p in problems] == [
        ("One?", "$2 \\sqrt{3}$", "auto", "12", 0.1),
        ("Two?", "1, 2.50", "auto", "b", None),
        ("A name of its own?", "4.2", "number", "b", 0.05),
    ]
    with pytest.raises(StageError, match=r"no column 'meta\.contst'; did you mean 'meta\.contest'"):
        sources.read(source(write(tmp_path / "a.jsonl", rows), fields={**fields, "cluster": "meta.contst"}))
    for wrong in ("about 1", "-1", "nan", "inf"):
        bad = [{**GOOD, "err": wrong}]
        with pytest.raises(StageError, match=f"line 1: column 'err' holds '{wrong}', which is no tolerance"):
            sources.read(source(write(tmp_path / "b.jsonl", bad), fields={"tolerance": "err"}))


KINDS: list[tuple[str, Any, str]] = [
    ("integer", "073", "73"), ("integer", 27.0, "27"), ("integer", "27.0", "27"), ("integer", "$1,200$", "1200"),
    ("integer", "-1", "-1"), ("number", "1,080", "1,080"), ("number", 0.5, "0.5"), ("number", "18 apples", "18 apples"),
    ("yes_no", True, "yes"), ("yes_no", False, "no"), ("yes_no", "No", "no"), ("yes_no", "TRUE", "yes"),
    ("auto", "x^2", "x^2"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "written", "gold"), KINDS)
def test_a_gold_answer_is_read_by_its_kind(tmp_path: Path, kind: str, written: Any, gold: str) -> None:
    (problem,) = sources.read(source(write(tmp_path / "a.jsonl", [{**GOOD, "answer": written}]), kind=kind)).problems
    assert (problem.answer, problem.kind) == (gold, kind)


@pytest.mark.parametrize(
    ("kind", "written", "says"),
    [
        ("integer", "0.5", "is not a whole number"),
        ("integer", "50%", "is not a whole number"),
        ("integer", "n", "is not a whole number"),
        ("number", "x^2", "is not a number"),
        ("number", True, "holds a boolean, not text"),
        ("yes_no", "perhaps", "is neither yes nor no"),
        ("yes_no", 1, "is neither yes nor no"),
    ],
)
def test_a_gold_answer_of_another_kind_is_named(tmp_path: Path, kind: str, written: Any, says: str) -> None:
    with pytest.raises(StageError) as caught:
        sources.read(source(write(tmp_path / "a.jsonl", [{**GOOD, "answer": written}]), kind=kind))
    assert "a.jsonl, line 1: " in str(caught.value)
    assert says in str(caught.value)
    assert "'answer'" in str(caught.value)


def test_where_leaves_rows_out_before_they_can_be_bad(tmp_path: Path) -> None:
    rows = [
        {**GOOD, "level": 5, "one": True, "m": {"s": "a"}}, {**GOOD, "level": "5", "one": True, "m": {"s": "b"}},
        {**GOOD, "level": 5.0, "one": False, "m": {"s": "a"}}, {"level": 4, "one": True, "m": {"s": "a"}},
        {**GOOD, "level": None, "one": "true", "m": {"s": "a"}}, {**GOOD, "level": 5, "one": "True", "m": {"s": "c"}},
    ]  # fmt: skip
    dataset = write(tmp_path / "a.jsonl", rows)
    for where, lines in (
        ({"level": 5}, [1, 2, 3, 6]),
        ({"level": 5, "one": True}, [1, 2, 6]),
        ({"level": 5, "m.s": ["a", "c"]}, [1, 3, 6]),
        ({"one": False}, [3]),
    ):
        result = sources.read(source(dataset, where=where))
        assert [p.id for p in result.problems] == [f"row-{line:06d}" for line in lines]
        assert (result.left_out, result.skipped) == (6 - len(lines), [])
    assert len(sources.read(source(dataset, where={"level": 5}, limit=2)).problems) == 2
    with pytest.raises(StageError, match="line 1: there is no column 'levl'; did you mean 'level'"):
        sources.read(source(dataset, where={"levl": 5}))
    with pytest.raises(StageError, match="no usable problem; where left out 6"):
        sources.read(source(dataset, where={"level": 1}))


FLOATS = "Which of these floats?"


@pytest.mark.parametrize(
    ("row", "labels", "question", "letter"),
    [
        ({"choices": ["a stone", "a cork"], "answer": "B"}, None, f"{FLOATS}\nA) a stone\nB) a cork", "B"),
        ({"choices": ["a stone", "a cork"], "answer": "a cork"}, None, f"{FLOATS}\nA) a stone\nB) a cork", "B"),
        ({"choices": [3, 4.5], "answer": 4.5}, None, f"{FLOATS}\nA) 3\nB) 4.5", "B"),
        ({"choices": ["x", "y", "z"], "l": ["1", "2", "3"], "answer": "3"}, "l", f"{FLOATS}\nA) x\nB) y\nC) z", "C"),
        ({"choices": ["x", "x"], "l": [1, 2], "answer": 1}, "l", f"{FLOATS}\nA) x\nB) x", "A"),
        ({"choices": ["x", "y"], "l": ["B", "A"], "answer": "A"}, "l", f"{FLOATS}\nA) x\nB) y", "B"),
        ({"question": f"{FLOATS} (A) $x$ (B) $y$", "answer": "(B)"}, None, f"{FLOATS} (A) $x$ (B) $y$", "B"),
        ({"question": f"{FLOATS}\nA. x\nB. y", "answer": "A"}, None, f"{FLOATS}\nA. x\nB. y", "A"),
        (
            {
                "question": f"Please choose the correct answer to the question: {FLOATS}\n\nAnswer1: a stone. Answer2: "
                "a cork.\n\nAnswer format: answer1/answer2",
                "answer": "answer2",
            },
            None, f"{FLOATS}\nA) a stone.\nB) a cork.", "B",
        ),
    ],
)  # fmt: skip
def test_options_are_written_below_the_question(
    tmp_path: Path, row: dict[str, Any], labels: str | None, question: str, letter: str
) -> None:
    dataset = write(tmp_path / "a.jsonl", [{"question": FLOATS, **row}])
    fields = {"choices": "choices", "labels": labels}
    (problem,) = sources.read(source(dataset, fields=fields, kind="choice")).problems
    assert (problem.question, problem.answer, problem.kind) == (question, letter, "choice")


@pytest.mark.parametrize(
    ("row", "labels", "says"),
    [
        ({"choices": ["x", "y"], "answer": "C"}, None, "the answer 'C' is none of the options A, B"),
        ({"choices": ["x", "y"], "answer": 1}, None, "the answer '1' is none of the options A, B"),
        ({"choices": ["B", "y"], "answer": "B"}, None, "the answer 'B' is more than one of the options A, B"),
        ({"choices": ["x", "y"], "l": ["1", "2"], "answer": "x"}, "l", "the answer 'x' is none of the options 1, 2"),
        ({"choices": ["x", "y"], "l": ["1"], "answer": "1"}, "l", "there are 2 options and 1 labels"),
        ({"choices": ["x"], "answer": "A"}, None, "column 'choices' holds 1 options"),
        ({"choices": "x, y", "answer": "A"}, None, "column 'choices' does not hold a list"),
        ({"choices": ["x", ""], "answer": "A"}, None, "column 'choices' is empty"),
        ({"answer": "A"}, None, "there is no column 'choices', and the question names no option 'A' itself"),
        ({"question": "Plan A. What then?", "answer": "B"}, None, "names no option 'B' itself"),
    ],
)
def test_options_that_do_not_fit_are_named(tmp_path: Path, row: dict[str, Any], labels: str | None, says: str) -> None:
    dataset = write(tmp_path / "a.jsonl", [{"question": FLOATS, **row}])
    with pytest.raises(StageError) as caught:
        sources.read(source(dataset, fields={"choices": "choices", "labels": labels}, kind="choice"))
    assert f"line 1: {says}" in str(caught.value) or says in str(caught.value)


def test_options_make_a_multiple_choice_question_whatever_the_kind_is_called(tmp_path: Path) -> None:
    dataset = write(tmp_path / "a.jsonl", [{"question": FLOATS, "o": {"text": ["x", "y"]}, "answer": "A"}])
    (problem,) = sources.read(source(dataset, fields={"choices": "o.text"})).problems
    assert (problem.kind, problem.answer) == ("choice", "A")
    with pytest.raises(StageError, match="kind is 'number'"):
        sources.read(source(dataset, fields={"choices": "o.text"}, kind="number"))
