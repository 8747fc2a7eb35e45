"""How fast our trainer is beside TRL's own SFTTrainer, all in this run, on the built-in student, on a CPU.

    python -m tests.benchmarks.bench_training [--rows 32] [--threads 1] [--dtype auto] [--arms ours,trl_defaults]

Every arm trains the same rows for one epoch in batches of eight, LoRA of rank 16 on all linear layers, from the
same weights. Prints real (unpadded) tokens a CPU second and a wall clock second; the ratio to TRL's defaults is
the number to compare between machines.

    ours           as `distill-app run` trains: what `training.trainer` picks here
    ours_sdpa      the same with torch's fused attention
    ours_eager     the same with plain attention
    ours_random    the same with rows in random order
    trl            SFTTrainer's own loss and order, activations kept, no autocast
    trl_defaults   SFTTrainer as it comes: activations recomputed, autocast to bfloat16
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill_app.recipe.model import Lora, Training
from distill_app.students import builtin, device, quiet
from distill_app.students.load import load, load_tokenizer
from distill_app.students.template import ChatTemplate
from distill_app.training import sft
from distill_app.training.checkpoints import Every
from distill_app.training.order import BatchOrder
from distill_app.training.rows import Encoded, TrainingRow, encode
from distill_app.training.trainer import EAGER_TOKENS
from tests.benchmarks.figures import Figure

ARMS = ("ours", "ours_sdpa", "ours_eager", "ours_random", "trl", "trl_defaults")
BATCH = 8


def rows(count: int) -> list[TrainingRow]:
    """Word problems with solutions of two to seven lines, so that lengths spread as in a mixed pool."""
    made = []
    for i in range(count):
        a, b = 3 + i % 9, 2 + i % 5
        lines = [f"First we see that {a} bags of {b} hold {a} * {b} = {a * b}."]
        lines += [f"After day {d + 1} there are {a * b} + {d} = {a * b + d} apples." for d in range(1 + i * 7 % 6)]
        question = f"Mara fills {a} bags with {b} apples each. How many apples is that?"
        made.append(TrainingRow(f"r{i}", question, "\n".join([*lines, f"Answer: {a * b}"])))
    return made


def seconds_of(arm: str, encoded: Encoded, folder: Path, where: device.Device) -> tuple[float, float]:
    """CPU and wall clock seconds of one epoch; loading is not counted."""
    short = max(len(example.input_ids) for example in encoded.examples) <= EAGER_TOKENS
    eager = arm == "ours_eager" or (arm in ("ours", "ours_random") and where.dtype == "bfloat16" and short)
    model, tokenizer = load(folder, where, attention="eager" if eager else "sdpa")
    with tempfile.TemporaryDirectory() as out:
        made = _ours if arm.startswith("ours") else _trl
        trainer = made(arm, model, tokenizer, encoded, Path(out), where)
        cpu, wall = time.process_time(), time.monotonic()
        trainer.train()
        return time.process_time() - cpu, time.monotonic() - wall


def _ours(arm: str, model: Any, tokenizer: Any, encoded: Encoded, out: Path, where: device.Device) -> Any:
    settings = Training(
        lora=Lora(rank=16, alpha=32.0, dropout=0.0, target_modules="all-linear"),
        learning_rate=5e-4,
        batch_size=BATCH,
        schedule="cosine",
        warmup=0.1,
        weight_decay=0.0,
        max_grad_norm=1.0,
        max_length=2048,
        group_by_length=arm != "ours_random",
        skills=None,
    )
    lengths = [len(example.input_ids) for example in encoded.examples]
    order = BatchOrder(lengths, batch_size=BATCH, pass_rows=BATCH, seed=1, group_by_length=settings.group_by_length)
    print(f"  {arm}: padding {order.padding_share(0):.1%}")
    return sft.make_trainer(
        model, tokenizer, encoded.examples, order, out, settings,
        epochs=1, seed=1, cuda=False, bfloat16=where.dtype == "bfloat16", checkpoints_every=Every(10**6),
        gradient_checkpointing=None,
        on_step=lambda step, logs: print(f"  {arm}: step {step} loss {logs['loss']:.3f}"),
    )  # fmt: skip


def _trl(arm: str, model: Any, tokenizer: Any, encoded: Encoded, out: Path, _where: device.Device) -> Any:
    from datasets import Dataset
    from peft import LoraConfig
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    bare: dict[str, Any] = {} if arm == "trl_defaults" else {"bf16": False, "gradient_checkpointing": False}
    config = SFTConfig(
        output_dir=str(out), use_cpu=True, num_train_epochs=1, per_device_train_batch_size=BATCH, save_strategy="no",
        learning_rate=5e-4, seed=1, report_to="none", disable_tqdm=True, dataloader_pin_memory=False, **bare,
    )  # fmt: skip
    data = {
        "input_ids": [list(example.input_ids) for example in encoded.examples],
        "labels": [list(example.labels) for example in encoded.examples],
    }
    lora = LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear")
    return SFTTrainer(
        model, config, train_dataset=Dataset.from_dict(data), processing_class=tokenizer, peft_config=lora
    )


def compare(arms: Sequence[str], count: int, threads: int, dtype: str) -> tuple[int, dict[str, tuple[float, float]]]:
    """Real tokens of `count` rows, and each arm's CPU and wall clock seconds on them."""
    quiet.libraries()
    import datasets

    datasets.disable_progress_bars()
    device.set_threads(threads)
    where = device.pick("cpu", dtype)
    folder = builtin.materialise("smollm2-135m-instruct", print)
    template = ChatTemplate(load_tokenizer(folder), "", "{question}")
    encoded = encode(rows(count), template, 2048)
    lengths = sorted(len(example.input_ids) for example in encoded.examples)
    print(f"{where.dtype}: {where.why}; {threads} threads")
    print(f"{len(lengths)} rows of {lengths[0]}-{lengths[-1]} tokens, {sum(lengths)} in all")
    # What the first forward pass sets up (kernels, thread pools) is no arm's fault.
    seconds_of("ours", Encoded(encoded.examples[:BATCH], ()), folder, where)
    taken: dict[str, tuple[float, float]] = {}
    for arm in arms:
        taken[arm] = seconds_of(arm, encoded, folder, where)
        print(f"  {arm}: {taken[arm][0]:.1f} CPU s, {taken[arm][1]:.1f} s", flush=True)
    return sum(lengths), taken


