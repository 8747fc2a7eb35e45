"""The built-in student, made once in the user's cache, and a tiny random one."""

from __future__ import annotations

from pathlib import Path

import pytest

from distill_app.students import builtin


@pytest.fixture(scope="session")
def smollm() -> Path:
    return builtin.materialise("smollm2-135m-instruct", print)


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Path:
    return tiny_folder
