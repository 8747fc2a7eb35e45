"""Where a model runs, and in which number type, found by measuring rather than by guessing."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from distill_app import resources
from distill_app.errors import StageError
from distill_app.store.files import write_json
from distill_app.students import quiet

PROBE_ROWS = 96
"""Rows of the probe's product: the shape of one decoding step at the default `sample_rows`."""

_PROBE_WIDTH = 576
_PROBE_HIDDEN = 1536
_PROBE_SECONDS = 0.025


@dataclass(frozen=True, slots=True)
class Device:
    """`name` for torch ("cpu" or "cuda"), `dtype` ("float32" or "bfloat16"), and `why`, for the run's log."""

    name: str
    dtype: str
    why: str


def pick(device: str, dtype: str) -> Device:
    """Settle `auto`. On a CPU the number type is the faster in a probe of about 50 ms, once a machine; on a GPU bf16.

    Call `set_threads` first: it decides what the probe measures. `StageError` where `cuda` is asked for and
    there is none.
    """
    quiet.environment()
    import torch

    cuda = torch.cuda.is_available()
    if device == "cuda" and not cuda:
        raise StageError(
            "The recipe asks for device cuda, but torch sees no GPU here.",
            "Set runtime.device to auto or cpu, or install a CUDA build of torch.",
        )
    name = "cuda" if cuda and device != "cpu" else "cpu"
    if dtype != "auto":
        return Device(name, dtype, "set in the recipe")
    if name == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Device(name, "bfloat16", f"{torch.cuda.get_device_name()} has bfloat16 units")
        return Device(name, "float32", f"{torch.cuda.get_device_name()} has no bfloat16 units")
    dtype, why = _measured_once()
    return Device(name, dtype, why)


def _measured_once() -> tuple[str, str]:
    """The faster number type on this CPU and why, measured the first time and kept in the user's cache.

    Measured anew in every process, a noisy moment could give two stages of one run different number types.
    """
    import torch

    machine = f"{_processor()}, torch {torch.__version__}, {torch.get_num_threads()} threads"
    path = resources.cache_folder() / "number-types.json"
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        known = {}
    if machine not in known:
        single, half = probe_gflops("float32"), probe_gflops("bfloat16")
        faster = "bfloat16" if half > single else "float32"
        known[machine] = [faster, f"measured: bfloat16 {half:.0f}, float32 {single:.0f} GFLOPS"]
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, known)
    dtype, why = known[machine]
    return dtype, why


def _processor() -> str:
    """The CPU's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def probe_gflops(dtype: str) -> float:
    """Billions of operations a second of a small matrix product in `dtype`, on the CPU, at the threads set.

    The best of several rounds in about 25 ms, so that other work on the machine disturbs it little.
    """
    import torch

    kind = {"float32": torch.float32, "bfloat16": torch.bfloat16}[dtype]
    left = torch.ones(PROBE_ROWS, _PROBE_WIDTH, dtype=kind)
    right = torch.ones(_PROBE_HIDDEN, _PROBE_WIDTH, dtype=kind)
    operations = 2 * PROBE_ROWS * _PROBE_WIDTH * _PROBE_HIDDEN
    torch.nn.functional.linear(left, right)
    best, until = 0.0, time.perf_counter() + _PROBE_SECONDS
    while best == 0.0 or time.perf_counter() < until:
        start = time.perf_counter()
        torch.nn.functional.linear(left, right)
        best = max(best, operations / (time.perf_counter() - start) / 1e9)
    return best


def set_threads(threads: int | None) -> int:
    """Give torch `threads` CPU threads, by default one a physical core this process may use; return how many."""
    quiet.environment()
    import torch

    count = threads if threads is not None else physical_cores()
    torch.set_num_threads(count)
    return count


def physical_cores() -> int:
    """Physical cores, no more than the logical ones this process is allowed to run on."""

    import psutil

    return max(1, min(psutil.cpu_count(logical=False) or 1, len(os.sched_getaffinity(0))))
