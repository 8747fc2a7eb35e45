"""The trainer on a tiny student: the loss is TRL's, interruptions leave no trace, and it says what went wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from distill_app.errors import StageError
from distill_app.students.device import Device
from distill_app.students.load import load
from distill_app.training import checkpoints, loss, sft
from distill_app.training.order import BatchOrder
from distill_app.training.rows import Encoded, TrainingRow
from tests.training.tiny_training import SETTINGS, SUMS, train_tiny

CPU = Device("cpu", "float32", "a test")
HERE = Path(__file__).resolve().parent


def weights(out: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(out / "adapter" / "adapter_model.safetensors")


def trainer_for(student: Path, encoded: Encoded, folder: Path) -> Any:
    model, tokenizer = load(student, CPU)
    order = BatchOrder(
        [len(example.input_ids) for example in encoded.examples],
        batch_size=4,
        pass_rows=3,
        seed=1,
        group_by_length=True,
    )
    return sft.make_trainer(
        model,
        tokenizer,
        encoded.examples,
        order,
        folder,
        dataclasses.replace(SETTINGS, lora=dataclasses.replace(SETTINGS.lora, dropout=0.0)),
        epochs=1,
        seed=1,
        cuda=False,
        bfloat16=False,
        checkpoints_every=checkpoints.Every(100),
        gradient_checkpointing=None,
        on_step=lambda _step, _logs: None,
    )


def gradients(trainer: Any) -> dict[str, Any]:
    found = {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}
    trainer.model.zero_grad()
    return found


@pytest.mark.parametrize("chunk", [1024, 5])
def test_loss_and_gradients_are_those_of_trl(
    chunk: int, student: Path, encoded: Encoded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the two passes of one step, under num_items_in_batch; and with the logits made in chunks of five."""
    import torch
    from trl.trainer.sft_trainer import SFTTrainer

    monkeypatch.setattr(loss, "CHUNK_POSITIONS", chunk)
    trainer = trainer_for(student, encoded, tmp_path)
    for name, parameter in trainer.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    passes = list(trainer.get_train_dataloader())[:2]
    targets = sum((batch["labels"][:, 1:] != -100).sum() for batch in passes)
    values: dict[str, list[float]] = {"ours": [], "trl": []}
    slopes = {}
    for name, compute in (("ours", type(trainer).compute_loss), ("trl", SFTTrainer.compute_loss)):
        for batch in passes:
            value = compute(trainer, trainer.model, dict(batch), num_items_in_batch=targets)
            value.backward()
            values[name].append(value.item())
        slopes[name] = gradients(trainer)
    assert values["ours"] == pytest.approx(values["trl"], abs=1e-5)
    assert slopes["ours"].keys() == slopes["trl"].keys()
    assert len(slopes["ours"]) == 2 * 7 * 2  # A and B of 7 projections in 2 layers
    for name, slope in slopes["ours"].items():
        torch.testing.assert_close(slope, slopes["trl"][name], atol=1e-5, rtol=1e-4)
    # And both are the plain definition: full logits, shifted labels, mean over the step's targets.
    full = 0.0
    for batch in passes:
        with torch.no_grad():
            logits = trainer.model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        full += torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten(), ignore_index=-100, reduction="sum"
        ).item()
    assert sum(values["ours"]) == pytest.approx(full / targets.item(), abs=1e-5)


def test_models_that_bend_their_logits_keep_trls_loss() -> None:
    from transformers import CohereConfig, Gemma2Config, LlamaConfig, MixtralConfig

    assert loss.has_plain_head(LlamaConfig())
    assert not loss.has_plain_head(Gemma2Config())  # caps logits at 30
    assert not loss.has_plain_head(CohereConfig())  # scales logits by 0.0625
    assert not loss.has_plain_head(MixtralConfig())  # adds a router loss


