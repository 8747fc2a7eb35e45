"""Fine-tune a student on selected traces: a LoRA adapter in a folder, resumable at any moment."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_app import stopping
from distill_app.errors import StageError
from distill_app.recipe.model import Training
from distill_app.seeds import derive
from distill_app.students.locate import public_name
from distill_app.training import checkpoints, sft
from distill_app.training.order import BatchOrder
from distill_app.training.rows import Encoded

if TYPE_CHECKING:
    from distill_app.students.device import Device

Emit = Callable[[str, dict[str, Any]], None]

EAGER_TOKENS = 256
"""Rows up to this long are trained with plain attention on a bfloat16 CPU: its backward pass is faster there
than the fused one's, but it keeps rows x heads x length^2 numbers for every layer."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What training did. Token counts are over all epochs and hold no padding."""

    rows: int
    """Rows trained in an epoch."""
    steps: int
    target_tokens: int
    """Tokens the loss was taken on."""
    tokens: int
    """Tokens read: prompts and targets."""
    padding_share: float
    """Share of the positions computed that held padding, over all epochs."""
    losses: tuple[float, ...]
    """Mean loss in nats a target token, of every step."""
    final_loss: float
    """Mean of `losses` over the last epoch."""
    seconds: float
    """Wall clock of this call, loading the student included."""
    resumed_step: int | None
    """The step this call went on from, None where it began at the beginning."""


def train(
    encoded: Encoded,
    model_folder: Path,
    adapter: Path,
    checkpoints_folder: Path,
    settings: Training,
    *,
    epochs: int,
    seed: int,
    device: Device,
    train_rows: int | None,
    checkpoints_every: checkpoints.Every,
    emit: Emit,
    base_name: str,
    gradient_checkpointing: bool | None = None,
    reselect: sft.Reselect | None = None,
) -> TrainResult:
    """Train a LoRA adapter for the student in `model_folder` and leave it in the folder `adapter`.

    Takes ceil(rows / batch_size) x epochs optimizer steps over `encoded.examples`; every example is trained once
    an epoch, or with `reselect` those that it names before each epoch: one optimizer, one schedule, as many steps.
    `train_rows` rows go through the model at once (None: batch_size) and do not change which rows share a step: the
    step's loss is the mean over all its target tokens, whatever pass they were in. So neither `train_rows` nor
    `gradient_checkpointing` changes the result, but for the order in which floats are added and for what dropout draws;
    either may be another one when training is gone on with.
    `base_name` is what the adapter's configuration calls the student: its hub id or built-in name (of a folder, the
    last part alone: the rest is true of this machine only).

    Emits "progress" {done, total} in steps, and "loss" {step, steps, epoch, loss, learning_rate, grad_norm,
    tokens_per_second} after every step; a resumed run emits the steps after its checkpoint again.

    Goes on from the last whole checkpoint in `checkpoints_folder`, which has to be of the same training; on a
    CPU the adapter is then bit for bit that of an uninterrupted run with as many threads. The folder is the
    caller's to remove, once the adapter is safe.

    Asked to stop (see `stopping`) it raises `KeyboardInterrupt` after the step at work, with a checkpoint written.
    Raises StageError when no row is left to train and when the loss or gradient is not finite. Memory that runs out
    is the caller's matter: what the libraries raise is passed on.
    """
    began = time.monotonic()
    if not encoded.examples:
        raise _nothing_left(encoded, settings)
    if adapter.exists():
        shutil.rmtree(adapter)
    checkpoints_folder.mkdir(parents=True, exist_ok=True)
    checkpoint = checkpoints.last_complete(checkpoints_folder)
    resumed_step = None if checkpoint is None else checkpoints.step_of(checkpoint)

    lengths = [len(example.input_ids) for example in encoded.examples]
    order = BatchOrder(
        lengths,
        batch_size=settings.batch_size,
        pass_rows=train_rows or settings.batch_size,
        seed=seed,
        group_by_length=settings.group_by_length,
    )
    if reselect is not None:
        order.rows = tuple(reselect(0, None))
    total = order.steps_per_epoch * epochs
    step_tokens: dict[int, list[int]] = {}
    clock = time.monotonic()

    def tokens_of(epoch: int) -> list[int]:
        if epoch not in step_tokens:
            step_tokens[epoch] = [sum(lengths[row] for row in step) for step in order.steps(epoch)]
        return step_tokens[epoch]

    def on_step(step: int, logs: dict[str, float]) -> None:
        nonlocal clock
        now = time.monotonic()
        epoch, place = divmod(step - 1, order.steps_per_epoch)
        rate = tokens_of(epoch)[place] / max(now - clock, 1e-9)
        clock = now
        emit(
            "loss",
            {
                "step": step,
                "steps": total,
                "epoch": step / order.steps_per_epoch,
                "loss": logs["loss"],
                "learning_rate": logs["learning_rate"],
                "grad_norm": logs["grad_norm"],
                "tokens_per_second": rate,
            },
        )
        emit("progress", {"done": step, "total": total})

    trainer = _trainer(
        encoded, model_folder, checkpoints_folder, settings, order, epochs, seed, device, checkpoints_every,
        gradient_checkpointing, on_step, reselect,
    )  # fmt: skip
    emit("progress", {"done": resumed_step or 0, "total": total})
    clock = time.monotonic()
    with stopping.held():
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    _save(trainer.model, adapter, base_name)
    losses = tuple(float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry)
    last = losses[-order.steps_per_epoch :]
    target_tokens = tokens = 0
    padding = 0.0
    for epoch in range(epochs):
        if reselect is not None:
            order.rows = tuple(reselect(epoch, None))
        target_tokens += sum(encoded.examples[row].target_tokens for row in order.rows)
        tokens += sum(lengths[row] for row in order.rows)
        padding += order.padding_share(epoch)
    return TrainResult(
        rows=len(order.rows),
        steps=total,
        target_tokens=target_tokens,
        tokens=tokens,
        padding_share=padding / epochs,
        losses=losses,
        final_loss=sum(last) / len(last),
        seconds=time.monotonic() - began,
        resumed_step=resumed_step,
    )


