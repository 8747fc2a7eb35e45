"""Released traces: which row answers which request, and what is counted."""

from __future__ import annotations

import dataclasses
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
    hub = {"dataset": None, "config": None, "split": "train", "revision": None}
    return build(traces.Options, {"path": path, **hub, "fields": names, "bad_rows": bad_rows})


def of_hub(dataset: str, **change: Any) -> traces.Options:
    return dataclasses.replace(options(None), dataset=dataset, **change)


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
    assert [(line, reason[:20]) for _, line, reason in traces.read(chosen, frozenset()).skipped] == [
        (1, "there is no column '"), (2, "the line is not JSON"),
    ]  # fmt: skip


def test_bad_rows_are_counted_by_their_reason(tmp_path: Path) -> None:
    rows = [{"question": A.question, "reasoning": text} for text in ("good", " ", None, 5)]
    file = write(tmp_path / "t.jsonl", *rows, *[{"question": A.question}] * 200, "[]", "{")
    assert traces.survey([A, B], options(str(file), bad_rows="skip")) == {
        "rows in files": 1,
        "rows of no problem": 0,
        "bad rows skipped": 205,
        "bad rows: 'reasoning' holds a null": 1,
        "bad rows: 'reasoning' holds a number": 1,
        "bad rows: 'reasoning' is empty": 1,
        "bad rows: no 'reasoning'": 200,
        "bad rows: not JSON": 1,
        "bad rows: not an object": 1,
        "problems without a trace": 1,
    }
    assert len(traces.read(options(str(file), bad_rows="skip"), frozenset()).skipped) == traces.LISTED
    with pytest.raises(StageError, match=r"no usable trace \(206 bad rows, no 'solution': 204; not an object: 1; "):
        answers(ask((A, 0)), options(str(file), bad_rows="skip", reasoning="solution"))


def test_no_file_and_no_row_are_errors(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="No file matches"):
        answers(ask((A, 0)), options(str(tmp_path / "*.jsonl")))
    with pytest.raises(StageError, match=r"no usable trace \(0 bad rows\)"):
        answers(ask((A, 0)), options(str(write(tmp_path / "t.jsonl"))))


def test_content_is_of_bytes_in_order_of_name(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "b.jsonl", "{}")
        write(tmp_path / folder / "a.jsonl", "[]")
    expected = {"content": "sha256:" + "+".join(hashlib.sha256(text).hexdigest() for text in (b"[]\n", b"{}\n"))}
    assert traces.content(options(str(tmp_path / "one" / "*"))) == expected
    assert traces.content(options(str(tmp_path / "two" / "*"))) == expected
    write(tmp_path / "two" / "b.jsonl", "{} ")
    assert traces.content(options(str(tmp_path / "two" / "*"))) != expected


def test_content_of_a_data_set_is_its_commit() -> None:
    commit = "e53f048856ff4f594e959d75785d2c2d37b678ee"
    assert traces.content(of_hub("a/b", revision=commit)) == {"content": f"hub:a/b@{commit}"}
    assert {"path", "dataset", "revision"} == traces.LOCAL, "what content stands for; config and split tell rows apart"


def test_either_files_or_a_data_set() -> None:
    for chosen, says in (
        (options(None), "it names no traces"),
        (dataclasses.replace(options("x.jsonl"), dataset="a/b"), "the traces come from path already"),
        (dataclasses.replace(options("x.jsonl"), revision="main"), "files have no revision; it belongs to dataset"),
    ):
        for call in (lambda chosen=chosen: traces.content(chosen), lambda chosen=chosen: answers(ask((A, 0)), chosen)):
            with pytest.raises(StageError, match=says):
                call()
    assert [option for option, _, _ in traces.check(options(None))] == ["path"]
    assert list(traces.check(options("x.jsonl"))) == list(traces.check(of_hub("a/b", config="main"))) == []


def test_columns_can_lie_inside_others(tmp_path: Path) -> None:
    file = write(
        tmp_path / "t.jsonl",
        {"problem": {"text": A.question}, "messages": {"assistant": "inside"}, "messages.assistant": "by its own name"},
        {"problem": {"text": A.question}, "messages": {"assistant": "inside"}},
    )
    chosen = options(str(file), reasoning="messages.assistant", question="problem.text")
    assert [c.text for c in answers(ask((A, 0), (A, 1)), chosen)] == ["by its own name", "inside"]


