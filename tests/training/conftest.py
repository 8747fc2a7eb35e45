"""What the tiny student's tokenizer makes of the sums."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distill_app.students.load import load_tokenizer
from distill_app.students.template import ChatTemplate
from distill_app.training.rows import Encoded, encode
from tests.training.tiny_training import SUMS


@pytest.fixture(scope="session")
def student(tiny_folder: Path) -> Path:
    return tiny_folder


@pytest.fixture
def tokenizer(student: Path) -> Any:
    return load_tokenizer(student)


@pytest.fixture
def template(tokenizer: Any) -> ChatTemplate:
    return ChatTemplate(tokenizer, "", "{question}")


@pytest.fixture
def encoded(template: ChatTemplate) -> Encoded:
    return encode(SUMS, template, 200)