def measure(count: int = 64, threads: int = 1) -> list[Figure]:
    """Training's figures."""
    tokens, taken = compare(("ours", "trl", "trl_defaults"), count, threads, "auto")
    ours = taken["ours"][0]
    conditions = (
        f"{count} rows, {tokens} tokens, batches of {BATCH}, {threads} thread; {tokens / ours:.0f} tokens/CPU s"
    )
    return [
        Figure(
            "LoRA training", "TRL's SFTTrainer as it comes", taken["trl_defaults"][0] / ours, "x", "1.3", conditions
        ),
        Figure(
            "LoRA training", "SFTTrainer, activations kept, no autocast", taken["trl"][0] / ours, "x", "1.3", conditions
        ),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--arms", default=",".join(ARMS))
    asked = parser.parse_args()
    tokens, taken = compare(asked.arms.split(","), asked.rows, asked.threads, asked.dtype)
    print(f"\n{'arm':14} {'tokens/CPU s':>13} {'tokens/s':>9} {'CPU s':>7} {'beside TRL defaults':>20}")
    for arm, (cpu, wall) in taken.items():
        ratio = f"{taken['trl_defaults'][0] / cpu:.2f}" if "trl_defaults" in taken else ""
        print(f"{arm:14} {tokens / cpu:13.0f} {tokens / wall:9.0f} {cpu:7.1f} {ratio:>20}")


if __name__ == "__main__":
    main()
