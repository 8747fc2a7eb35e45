"""The checker on the cases of other projects and on our own, as `distill-app grade` sees them: id, gold, prediction."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distill_app.errors import StageError
from distill_app.evaluation.grade_file import grade_file
from distill_app.evaluation.grading import Answerable, check_golds, grade
from distill_app.records import Problem

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[2] / "shared" / "data"
CASES = DATA / "checker" / "checker_cases.jsonl"
OWN = HERE / "checker_own_cases.jsonl"
"""Gold, prediction, expected verdict, and why: judged by hand, in the spirit of those projects' tests."""

DISAGREEMENTS: dict[str, str] = json.loads((HERE / "checker_disagreements.json").read_text(encoding="utf-8"))
"""Ids of the cases that come out otherwise here, each with its reason."""


def test_agreement_with_the_cases_of_other_projects(capsys: pytest.CaptureFixture[str]) -> None:
    """At least 99 % of the uncontested cases, every disagreement listed with its reason, and none listed in vain."""
    if not CASES.exists():
        pytest.skip("../shared/data is not here")
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    graded = list(grade_file(CASES, workers=2, limit_seconds=20))
    assert [row["id"] for row in graded] == [case["id"] for case in cases]
    wrong = {
        case["id"]
        for case, row in zip(cases, graded, strict=True)
        if (row["verdict"] == "correct") != case["expected"] or row["verdict"] == "timeout"
    }
    assert wrong == set(DISAGREEMENTS)
    uncontested = [case["id"] for case in cases if not case.get("contested")]
    rate = sum(case not in wrong for case in uncontested) / len(uncontested)
    with capsys.disabled():
        print(f"\nchecker cases: {rate:.2%} of {len(uncontested)} uncontested")
    assert len(uncontested) == 242
    assert rate >= 0.99


def test_our_own_cases() -> None:
    cases = [json.loads(line) for line in OWN.read_text(encoding="utf-8").splitlines()]
    verdicts = grade(
        [
            Answerable(str(i), case["prediction"], case["gold"], case.get("kind", "auto"), case.get("tolerance"))
            for i, case in enumerate(cases)
        ],
        workers=2,
        limit_seconds=20,
    )
    wrong = [
        (case, verdict.verdict, verdict.extracted)
        for case, verdict in zip(cases, verdicts, strict=True)
        if (verdict.verdict == "correct") != case["expected"] or verdict.verdict == "timeout"
    ]
    assert len(cases) > 600
    assert sum(not case["expected"] for case in cases) > 180
    assert wrong == []


BENCHMARKS = {
    "aime2024": (30, "integer"),
    "aime2025": (30, "integer"),
    "amc23": (40, "integer"),
    "gsm8k_test": (1000, "number"),
    "math500": (500, "auto"),
    "minerva_math": (272, "auto"),
    "arc_challenge_test": (1172, "auto"),
    "reasoning_gym_sample": (310, "auto"),
    "olympiadbench_math_en_oe": (675, "auto"),
}


def test_golds_of_real_benchmarks_verify() -> None:
    """All but one of 4,029: the source wrote `t(0,4]` where `t \\in (0,4]` is meant."""
    problems: list[Problem] = []
    for name, (count, kind) in BENCHMARKS.items():
        path = DATA / "benchmarks" / f"{name}.jsonl"
        if not path.exists():
            pytest.skip("../shared/data is not here")
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert len(rows) == count
        problems.extend(Problem(row["id"], "?", row["answer"], name, kind=kind) for row in rows)
    with pytest.raises(StageError) as caught:
        check_golds(problems, workers=2, limit_seconds=20)
    assert "1 gold answers do not verify" in caught.value.message
    assert "olympiadbench-2045" in caught.value.message
