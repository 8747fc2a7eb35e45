from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distill_app.errors import StageError
from distill_app.students.device import Device
from distill_app.students.load import load
from distill_app.students.locate import lacks, locate
from distill_app.students.merge import merge
from distill_app.students.template import ChatTemplate
from tests.students.adapters import lora_adapter

SINGLE = Device("cpu", "float32", "test")
IDS = torch.tensor([[1, 504, 2365, 338, 260, 6330]])


def _logits(model: object) -> torch.Tensor:
    with torch.inference_mode():
        return model(IDS).logits  # type: ignore[operator, no-any-return]


def test_the_merged_folder_is_a_model_that_says_what_the_adapter_says(tiny: Path, tmp_path: Path) -> None:
    adapter = lora_adapter(tiny, tmp_path / "adapter")
    folder = merge(tiny, adapter, tmp_path / "merged")
    assert lacks(folder) is None
    assert locate(str(folder), None).content_id != locate(str(tiny), None).content_id
    model, tokenizer = load(folder, SINGLE)
    with_adapter = _logits(load(tiny, SINGLE, adapter=adapter, merge=False)[0])
    torch.testing.assert_close(_logits(model), with_adapter, atol=1e-4, rtol=1e-4)
    assert (with_adapter - _logits(load(tiny, SINGLE)[0])).abs().max() > 0.01
    before = ChatTemplate(load(tiny, SINGLE)[1], None, "{question}")
    assert ChatTemplate(tokenizer, None, "{question}").hash == before.hash


def test_it_is_written_in_the_type_asked_for(tiny: Path, tmp_path: Path) -> None:
    folder = merge(tiny, lora_adapter(tiny, tmp_path / "adapter"), tmp_path / "merged", dtype="bfloat16")
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", "pt") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"BF16"}  # noqa: SIM118 - no mapping
    assert '"dtype": "bfloat16"' in (folder / "config.json").read_text()


def test_nothing_is_left_behind_where_the_adapter_is_not_whole(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="There is no adapter folder"):
        merge(tiny, tmp_path / "none", tmp_path / "merged")
    assert list(tmp_path.iterdir()) == []
