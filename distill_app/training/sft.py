"""TRL's SFTTrainer with our batches, our loss where that is faster, and our checks; nothing else is changed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distill_app import stopping
from distill_app.errors import StageError
from distill_app.recipe.model import Training
from distill_app.training import checkpoints, loss
from distill_app.training.order import BatchOrder
from distill_app.training.rows import IGNORED, Example

StepReport = Callable[[int, dict[str, float]], None]
"""Called after each optimizer step with the step (from 1) and its loss, learning_rate and grad_norm."""

Reselect = Callable[[int, Any], Sequence[int]]
"""The rows to train in an epoch (from 0), given the model as it is when the epoch begins: as many in every epoch.

Also called for an epoch that a resumed run is in the middle of, with later weights: it must answer what it answered
when that epoch began.
"""


def make_trainer(
    model: Any,
    tokenizer: Any,
    examples: Sequence[Example],
    order: BatchOrder,
    folder: Path,
    settings: Training,
    *,
    epochs: int,
    seed: int,
    cuda: bool,
    bfloat16: bool,
    checkpoints_every: checkpoints.Every,
    gradient_checkpointing: bool | None,
    on_step: StepReport,
    reselect: Reselect | None = None,
) -> Any:
    """An SFTTrainer (TRL 1.16) over `examples`, ready for `.train()`; checkpoints go to `folder`.

    Fixed here: adapters in float32 over a frozen base in its own type; on a GPU autocast to bfloat16 where the
    base is bfloat16; no truncation, since rows too long were left out before. `gradient_checkpointing` has
    activations computed again in the backward pass instead of kept: less memory, more time, the same gradients; None
    does so on a GPU (TRL's default) and not on a CPU. `seed` is below 2**32 and decides the adapter's first weights
    and dropout. `order` may have other `pass_rows` than when the checkpoint was written: checkpoints lie between
    optimizer steps, and which rows share one does not depend on it.

    A checkpoint is written as `checkpoints_every` says, after the last step, with `reselect` after the last step of
    every epoch, and when a stop is asked for (see `stopping`): `.train()` returns then, after the step at work.
    Raises StageError when the student has no layer of the names in `settings.lora.target_modules`, and when training
    breaks down (a loss or gradient that is not finite).
    """
    from datasets import Dataset
    from peft import LoraConfig
    from torch.utils.data import DataLoader
    from transformers import PrinterCallback, TrainerCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    class Trainer(SFTTrainer):
        def get_train_dataloader(self) -> Any:
            rows: Any = self.train_dataset
            collate = self.data_collator
            return self.accelerator.prepare(DataLoader(rows, batch_sampler=order, collate_fn=collate, pin_memory=cuda))

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            # TRL's own loss scores target positions alone only with Triton kernels; on a CPU it projects every
            # position over the vocabulary, twice, and adds statistics nobody asked for.
            base: Any = model.get_base_model()
            if cuda or not loss.has_plain_head(base.config):
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)  # type: ignore[no-untyped-call]
            hidden = base.base_model(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
            ).last_hidden_state
            total = loss.target_loss(hidden, inputs["labels"], base.get_output_embeddings())
            targets = (inputs["labels"][:, 1:] != IGNORED).sum()
            return total / (targets if num_items_in_batch is None else num_items_in_batch)

        def create_model_card(self, *args: Any, **kwargs: Any) -> None:
            """TRL writes a README into every checkpoint; the run has a model card of its own."""

    class Watch(TrainerCallback):
        saved = time.monotonic()

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
            # A checkpoint brings back the interval it was written under; the recipe's may be another one now.
            state.save_steps = args.save_steps
            self.saved = time.monotonic()

        def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
            # From the step, not from state.epoch: a run resumed in the middle of an epoch passes here too.
            order.epoch = state.global_step // order.steps_per_epoch
            if reselect is not None:
                with stopping.free():
                    order.rows = tuple(reselect(order.epoch, kwargs["model"]))

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
            ends_epoch = reselect is not None and state.global_step % order.steps_per_epoch == 0
            late = time.monotonic() - self.saved >= checkpoints_every.seconds
            control.should_save |= ends_epoch or late
            self.heed(control)

        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
            logs: dict[str, float] = kwargs["logs"]
            if "loss" in logs:
                _refuse_non_finite(state, logs)
                on_step(state.global_step, logs)
                self.heed(control)

        def heed(self, control: Any) -> None:
            control.should_save |= stopping.asked()
            control.should_training_stop |= stopping.asked()

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
            checkpoints.mark_complete(folder / f"checkpoint-{state.global_step}")
            self.saved = time.monotonic()

    steps = order.steps_per_epoch * epochs
    schedule = "constant_with_warmup" if settings.schedule == "constant" else settings.schedule
    config = SFTConfig(
        output_dir=str(folder),
        num_train_epochs=epochs,
        per_device_train_batch_size=order.pass_rows,
        gradient_accumulation_steps=order.passes_per_step,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=schedule,
        warmup_steps=math.ceil(steps * settings.warmup),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        seed=seed,
        use_cpu=not cuda,
        bf16=cuda and bfloat16,
        gradient_checkpointing=cuda if gradient_checkpointing is None else gradient_checkpointing,
        max_length=None,
        packing=False,
        dataloader_pin_memory=cuda,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=checkpoints_every.steps,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
    )
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.lora.rank,
        lora_alpha=settings.lora.alpha,  # type: ignore[arg-type]  # peft takes any number
        lora_dropout=settings.lora.dropout,
        target_modules=(
            settings.lora.target_modules
            if isinstance(settings.lora.target_modules, str)
            else list(settings.lora.target_modules)
        ),
        bias="none",
    )
    rows = Dataset.from_dict(
        {
            "input_ids": [list(example.input_ids) for example in examples],
            "labels": [list(example.labels) for example in examples],
        }
    )
    try:
        trainer = Trainer(
            model=model,
            args=config,
            train_dataset=rows,
            processing_class=tokenizer,
            peft_config=lora,
            callbacks=[Watch()],
        )
    except ValueError as error:
        # The settings are checked by the schema; what only the model can refuse is where adapters go.
        raise StageError(
            f"No adapter can be put on this student: {str(error).splitlines()[0]}",
            "Set training.lora.target_modules to all-linear, or to names of layers the student has.",
        ) from error
    trainer.remove_callback(PrinterCallback)
    return trainer


def _refuse_non_finite(state: Any, logs: dict[str, float]) -> None:
    """Raise StageError when the step's loss or gradient is not a number: before the step can be checkpointed."""
    for name, meaning in (("loss", "loss"), ("grad_norm", "gradient")):
        if not math.isfinite(logs.get(name, 0.0)):
            raise StageError(
                f"Training broke down: the {meaning} became {logs[name]} at step {state.global_step} of "
                f"{state.max_steps}.",
                f"Lower training.learning_rate (it was {logs['learning_rate']:.2g} at that step; try a third), or "
                "set student.dtype to float32.",
            )