def test_finished_requests_are_not_answered_again(tmp_path: Path) -> None:
    file = write(tmp_path / "t.jsonl", *({"question": A.question, "reasoning": text} for text in ("one", "two")))
    asked = ask((A, 0), (A, 1), (A, 2))
    done = [c for batch in traces.complete(asked, options(str(file)), done={"a/0"}) for c in batch]
    assert [(c.id, c.text) for c in done] == [("a/1", "two"), ("a/2", "")]


def test_rows_of_a_hub_data_set_are_read_as_they_come(tmp_path: Path) -> None:
    """A folder stands for a repository: config, split and column types are the data set library's to find."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "set").mkdir()
    rows = [
        {"problem": A.question, "generated_solution": "first", "meta": {"tokens": 7}},
        {"problem": "How many nuts?", "generated_solution": "nobody asked", "meta": {"tokens": 8}},
        {"problem": A.question, "generated_solution": None, "meta": {"tokens": 9}},
        {"problem": "how many apples?", "generated_solution": "second", "meta": {"tokens": 10}},
    ]
    for split, kept in (("cot", rows), ("tir", rows[:1])):
        pq.write_table(pa.Table.from_pylist(kept), tmp_path / "set" / f"{split}.parquet")
    (tmp_path / "set" / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        "  - split: cot\n    path: cot.parquet\n  - split: tir\n    path: tir.parquet\n---\n"
    )
    names = {"reasoning": "generated_solution", "question": "problem"}
    chosen = dataclasses.replace(
        options(None, bad_rows="skip", **names), dataset=str(tmp_path / "set"), config="default", split="cot"
    )
    done = answers(ask((A, 0), (A, 1), (A, 2)), chosen)
    assert [(c.text, c.finish_reason) for c in done] == [("first", "stop"), ("second", "stop"), ("", "missing")]
    assert done[1].numbers == (("meta.tokens", 10.0),)
    assert traces.survey([A, C], chosen) == {
        "rows in files": 3,
        "rows of no problem": 1,
        "bad rows skipped": 1,
        "bad rows: 'generated_solution' holds a null": 1,
        "problems without a trace": 1,
    }
    (only,) = answers(ask((A, 0)), dataclasses.replace(chosen, split="tir"))
    assert only.text == "first"
    with pytest.raises(StageError, match=r"set \(cot\), line 3: column 'generated_solution' holds a null"):
        answers(ask((A, 0)), dataclasses.replace(chosen, bad_rows="stop"))
    with pytest.raises(StageError, match=r"could not be read from the hub .*nope.*path: FILE"):
        answers(ask((A, 0)), dataclasses.replace(chosen, split="nope"))


def test_only_the_pools_traces_are_kept_however_many_rows_there_are(tmp_path: Path) -> None:
    """A million characters pass by; what is held at the highest point is far less (the text of one row is 10,000)."""
    import tracemalloc

    others = ({"question": f"How many {n}?", "reasoning": f"{n} " + "x" * 10_000} for n in range(2_000))
    file = write(tmp_path / "t.jsonl", {"question": A.question, "reasoning": "kept"}, *others)
    tracemalloc.start()
    released = traces.read(options(str(file)), frozenset({"how many apples?"}))
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (released.rows, list(released.written)) == (2_001, ["how many apples?"])
    assert most_bytes < 2_000_000 < file.stat().st_size


def test_files_are_read_once_for_completing_and_surveying_and_again_when_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "t.jsonl", {"question": A.question, "reasoning": "one"})
    chosen = options(str(file))
    seen: list[str] = []
    read = traces.read_rows
    monkeypatch.setattr(traces, "read_rows", lambda path: seen.append(path.name) or read(path))
    batches = traces.complete(ask((A, 0)), chosen, problems=[A, B])
    assert [c.text for batch in batches for c in batch] == ["one"]
    assert traces.survey([A, B], chosen)["rows in files"] == 1
    assert seen == ["t.jsonl"]
    write(tmp_path / "t.jsonl", *({"question": A.question, "reasoning": text} for text in ("one", "two")))
    assert traces.survey([A, B], chosen)["rows in files"] == 2
    assert seen == ["t.jsonl"] * 2


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
