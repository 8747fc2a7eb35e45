"""What tests of several rooms share: the tiny student."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny import tiny_student


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer random student with the real tokenizer, in a folder."""
    return tiny_student(tmp_path_factory.mktemp("student") / "tiny")
