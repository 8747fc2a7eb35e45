"""Training that is stopped, gone on with, and made to need less memory: the same result, and the adapter once."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distill_app import stopping
from distill_app.students.device import Device
from distill_app.students.load import load
from distill_app.training import checkpoints
from distill_app.training.checkpoints import Every
from distill_app.training.rows import Encoded
from distill_app.training.trainer import TrainResult
from tests.training.test_trainer import trainer_for, weights
from tests.training.tiny_training import SETTINGS, SUMS, train_tiny

CPU = Device("cpu", "float32", "a test")
PLAIN = dataclasses.replace(SETTINGS, lora=dataclasses.replace(SETTINGS.lora, dropout=0.0))


@pytest.fixture(scope="module")
def whole(student: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    """Six steps of up to four rows that nothing disturbed, four rows at once, without dropout."""
    out = tmp_path_factory.mktemp("whole")
    return out, train_tiny(student, out, SUMS, PLAIN, epochs=2, train_rows=4)


@pytest.fixture
def _listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process answers to SIGINT as a stage's does."""
    monkeypatch.setattr(stopping, "_state", stopping._State())
    before = signal.getsignal(signal.SIGINT)
    stopping.listen()
    yield
    signal.signal(signal.SIGINT, before)


def stopped_at(step: int, student: Path, out: Path) -> None:
    """Train six steps with Ctrl-C pressed when `step` is told."""

    def emit(kind: str, values: dict[str, Any]) -> None:
        if kind == "loss" and values["step"] == step:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_tiny(student, out, SUMS, PLAIN, epochs=2, train_rows=4, emit=emit)
    stopping._state.asked = False


def left(out: Path) -> dict[str, bool]:
    return {path.name: checkpoints.is_complete(path) for path in (out / "checkpoints").glob("checkpoint-*")}


def same_adapter(one: Path, other: Path, *, exactly: bool = True) -> None:
    import torch

    ours, theirs = weights(one), weights(other)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        if exactly:
            assert torch.equal(tensor, theirs[name]), name
        else:
            torch.testing.assert_close(tensor, theirs[name], atol=2e-4, rtol=1e-2)


@pytest.mark.parametrize("rows", [4, 1])
def test_recomputing_is_the_same_training(
    rows: int, student: Path, whole: tuple[Path, TrainResult], tmp_path: Path
) -> None:
    """With the rows at once (test_trainer) every rung of the ladder: a step's loss is the mean over its tokens."""
    result = train_tiny(student, tmp_path, SUMS, PLAIN, epochs=2, train_rows=rows, gradient_checkpointing=True)
    assert result.losses == pytest.approx(whole[1].losses, abs=1e-4)
    assert (result.steps, result.target_tokens) == (whole[1].steps, whole[1].target_tokens)
    same_adapter(tmp_path, whole[0], exactly=False)


@pytest.mark.usefixtures("_listening")
def test_going_on_with_other_rows_at_once_and_recomputing(
    student: Path, whole: tuple[Path, TrainResult], tmp_path: Path
) -> None:
    """From four rows at once to one after the fourth of six steps, in the middle of an epoch: no row lost or twice."""
    stopped_at(4, student, tmp_path)
    steps = []
    result = train_tiny(
        student,
        tmp_path,
        SUMS,
        PLAIN,
        epochs=2,
        train_rows=1,
        gradient_checkpointing=True,
        emit=lambda kind, values: steps.append(values["step"]) if kind == "loss" else None,
    )
    assert result.resumed_step == 4
    assert steps == [5, 6]
    assert result.losses[:4] == whole[1].losses[:4]
    assert result.losses == pytest.approx(whole[1].losses, abs=1e-4)
    same_adapter(tmp_path, whole[0], exactly=False)


@pytest.mark.usefixtures("_listening")
def test_ctrl_c_leaves_after_the_step_with_a_checkpoint(
    student: Path, whole: tuple[Path, TrainResult], tmp_path: Path
) -> None:
    """At a step where no checkpoint was due; the same bits in the end."""
    stopped_at(3, student, tmp_path)
    assert left(tmp_path) == {"checkpoint-2": True, "checkpoint-3": True}
    assert not (tmp_path / "adapter").exists()
    result = train_tiny(student, tmp_path, SUMS, PLAIN, epochs=2, train_rows=4)
    assert result.resumed_step == 3
    assert result.losses == whole[1].losses
    same_adapter(tmp_path, whole[0])


def test_checkpoints_by_the_clock(student: Path, tmp_path: Path) -> None:
    """Each step takes longer than no time at all; the last two are kept."""
    train_tiny(student, tmp_path, SUMS, PLAIN, train_rows=4, epochs=1, every=Every(1000, seconds=0))
    assert left(tmp_path) == {"checkpoint-2": True, "checkpoint-3": True}


def test_the_adapter_is_there_once(student: Path, encoded: Encoded, tmp_path: Path) -> None:
    """Trained, gone on with, and loaded for evaluation: 14 layers with one adapter each, and its effect once."""
    import torch
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer
    from safetensors.torch import load_file

    trainer_for(student, encoded, tmp_path / "checkpoints").train()
    last = checkpoints.last_complete(tmp_path / "checkpoints")
    assert last is not None
    trainer = trainer_for(student, encoded, tmp_path / "checkpoints")
    trainer.train(resume_from_checkpoint=str(last))
    adapted = [module for module in trainer.model.modules() if isinstance(module, LoraLayer)]
    assert len(adapted) == 7 * 2  # seven projections in each of two layers
    assert all(list(module.lora_A) == list(module.lora_B) == ["default"] for module in adapted)
    inner = [part for module in adapted for part in module.modules() if part is not module]
    assert not any(isinstance(part, LoraLayer | PeftModel) for part in inner)

    ids = torch.tensor([encoded.examples[0].input_ids])
    trainer.model.eval()
    with torch.no_grad():
        trained = trainer.model(ids).logits
        evaluated = load(student, CPU, adapter=last)[0](ids).logits
    torch.testing.assert_close(evaluated, trained, atol=1e-4, rtol=1e-4)
    # By hand: W + alpha / rank * B A, once.
    name = "model.layers.0.self_attn.q_proj"
    slopes = load_file(last / "adapter_model.safetensors")
    a, b = (slopes[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
    base = load(student, CPU)[0].get_submodule(name).weight
    merged = load(student, CPU, adapter=last)[0].get_submodule(name).weight
    assert (b @ a).abs().max() > 1e-4
    torch.testing.assert_close(merged, base + 8 / 4 * (b @ a), atol=1e-6, rtol=1e-5)
