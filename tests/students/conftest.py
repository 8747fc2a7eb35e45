"""The tiny student under the name these tests use."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Path:
    return tiny_folder
