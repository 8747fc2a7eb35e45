"""What is done when a model stage runs out of memory: the next rung down, said and written down, until there is none.

What goes through the model at once is halved, down to one row (64 tokens where whole traces are scored). A training
batch is then put together from twice as many passes, so that it holds the same rows and its loss is the same mean;
with one row left, activations are computed again in the backward pass instead of kept (gradient checkpointing).

Only settings under `runtime` change, none of which is part of a fingerprint. Numbers stay comparable: they differ by
the order in which floats are added (which can turn a sampled token where two are as good as equally likely), and where
the adapter has dropout by what it drops.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from distill_app.errors import MemoryStageError, StageError

KEPT = "memory.json"
"""In the work folder of a stage: the rungs it has come down, so that another attempt does not begin at the top."""

LEAST_TOKENS = 64
"""The least that the schema allows for `runtime.score_tokens`."""
VLLM_ROWS = 256
"""What `vllm.max_num_seqs: null` is taken for: vLLM's own value on most machines."""
_SAMPLING: dict[str, tuple[str, ...]] = {"transformers": ("sample_rows",), "vllm": ("vllm.max_num_seqs",)}
_SCORING = ("score_tokens",)
_OWN = "vLLM's own"
_CPU = ("can't allocate memory", "cannot allocate memory")
_GPU = ("cuda out of memory", "cuda error: out of memory", "cublas_status_alloc_failed", "hip out of memory")


@dataclass(frozen=True, slots=True)
class Shortage:
    """Memory ran out: `why` as a sentence, and whether it was a GPU's."""

    why: str
    gpu: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One setting, before and after; null is what the recipe leaves to the program."""

    key: str
    before: int | bool | None
    after: int | bool


@dataclass(frozen=True, slots=True)
class Step:
    """One rung down: its number in the stage from 1, why, what changed, and all that as a sentence."""

    step: int
    why: str
    changes: tuple[Change, ...]
    message: str

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "changes": [asdict(change) for change in self.changes]}


@dataclass(frozen=True, slots=True)
class Use:
    """What decides how much memory a stage takes: keys of `runtime`, and the rows of the stage where they are known.

    `batch_size` is a training stage's, None for any other.
    """

    keys: tuple[str, ...]
    rows: int | None
    batch_size: int | None


def use_of(kind: str, options: Mapping[str, Any], rows: int | None, *, dynamic: bool) -> Use:
    """The use of a stage of this kind with these options; `dynamic`: training that selects before every epoch."""
    if kind == "train":
        keys = ("train_rows", *(_SCORING if dynamic else ()))
        return Use(keys, rows, options["training"]["batch_size"])
    if kind == "difficulty" or options.get("scorer") == "reward_model":
        return Use(_SCORING, None, None)
    if kind == "agreement":
        return Use((*_SAMPLING["transformers"], *_SAMPLING["vllm"]), rows, None)
    backend = options.get("backend") or (options.get("teacher") or {}).get("backend")
    return Use(_SAMPLING.get(str(backend), ()), rows, None)


def shortage(error: BaseException) -> Shortage | None:
    """The shortage of memory that an error, or what caused it, tells of; None for any other error.

    Known by type and words, so that nothing has to be imported where memory is short.
    """
    cause: BaseException | None = error
    while cause is not None:
        kind, text = type(cause).__name__, str(cause)
        first = f"{kind}: {text.strip().splitlines()[0][:200]}" if text.strip() else kind
        if isinstance(cause, MemoryStageError):
            return Shortage(cause.message)
        if kind == "OutOfMemoryError" or (isinstance(cause, RuntimeError) and _holds(text, _GPU)):
            return Shortage(f"The GPU's memory ran out ({first}).", gpu=True)
        if isinstance(cause, MemoryError) or (isinstance(cause, RuntimeError | OSError) and _holds(text, _CPU)):
            return Shortage(f"Memory ran out ({first}).")
        cause = cause.__cause__
    return None


def killed(kills_before: int) -> Shortage:
    """The shortage behind a process that SIGKILL ended; `kills_before` is `kernel_kills` of when it began."""
    if kernel_kills() > kills_before:
        return Shortage("The kernel killed its process because memory ran out.")
    return Shortage("Its process was killed from outside, most likely because memory ran out.")


def kernel_kills() -> int:
    """Processes that this machine's kernel has killed for memory since it started; 0 where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def down(use: Use, runtime: Mapping[str, Any], number: int, what: Shortage) -> Step | None:
    """The next rung below `runtime`, None where there is none."""
    found = [_lowered(key, use, runtime, what) for key in use.keys]
    changes = tuple(change for some in found for change in some)
    if not changes:
        return None
    told = "; ".join(_told(change, use) for change in changes if change.key != ACCUMULATION)
    return Step(number, what.why, changes, f"{what.why} Going on with {told}.")