def test_the_student_learns_and_events_tell_it_in_numbers(student: Path, tmp_path: Path) -> None:
    events: list[tuple[str, dict[str, Any]]] = []
    # The random student's logits are small (|hidden| 8, |embedding| 0.16: at most 1.3 nats), so little can be won.
    result = train_tiny(student, tmp_path, SUMS, SETTINGS, epochs=8, emit=lambda *event: events.append(event))
    assert (result.rows, result.steps, len(result.losses)) == (10, 24, 24)
    assert result.losses[0] == pytest.approx(10.8, abs=0.1)  # ln 49152 = 10.80: an untrained student guesses
    assert result.final_loss < result.losses[0] - 0.3
    assert result.final_loss == pytest.approx(sum(result.losses[-3:]) / 3)
    assert result.resumed_step is None
    losses = [values for kind, values in events if kind == "loss"]
    assert [values["step"] for values in losses] == list(range(1, 25))
    assert [values["loss"] for values in losses] == list(result.losses)
    assert {values["steps"] for values in losses} == {24}
    assert losses[2]["epoch"] == 1
    assert all(isinstance(number, int | float) for values in losses for number in values.values())
    # Warm-up over ceil(0.1 x 24) = 3 steps from 0, then cosine down to 0 after step 24.
    assert [values["learning_rate"] for values in losses[:4]] == pytest.approx([0, 5e-3 / 3, 1e-2 / 3, 5e-3])
    assert losses[-1]["learning_rate"] < 1e-4
    progress = [values for kind, values in events if kind == "progress"]
    assert progress[0] == {"done": 0, "total": 24}
    assert progress[-1] == {"done": 24, "total": 24}


def test_token_counts_and_padding_are_over_all_epochs(student: Path, encoded: Encoded, tmp_path: Path) -> None:
    result = train_tiny(student, tmp_path, SUMS, SETTINGS, epochs=2)
    assert result.tokens == 2 * sum(len(example.input_ids) for example in encoded.examples)
    assert result.target_tokens == 2 * sum(example.target_tokens for example in encoded.examples)
    assert 0 < result.padding_share < 0.15


def test_rows_at_once_do_not_change_the_result(student: Path, tmp_path: Path) -> None:
    plain = dataclasses.replace(SETTINGS, lora=dataclasses.replace(SETTINGS.lora, dropout=0.0))
    whole = train_tiny(student, tmp_path / "whole", SUMS, plain, train_rows=None)
    single = train_tiny(student, tmp_path / "single", SUMS, plain, train_rows=1)
    assert single.losses == pytest.approx(whole.losses, abs=1e-4)
    assert single.padding_share == 0


def test_only_the_adapter_is_left_and_it_works(student: Path, encoded: Encoded, tmp_path: Path) -> None:
    import torch

    train_tiny(student, tmp_path, SUMS, SETTINGS, epochs=8)
    files = sorted(path.name for path in (tmp_path / "adapter").rglob("*"))
    assert files == ["adapter_config.json", "adapter_model.safetensors"]
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny"
    assert str(student) not in json.dumps(config)
    assert (config["r"], config["lora_alpha"]) == (4, 8)
    assert all(tensor.dtype == torch.float32 for tensor in weights(tmp_path).values())

    def nll(adapter: Path | None) -> float:
        model, _ = load(student, CPU, adapter=adapter)
        example = encoded.examples[0]
        with torch.no_grad():
            logits = model(torch.tensor([example.input_ids])).logits[0, :-1]
        return float(torch.nn.functional.cross_entropy(logits, torch.tensor(example.labels[1:])))

    assert nll(tmp_path / "adapter") < nll(None) - 0.25


def test_bfloat16_base_has_float32_adapters(student: Path, tmp_path: Path) -> None:
    import torch

    result = train_tiny(student, tmp_path, SUMS, SETTINGS, epochs=8, dtype="bfloat16")
    assert result.final_loss < result.losses[0] - 0.3
    assert all(tensor.dtype == torch.float32 for tensor in weights(tmp_path).values())


def test_one_row_is_trained(student: Path, tmp_path: Path) -> None:
    result = train_tiny(student, tmp_path, SUMS[:1], SETTINGS)
    assert (result.rows, result.steps) == (1, 3)


def test_the_same_seed_gives_the_same_bits(student: Path, tmp_path: Path) -> None:
    import torch

    one = train_tiny(student, tmp_path / "one", SUMS, SETTINGS)
    torch.rand(13)  # a disturbed generator must not matter
    two = train_tiny(student, tmp_path / "two", SUMS, SETTINGS)
    assert one.losses == two.losses
    assert all(
        torch.equal(tensor, weights(tmp_path / "two")[name]) for name, tensor in weights(tmp_path / "one").items()
    )


