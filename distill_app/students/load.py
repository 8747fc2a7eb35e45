"""Load a model and its tokenizer from a folder, quietly, with its adapter where it has one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distill_app.errors import StageError
from distill_app.students import quiet
from distill_app.students.device import Device
from distill_app.students.locate import safetensors_header

_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer in `folder`."""
    quiet.libraries()
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def load(
    folder: Path,
    device: Device,
    *,
    attention: str = "sdpa",
    adapter: Path | None = None,
    merge: bool = True,
) -> tuple[Any, Any]:
    """The model in `folder` in evaluation mode on `device`, and its tokenizer.

    An adapter is merged in float32 and the sum cast to the device's type; with `merge` False it stays apart, in
    float32 over the cast weights, as in training. Nothing is fetched: the folder must hold the model.
    `StageError` where the adapter is not whole or was made for another model.
    """
    if adapter is not None:
        check_adapter(adapter)
    quiet.libraries()
    import torch
    from transformers import AutoModelForCausalLM

    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[device.dtype]
    first = torch.float32 if adapter is not None and merge else dtype
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=first,
        attn_implementation=attention,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
    )
    if adapter is not None:
        model = _with_adapter(model, adapter, merge)
        if merge:
            _cast(model, dtype)
    return model.to(device.name).eval(), load_tokenizer(folder)


def _cast(model: Any, dtype: Any) -> None:
    """Cast the weights alone: `model.to(dtype)` would round the rotary frequencies too and bend positions."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype)
    model.config.dtype = dtype


def _with_adapter(model: Any, adapter: Path, merge: bool) -> Any:
    from peft import PeftModel

    try:
        joined = PeftModel.from_pretrained(model, str(adapter))
    except (RuntimeError, ValueError) as error:
        told = str(error).strip().splitlines()
        raise StageError(
            f"The adapter in {adapter} does not fit the model: {told[min(1, len(told) - 1)].strip()}",
            "Use it with the model it was trained on.",
        ) from error
    return joined.merge_and_unload() if merge else joined


def check_adapter(adapter: Path) -> None:
    """Raise `StageError` unless `adapter` is a folder with a whole LoRA adapter in it (no model is loaded)."""
    if not adapter.is_dir():
        raise StageError(f"There is no adapter folder {adapter}.", "Run the training stage again.")
    for name in (_CONFIG, _WEIGHTS):
        if not (adapter / name).is_file():
            raise StageError(f"The adapter folder {adapter} has no {name}.", "Run the training stage again.")
    try:
        kind = json.loads((adapter / _CONFIG).read_text()).get("peft_type")
    except json.JSONDecodeError as error:
        raise StageError(f"{adapter / _CONFIG} is not JSON ({error}).", "Run the training stage again.") from error
    if kind != "LORA":
        raise StageError(f"The adapter in {adapter} is of kind {kind}, not LORA.", "Give a LoRA adapter.")
    if safetensors_header(adapter / _WEIGHTS) is None:
        raise StageError(f"{adapter / _WEIGHTS} is damaged or cut off.", "Run the training stage again.")
