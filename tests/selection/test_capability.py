"""Capability: the three definitions by hand, the scale, and what a population must be."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from distill_app.errors import StageError
from distill_app.selection.capability import Scale, absolute, scale

NLLS = [math.log(2), math.log(4)]  # CPPL 2 and 4


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("mean_inverse_cppl", (1 / 2 + 1 / 4) / 2),
        ("minus_mean_ln_cppl", -(math.log(2) + math.log(4)) / 2),
        ("inverse_mean_cppl", 1 / 3),
    ],
)
def test_definitions(definition: str, expected: float) -> None:
    assert absolute(NLLS, definition) == pytest.approx(expected)


def test_anchors() -> None:
    fixed = scale(settings(), NLLS, None)
    assert fixed == Scale("mean_inverse_cppl", 0.2, 0.8)
    assert fixed.capability([math.log(5)]) == pytest.approx(0.0)
    assert fixed.capability([math.log(1.25)]) == pytest.approx(1.0)
    assert fixed.capability([math.log(2)]) == pytest.approx(0.5)
    assert fixed.capability([math.log(50)]) == 0.0
    assert fixed.capability([0.0]) == 1.0


def settings(**changes: Any) -> dict[str, Any]:
    return {"mode": "anchors", "definition": "mean_inverse_cppl", "low": 0.2, "high": 0.8, **changes}


def test_population_spans_the_table_and_this_pair(tmp_path: Path) -> None:
    table = tmp_path / "table.jsonl"
    lines = [
        {"student": "a", "pool": "p", "definition": "mean_inverse_cppl", "absolute": 0.1},
        {"student": "b", "pool": "p", "definition": "inverse_mean_cppl", "absolute": 0.9},
    ]
    table.write_text("\n".join(map(json.dumps, lines)) + "\n")
    # The other definition's 0.9 is no part of it: low 0.1, high this pair's 0.375.
    fixed = scale(settings(mode="population"), NLLS, table)
    assert (fixed.low, fixed.high) == pytest.approx((0.1, 0.375))
    assert fixed.capability([math.log(1 / 0.2375)]) == pytest.approx(0.5)


def test_a_population_of_one(tmp_path: Path) -> None:
    (tmp_path / "table.jsonl").write_text("")
    with pytest.raises(StageError, match="spans nothing"):
        scale(settings(mode="population"), NLLS, tmp_path / "table.jsonl")


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "table.jsonl").write_text('\n{"student": "a"}\n')
    with pytest.raises(StageError, match="line 2: expected"):
        scale(settings(mode="population"), NLLS, tmp_path / "table.jsonl")


@pytest.mark.parametrize("nlls", [[], [float("nan")], [1.0, float("inf")]])
def test_no_number_no_capability(nlls: list[float]) -> None:
    with pytest.raises(StageError):
        absolute(nlls, "mean_inverse_cppl")
