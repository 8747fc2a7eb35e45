"""The real files of benchmarks that the tests read, where they are here: ../shared/data beside the checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distill_app.problems import benchmarks
from distill_app.recipe.model import ProblemFields, ProblemSource

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "benchmarks"


def source(dataset: str, **change: Any) -> ProblemSource:
    """A problem source with every key at the value that the schema gives it, but for `change`."""
    fields = {
        "id": None, "question": "question", "answer": "answer", "solution": None, "choices": None, "labels": None,
        "cluster": None, "tolerance": None, **change.pop("fields", {}),
    }  # fmt: skip
    values: dict[str, Any] = {
        "dataset": dataset, "config": None, "split": "train", "revision": None, "answer_after": None, "kind": "auto",
        "where": {}, "limit": None, "bad_rows": "stop", "families": None, "mix": {}, "difficulty": "small", "seed": 0,
        **change,
    }  # fmt: skip
    return ProblemSource(fields=ProblemFields(**fields), **values)


def named(name: str, **given: Any) -> ProblemSource:
    """The source of a benchmark as a recipe gives it: what its name stands for, and `given`."""
    keys = benchmarks.expand(name, given)
    keys.pop("name")
    return source(**{"split": "test", **keys})


def file(name: str) -> Path:
    """One of the shared files; the test is skipped where it is not here."""
    if not (FOLDER / name).is_file():
        pytest.skip("../shared/data is not here")
    return FOLDER / name
