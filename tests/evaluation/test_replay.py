"""Replaying published samples: our verdicts on 70 problems x 8 samples against the publishers'."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distill_app.evaluation.grading import answer_classes, grade
from distill_app.evaluation.metrics import avg_at_k, maj_at_k, pass_at_k
from distill_app.records import Sample

PATH = Path(__file__).resolve().parents[3] / "shared" / "data" / "traces" / "math_qwen_8samples.jsonl"


def test_published_verdicts_problem_by_problem() -> None:
    if not PATH.exists():
        pytest.skip("../shared/data is not here")
    rows = [json.loads(line) for line in PATH.read_text(encoding="utf-8").splitlines()]
    verdicts = grade([(r["id"], r["reasoning"], r["answer"]) for r in rows], workers=2, limit_seconds=20)
    assert len(rows) == 560
    assert [r["id"] for r, v in zip(rows, verdicts, strict=True) if (v.verdict == "correct") != r["correct"]] == []

    ours: dict[str, list[bool]] = {}
    published: dict[str, list[bool]] = {}
    for row, verdict in zip(rows, verdicts, strict=True):
        ours.setdefault(row["question_id"], []).append(verdict.verdict == "correct")
        published.setdefault(row["question_id"], []).append(row["correct"])
    assert len(ours) == 70
    values = avg_at_k(list(ours.values()), 8)
    assert values == [sum(row) / 8 for row in published.values()]
    assert sum(values) / 70 == 0.9375

    samples = [
        Sample(r["id"], r["question_id"], r["question"], r["answer"], r["reasoning"], r["sample"], 0, "stop", 1)
        for r in rows
    ]
    labels = answer_classes(samples, verdicts, workers=2, limit_seconds=20)
    by_problem: dict[str, list[int]] = {}
    for row in rows:
        by_problem.setdefault(row["question_id"], []).append(labels[row["id"]])
    majority = maj_at_k(list(by_problem.values()), list(ours.values()), 8)
    some = pass_at_k(list(ours.values()), 8)
    assert all(share <= hit for share, hit in zip(majority, some, strict=True))
    assert sum(some) / 70 == sum(any(row) for row in published.values()) / 70