def killed(student: Path, out: Path, when: str, step: int) -> None:
    root = HERE.parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [sys.executable, str(HERE / "killable.py"), str(student), str(out), when, str(step)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout + done.stderr == "", "training must not talk over the progress display"


def test_a_run_killed_three_times_ends_in_the_same_bits(student: Path, tmp_path: Path) -> None:
    """Nine steps, three an epoch, checkpoints after 2, 4, 6, 8: killed within an epoch, while a checkpoint is
    written, and right after an epoch's end."""
    import torch

    whole = train_tiny(student, tmp_path / "whole", SUMS, SETTINGS)
    out = tmp_path / "killed"

    def left() -> dict[str, bool]:
        return {path.name: checkpoints.is_complete(path) for path in (out / "checkpoints").glob("checkpoint-*")}

    killed(student, out, "step", 5)
    assert left() == {"checkpoint-2": True, "checkpoint-4": True}
    killed(student, out, "save", 6)
    assert left() == {"checkpoint-4": True, "checkpoint-6": False}
    killed(student, out, "step", 7)
    assert left() == {"checkpoint-4": True, "checkpoint-6": True}
    steps: list[int] = []
    result = train_tiny(
        student, out, SUMS, SETTINGS, emit=lambda kind, v: steps.append(v["step"]) if kind == "loss" else None
    )
    assert result.resumed_step == 6
    assert steps == [7, 8, 9]
    assert result.losses == whole.losses
    assert dataclasses.replace(result, seconds=0, resumed_step=None) == dataclasses.replace(whole, seconds=0)
    ours, theirs = weights(out), weights(tmp_path / "whole")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    again = train_tiny(student, out, SUMS, SETTINGS)
    assert again.resumed_step == 9, "killed after training and before the stage is sealed: nothing is trained twice"
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in weights(out).items())


def test_a_cut_checkpoint_is_not_whole_and_is_cleared_away(tmp_path: Path) -> None:
    for step in (4, 10):
        place = tmp_path / f"checkpoint-{step}"
        (place / "inner").mkdir(parents=True)
        (place / "inner" / "optimizer.pt").write_bytes(b"0123456789")
        checkpoints.mark_complete(place)
    assert checkpoints.last_complete(tmp_path) == tmp_path / "checkpoint-10"
    (tmp_path / "checkpoint-10" / "inner" / "optimizer.pt").write_bytes(b"01234")
    assert checkpoints.last_complete(tmp_path) == tmp_path / "checkpoint-4"
    assert not (tmp_path / "checkpoint-10").exists()
    (tmp_path / "checkpoint-4" / checkpoints.MARKER).unlink()
    assert checkpoints.last_complete(tmp_path) is None


def test_a_loss_that_is_no_number_stops_with_what_to_change(student: Path, tmp_path: Path) -> None:
    wild = dataclasses.replace(SETTINGS, learning_rate=1e30, warmup=0.0)
    with pytest.raises(StageError, match=r"became (nan|inf) at step [2-9] of 9") as caught:
        train_tiny(student, tmp_path, SUMS, wild)
    assert "training.learning_rate" in caught.value.hint
    assert "float32" in caught.value.hint
    assert not (tmp_path / "adapter").exists()


def test_no_row_left_says_how_many_and_why(student: Path, tmp_path: Path) -> None:
    short = dataclasses.replace(SETTINGS, max_length=30)
    with pytest.raises(StageError) as caught:
        train_tiny(student, tmp_path, [*SUMS, TrainingRow("blank", "2 + 2?", " ")], short)
    assert "of 11 rows 10 are longer than 30 tokens and 1 have an empty trace" in caught.value.message
    assert "training.max_length" in caught.value.hint
    with pytest.raises(StageError, match="no row to train on"):
        train_tiny(student, tmp_path, [], short)


@pytest.mark.parametrize("names", [("q_prj",), ("lm_head",)])
def test_layers_that_cannot_have_adapters_are_told(names: tuple[str, ...], student: Path, tmp_path: Path) -> None:
    lora = dataclasses.replace(SETTINGS.lora, target_modules=names)
    with pytest.raises(StageError, match=f"No adapter can be put on this student.*{names[0]}") as caught:
        train_tiny(student, tmp_path, SUMS, dataclasses.replace(SETTINGS, lora=lora))
    assert "all-linear" in caught.value.hint