def _trainer(
    encoded: Encoded,
    model_folder: Path,
    checkpoints_folder: Path,
    settings: Training,
    order: BatchOrder,
    epochs: int,
    seed: int,
    device: Device,
    checkpoints_every: checkpoints.Every,
    gradient_checkpointing: bool | None,
    on_step: sft.StepReport,
    reselect: sft.Reselect | None,
) -> Any:
    from datasets import disable_progress_bars

    from distill_app.students.load import load

    disable_progress_bars()
    cuda = device.name == "cuda"
    eager = not cuda and device.dtype == "bfloat16" and max(order.lengths) <= EAGER_TOKENS
    model, tokenizer = load(model_folder, device, attention="eager" if eager else "sdpa")
    return sft.make_trainer(
        model,
        tokenizer,
        encoded.examples,
        order,
        checkpoints_folder,
        settings,
        epochs=epochs,
        seed=derive(seed, "train") % 2**32,
        cuda=cuda,
        bfloat16=device.dtype == "bfloat16",
        checkpoints_every=checkpoints_every,
        gradient_checkpointing=gradient_checkpointing,
        on_step=on_step,
        reselect=reselect,
    )


def _save(model: Any, adapter: Path, base_name: str) -> None:
    """Write the adapter alone, its configuration naming the student and not a folder of this machine."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    weights = get_peft_model_state_dict(model, save_embedding_layers=False)
    adapter.mkdir(parents=True)
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()},
        adapter / "adapter_model.safetensors",
        metadata={"format": "pt"},
    )
    config = model.peft_config["default"]
    config.base_model_name_or_path = public_name(base_name)
    config.inference_mode = True
    config.save_pretrained(str(adapter))
    # peft keeps module names in a set, whose order differs from process to process; the file must not.
    path = adapter / "adapter_config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({key: _sorted(value) for key, value in values.items()}, indent=2), encoding="utf-8")


def _sorted(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else value


def _nothing_left(encoded: Encoded, settings: Training) -> StageError:
    counts = Counter(left.reason for left in encoded.left_out)
    if not counts:
        return StageError("There is no row to train on.", "Let the selector keep more: raise selector.top.")
    shortest = min((left.tokens for left in encoded.left_out if left.reason == "too_long"), default=None)
    told = [f"{counts['too_long']} are longer than {settings.max_length} tokens"] if shortest else []
    told += [f"{counts['empty']} have an empty trace"] if counts["empty"] else []
    return StageError(
        f"No row is left to train on: of {len(encoded.left_out)} rows {' and '.join(told)}.",
        f"Raise training.max_length (the shortest of them has {shortest} tokens)."
        if shortest
        else "Look at what the teacher answered: `distill-app show latest` names the run's folder and its artifacts.",
    )
