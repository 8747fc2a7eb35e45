"""Whether vLLM can serve a LoRA adapter as it is, told from its settings alone: the plan asks before training.

The limits are those of vLLM 0.32 (`vllm.config.lora.MaxLoRARanks`, `vllm.lora.peft_helper`, `vllm.lora.lora_model`).
Where an adapter is beyond them its weights are merged into a copy of the model, which any engine can load. What only
the engine knows (an architecture without LoRA support) shows when it starts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distill_app.errors import StageError

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What `max_lora_rank` can be set to; an adapter of a smaller rank fits into the next larger."""

_EMBEDDINGS = frozenset({"embed_tokens", "lm_head", "wte", "word_embeddings", "embed_in", "embed_out", "output"})
_ROUTERS = frozenset({"gate", "router"})
_INITS = frozenset({"gaussian", "eva", "orthogonal", "mica", "lora_ga"})
"""Ways to start an adapter that leave the base's weights as they are; others change them when the adapter is loaded."""


def engine_rank(rank: int) -> int | None:
    """The smallest `max_lora_rank` that holds an adapter of this rank, None where there is none."""
    return next((limit for limit in RANKS if rank <= limit), None)


def trouble(
    rank: int,
    target_modules: Sequence[str] | str,
    *,
    modules_to_save: Sequence[str] | None = None,
    use_dora: bool = False,
    bias: str = "none",
    lora_bias: bool = False,
    init: bool | str = True,
    target_parameters: Sequence[str] | None = None,
    layer_replication: Sequence[Any] | None = None,
) -> str | None:
    """Why vLLM cannot serve an adapter with these settings (peft's names and meanings), or None if it can.

    The reason goes after "vLLM cannot serve the adapter: ". `target_modules` "all-linear" or a list of names; vLLM
    takes every linear layer. A pattern in its place passes here: which layers it meets, only the model knows.
    """
    if engine_rank(rank) is None:
        return f"its rank of {rank} is above {RANKS[-1]}"
    names = {target_modules.rsplit(".", 1)[-1]} if isinstance(target_modules, str) else set(target_modules)
    last = {name.rsplit(".", 1)[-1] for name in names}
    if found := sorted(last & _EMBEDDINGS):
        return f"it changes {' and '.join(found)}, and adapters of embeddings are served for some models only"
    if found := sorted(last & _ROUTERS):
        return f"it changes {' and '.join(found)}, which is no plain linear layer"
    if target_parameters:
        return "it changes single parameters (target_parameters)"
    if modules_to_save:
        return f"it holds whole layers ({', '.join(sorted(modules_to_save))})"
    if use_dora:
        return "it uses DoRA"
    if bias != "none" or lora_bias:
        return "it trains biases"
    if isinstance(init, str) and init.lower() not in _INITS:
        return f"its start ({init}) changes the model's own weights"
    if layer_replication:
        return "it replicates layers"
    return None


def trouble_of(folder: Path) -> str | None:
    """`trouble` of a trained adapter: the settings in its folder. `StageError` where that is no whole adapter."""
    config = read_config(folder)
    return trouble(
        highest_rank(config),
        config["target_modules"],
        modules_to_save=config.get("modules_to_save"),
        use_dora=bool(config.get("use_dora")),
        bias=config.get("bias", "none"),
        lora_bias=bool(config.get("lora_bias")),
        init=config.get("init_lora_weights", True),
        target_parameters=config.get("target_parameters"),
        layer_replication=config.get("layer_replication"),
    )


def read_config(folder: Path) -> dict[str, Any]:
    """adapter_config.json of a whole LoRA adapter. `StageError` where the folder holds none (see `load`)."""
    from distill_app.students.load import check_adapter

    check_adapter(folder)
    config: dict[str, Any] = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    for key in ("r", "target_modules"):
        if not config.get(key):
            raise StageError(f"{folder / 'adapter_config.json'} does not say {key}.", "Run the training stage again.")
    return config


def highest_rank(config: Mapping[str, Any]) -> int:
    """The highest rank in an adapter: single layers may have their own."""
    return max([int(config["r"]), *(int(rank) for rank in (config.get("rank_pattern") or {}).values())])


def misfit(adapter: Path, model: Path) -> str | None:
    """Which layer of `adapter` has another shape than in the model folder `model`, or None; reads headers alone.

    Layers that the model's files name differently are passed over: the engine finds those out.
    """
    from distill_app.students.locate import safetensors_header

    shapes: dict[str, list[int]] = {}
    for file in sorted(model.glob("*.safetensors")):
        shapes |= {name: entry["shape"] for name, entry in (safetensors_header(file) or {}).items()}
    for name, entry in (safetensors_header(adapter / "adapter_model.safetensors") or {}).items():
        layer, _, part = name.removeprefix("base_model.model.").rpartition(".lora_")
        shape = shapes.get(f"{layer}.weight")
        if shape is None or len(shape) != 2 or part not in ("A.weight", "B.weight"):
            continue
        side = 1 if part == "A.weight" else 0
        if entry["shape"][side] != shape[side]:
            return f"{layer} is {shape[0]} x {shape[1]} in the model, the adapter's {part[0]} is " + " x ".join(
                str(size) for size in entry["shape"]
            )
    return None
