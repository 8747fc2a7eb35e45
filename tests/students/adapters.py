"""What tests of vLLM and of merging share: the machine's settings, and a LoRA adapter that does something."""

from __future__ import annotations

from pathlib import Path

from tests.runtime import runtime

RUNTIME = runtime(sample_rows=8)


def lora_adapter(model: Path, folder: Path, rank: int = 4, scale: float = 0.05) -> Path:
    """Save a LoRA adapter on `model` with random weights (normal, of this scale) to `folder`; return it."""
    import torch
    from peft import LoraConfig, get_peft_model

    from distill_app.students.device import Device
    from distill_app.students.load import load

    base, _ = load(model, Device("cpu", "float32", "test"))
    joined = get_peft_model(base, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"))
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        for name, parameter in joined.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, scale)
    joined.save_pretrained(str(folder))
    return folder
