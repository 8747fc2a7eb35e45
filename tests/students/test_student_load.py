from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from distill_app.errors import StageError
from distill_app.students.device import Device
from distill_app.students.load import load
from tests.tiny import tiny_student

SINGLE = Device("cpu", "float32", "test")
HALF = Device("cpu", "bfloat16", "test")
IDS = torch.tensor([[1, 504, 2365, 338, 260, 6330]])


@pytest.fixture
def adapter(tiny: Path, tmp_path: Path) -> Path:
    """A LoRA adapter on the tiny model with weights that do something."""
    from peft import LoraConfig, get_peft_model

    model, _ = load(tiny, SINGLE)
    joined = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules="all-linear"))
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        for name, parameter in joined.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.05)
    joined.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def _logits(model: object) -> torch.Tensor:
    with torch.inference_mode():
        return model(IDS).logits  # type: ignore[operator, no-any-return]


def test_a_model_comes_in_evaluation_mode_and_in_its_type(tiny: Path) -> None:
    model, tokenizer = load(tiny, HALF, attention="eager")
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert model.config._attn_implementation == "eager"
    assert tokenizer.decode([2]) == "<|im_end|>"


def test_merged_and_apart_say_the_same(tiny: Path, adapter: Path) -> None:
    base = _logits(load(tiny, SINGLE)[0])
    merged = load(tiny, SINGLE, adapter=adapter)[0]
    apart = load(tiny, SINGLE, adapter=adapter, merge=False)[0]
    assert not any("lora_" in name for name, _ in merged.named_parameters())
    assert any("lora_" in name for name, _ in apart.named_parameters())
    torch.testing.assert_close(_logits(merged), _logits(apart), atol=1e-4, rtol=1e-4)
    assert (_logits(merged) - base).abs().max() > 0.01


def test_merging_is_done_in_float32_and_then_cast(tiny: Path, adapter: Path) -> None:
    exact = dict(load(tiny, SINGLE, adapter=adapter)[0].named_parameters())
    cast = load(tiny, HALF, adapter=adapter)[0]
    for name, parameter in cast.named_parameters():
        assert torch.equal(parameter, exact[name].bfloat16()), name
    # Casting the whole module would have rounded the rotary frequencies as well.
    assert cast.model.rotary_emb.inv_freq.dtype == torch.float32
    assert torch.equal(cast.model.rotary_emb.inv_freq, load(tiny, HALF)[0].model.rotary_emb.inv_freq)
    assert cast.lm_head.weight is cast.model.embed_tokens.weight


def test_an_adapter_apart_stays_in_float32(tiny: Path, adapter: Path) -> None:
    apart = load(tiny, HALF, adapter=adapter, merge=False)[0]
    kinds = {("lora_" in name, parameter.dtype) for name, parameter in apart.named_parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}


def test_loading_says_nothing(tiny: Path, adapter: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load(tiny, HALF, adapter=adapter)
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "adapter_config.json").unlink(), "has no adapter_config.json"),
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "has no adapter_model.safetensors"),
        (lambda folder: os.truncate(folder / "adapter_model.safetensors", 2000), "damaged or cut off"),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "adapter_config.json").write_text('{"peft_type": "IA3"}'), "kind IA3"),
    ],
)
def test_a_spoilt_adapter_is_refused_before_the_model_is_loaded(  # type: ignore[no-untyped-def]
    adapter: Path, spoil, message: str
) -> None:
    spoil(adapter)
    with pytest.raises(StageError, match=message):
        load(Path("/no/model/here"), SINGLE, adapter=adapter)


def test_an_adapter_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="There is no adapter folder"):
        load(Path("/no/model/here"), SINGLE, adapter=tmp_path / "none")


def test_an_adapter_of_another_model_is_refused(tmp_path: Path, adapter: Path, smollm: Path) -> None:
    other = tiny_student(tmp_path / "other", smollm, hidden=32)
    assert json.loads((other / "config.json").read_text())["hidden_size"] == 32
    with pytest.raises(StageError, match="does not fit the model"):
        load(other, SINGLE, adapter=adapter)
