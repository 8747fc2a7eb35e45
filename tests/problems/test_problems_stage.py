"""The stage that writes problems: what it logs and counts about a benchmark."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from distill_app.errors import StageError
from distill_app.plan.stage import source_options
from distill_app.problems import sources
from distill_app.recipe.model import Runtime
from distill_app.records import Problem
from distill_app.stages import Context, Summary, problems
from distill_app.store import rows
from tests.problems.benchmark_files import named

RUNTIME = cast("Runtime", SimpleNamespace(grade_workers=1, grade_seconds=20.0))


def stage(folder: Path, name: str, **given: Any) -> tuple[Summary, list[str]]:
    source = named(name, **given)
    said: list[str] = []

    def emit(kind: str, values: Mapping[str, Any]) -> None:
        if kind == "log":
            said.append(values["message"])

    context = Context(
        name=f"problems[{name}]",
        options={**source_options(source, sources.content_id(source)), "check_golds": True},
        inputs={},
        local={"dataset": source.dataset, "benchmark": name},
        runtime=RUNTIME,
        folder=folder,
        emit=emit,
    )
    return problems.run(context), said


def write(path: Path, *given: Mapping[str, Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in given))
    return f"jsonl:{path}"


ROWS = [{"id": str(n), "question": f"{n}?", "answer": str(n), "level": n} for n in (3, 4, 5, 5)]


def test_a_part_of_a_benchmark_is_logged_and_where_counted(tmp_path: Path) -> None:
    dataset = write(tmp_path / "a.jsonl", *ROWS[:3])
    summary, said = stage(tmp_path, "math_l5", dataset=dataset)
    assert dict(summary.counts) == {"problems": 1, "skipped": 0, "left out by where": 2}
    assert [line[:62] for line in said] == ["math_l5 has 1 problems here, and 134 as it was published: the "]
    assert rows.read(tmp_path / problems.FILE, Problem) == [Problem("5", "5?", "5", "jsonl")]


def test_kinds_clusters_and_tolerances_reach_the_file(tmp_path: Path) -> None:
    dataset = write(tmp_path / "a.jsonl", {"id": "a", "question": "Q?", "answer": "4.2", "error": "1e-1", "exam": "A"})
    _, said = stage(tmp_path, "olympiadbench", dataset=dataset, limit=9, fields={"cluster": "exam"})
    (only,) = rows.read(tmp_path / problems.FILE, Problem)
    assert only == Problem("a", "Q?", "4.2", "jsonl", kind="number", cluster="A", tolerance=0.1)
    assert said == [], "a limit was asked for"


def test_bad_rows_are_listed_or_stop(tmp_path: Path) -> None:
    dataset = write(tmp_path / "a.jsonl", *ROWS)
    with pytest.raises(StageError, match=r"a\.jsonl, line 4: the id '5' is that of line 3 already"):
        stage(tmp_path, "math500", dataset=dataset)
    summary, said = stage(tmp_path, "math500", dataset=dataset, bad_rows="skip", limit=10)
    assert dict(summary.counts) == {"problems": 3, "skipped": 1}
    assert json.loads((tmp_path / "skipped.json").read_text()) == [[4, "the id '5' is that of line 3 already"]]
    assert "skipped 1 bad rows (4: the id '5'" in said[0]


def test_a_gold_that_does_not_verify_stops_the_run_with_its_row(tmp_path: Path) -> None:
    dataset = write(tmp_path / "a.jsonl", ROWS[0], {**ROWS[1], "answer": "{[}"})
    with pytest.raises(StageError, match=r"1 gold answers do not verify against themselves:\n  4: '\{\[\}'"):
        stage(tmp_path, "math500", dataset=dataset)


def test_the_name_of_a_benchmark_is_no_option() -> None:
    """Two names for the same problems share one artifact."""
    one, two = named("gsm8k"), dataclasses.replace(named("gsm8k"))
    assert source_options(one, "x") == source_options(two, "x")
    assert "name" not in source_options(one, "x")
