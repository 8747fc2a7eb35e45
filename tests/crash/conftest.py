from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.scene import Whole, carry_out
from tests.recipes import small


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Whole:
    """The quickstart in a small form, carried out with nothing in its way."""
    folder = tmp_path_factory.mktemp("whole")
    return carry_out(small(folder, tiny_folder), folder / "workspace")