ACCUMULATION = "gradient accumulation"
"""A change that follows from `runtime.train_rows`, and is no key of a recipe."""


def applied(runtime: Mapping[str, Any], changes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`runtime` with the changes (as JSON) made."""
    found = {**runtime, "vllm": dict(runtime["vllm"])}
    for change in changes:
        name = change["key"].removeprefix("runtime.")
        if name.startswith("vllm."):
            found["vllm"][name.removeprefix("vllm.")] = change["after"]
        elif name != ACCUMULATION:
            found[name] = change["after"]
    return found


def value(runtime: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key of `runtime`."""
    for part in key.split("."):
        runtime = runtime[part]
    return runtime


def exhausted(stage: str, use: Use, runtime: Mapping[str, Any], what: Shortage) -> StageError:
    """The error for a stage that cannot be made to need less."""
    at = [f"runtime.{key} {value(runtime, key)}" for key in use.keys]
    if use.batch_size is not None:
        at.append("gradient checkpointing")
        other = "Lower training.max_length or training.lora.rank"
    elif use.keys == _SCORING:
        other = "Lower max_tokens of what is scored (difficulty.max_tokens, quality.max_tokens)"
    elif "vllm.max_num_seqs" in use.keys:
        other = "Lower runtime.vllm.gpu_memory (on a CPU runtime.vllm.kv_cache_gib) or max_tokens"
    elif use.keys:
        other = "Lower max_tokens"
    else:
        other = "Give the stage fewer rows"
    tried = f" That was with {', '.join(at)}." if at else ""
    return StageError(
        f"{stage}: {what.why}{tried}",
        f"Finished work is kept. {other}, set dtype to bfloat16, take a smaller model, end what else uses memory here,"
        " or go on with the same workspace on a machine that has more.",
    )


def _lowered(key: str, use: Use, runtime: Mapping[str, Any], what: Shortage) -> list[Change]:
    """What this key's line of rungs changes next; nothing at its end."""
    given = value(runtime, key)
    if key == "score_tokens":
        return [_change(key, given, max(LEAST_TOKENS, given // 2))] if given > LEAST_TOKENS else []
    if key == "train_rows":
        assert use.batch_size is not None
        rows = min(given or use.batch_size, use.batch_size, use.rows or use.batch_size)
        if rows == 1:
            on = runtime["gradient_checkpointing"]
            # Left to the program, it is on already on a GPU.
            return [] if on or (on is None and what.gpu) else [_change("gradient_checkpointing", on, True)]
        passes = [math.ceil(use.batch_size / count) for count in (rows, rows // 2)]
        return [_change(key, given, rows // 2), Change(ACCUMULATION, passes[0], passes[1])]
    rows = VLLM_ROWS if given is None else given
    rows = min(rows, use.rows or rows)
    return [_change(key, given, rows // 2)] if rows > 1 else []


def _change(key: str, before: int | bool | None, after: int | bool) -> Change:
    return Change(f"runtime.{key}", before, after)


def _told(change: Change, use: Use) -> str:
    name = change.key.removeprefix("runtime.")
    if name == "gradient_checkpointing":
        return "gradient checkpointing: activations are computed again instead of kept"
    if name == "train_rows":
        before = change.before or use.batch_size
        return f"{name} {change.after} instead of {before}, the batch still of {use.batch_size} by accumulation"
    return f"{name} {change.after} instead of {_OWN if change.before is None else change.before}"


def _holds(text: str, parts: Sequence[str]) -> bool:
    return any(part in text.casefold() for part in parts)
