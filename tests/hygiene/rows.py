"""Pool rows for tests of hygiene: everything that a rule does not look at is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distill_app.records import Problem, Trace

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def trace(name: str, text: str = "", question: str = "What is it?", **given: Any) -> Trace:
    fields = {"teacher": "ann", "augmentation": "chain_of_thought", "sample": 0, "seed": 1, "finish_reason": "stop"}
    return Trace(name, name.split("/")[0], question, "4", text or f"It is {name}.", **{**fields, **given})


def problem(name: str, question: str, source: str = "jsonl") -> Problem:
    return Problem(name, question, "4", source)


def shared(path: str) -> Path:
    """A file of the shared data; the test is skipped where it is not here."""
    if not SHARED.is_dir():
        pytest.skip("../shared/data is not here")
    return SHARED / path
