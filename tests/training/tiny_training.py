"""Ten sums, settings, and one call that trains the tiny student on them: for tests and the process they kill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distill_app.recipe.model import Lora, Training
from distill_app.students.device import Device, set_threads
from distill_app.students.load import load_tokenizer
from distill_app.students.template import ChatTemplate
from distill_app.training.checkpoints import Every
from distill_app.training.rows import TrainingRow, encode
from distill_app.training.sft import Reselect
from distill_app.training.trainer import TrainResult, train

SETTINGS = Training(
    lora=Lora(rank=4, alpha=8.0, dropout=0.1, target_modules="all-linear"),
    learning_rate=5e-3,
    batch_size=4,
    schedule="cosine",
    warmup=0.1,
    weight_decay=0.0,
    max_grad_norm=1.0,
    max_length=200,
    group_by_length=True,
    skills=None,
)
"""Dropout is on, so that a resumed run that forgot its random state would show."""

SUMS = [
    TrainingRow(
        f"r{i}",
        f"What is {i} + {7 * i}?",
        "\n".join(f"{i} + {j} = {i + j}" for j in range(1 + i % 4)) + f"\nAnswer: {8 * i}",
    )
    for i in range(10)
]
"""Ten short worked sums of 1 to 4 lines, so that lengths differ."""


def train_tiny(
    student: Path,
    out: Path,
    rows: Sequence[TrainingRow],
    settings: Training,
    *,
    epochs: int = 3,
    train_rows: int | None = 3,
    dtype: str = "float32",
    emit: Callable[[str, dict[str, Any]], None] = lambda _kind, _values: None,
    gradient_checkpointing: bool | None = None,
    every: Every | None = None,
    reselect: Reselect | None = None,
) -> TrainResult:
    """Train the tiny student on one thread: three epochs of three steps on SUMS, a checkpoint every second."""
    set_threads(1)
    template = ChatTemplate(load_tokenizer(student), "", "{question}")
    return train(
        encode(rows, template, settings.max_length),
        student,
        out / "adapter",
        out / "checkpoints",
        settings,
        epochs=epochs,
        seed=7,
        device=Device("cpu", dtype, "a test"),
        train_rows=train_rows,
        gradient_checkpointing=gradient_checkpointing,
        checkpoints_every=Every(2) if every is None else every,
        emit=emit,
        base_name="tiny",
        reselect=reselect,
    )
