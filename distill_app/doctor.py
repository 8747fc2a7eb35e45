"""Looks the machine over: what is installed, what is there, and what it is enough for."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from distill_app import __version__, resources
from distill_app.errors import DistillError

TESTED = {
    "torch": "2.13",
    "transformers": "5.19",
    "peft": "0.21",
    "trl": "1.16",
    "datasets": "5.2",
    "accelerate": "1.15",
    "gradio": "6.31",
    "plotly": "7.1",
    "openai": "3.54",
    "math-verify": "0.9",
}
"""Release lines the tests ran with."""
DRIVER = Path("/proc/driver/nvidia/version")
"""Where Linux says which NVIDIA driver is loaded."""
DISK_BYTES = 2_000_000_000
MEMORY_BYTES = 4 * 1024**3


def examine(root: Path) -> dict[str, Any]:
    """The shape of `doctor --json`: checks, and the ready-made recipes, each fine, a note or a problem.

    Imports torch to ask for devices; contacts nobody.
    """
    checks = [_python(), *(_package(name, line) for name, line in TESTED.items())]
    checks += [_vllm(), _cuda(), _device(), _memory(), _disk(root), _model_cache()]
    return {"version": __version__, "checks": checks, "recipes": _recipes(root)}


def as_text(found: dict[str, Any]) -> str:
    """The findings for the terminal, what to do under each problem."""
    lines = [f"distill-app {found['version']}", ""]
    for check in found["checks"]:
        lines.append(f"{check['status']:<8} {check['name']:<14} {check['found']}")
        if check["fix"]:
            lines.append(f"{'':<23} -> {check['fix']}")
    lines.append("")
    for recipe in found["recipes"]:
        lines.append(f"{recipe['status']:<8} {recipe['recipe']:<20} {recipe['found']}")
        if recipe["fix"]:
            lines.append(f"{'':<29} -> {recipe['fix']}")
    return "\n".join(lines)


def _check(name: str, status: str, found: str, fix: str = "") -> dict[str, str]:
    return {"name": name, "status": status, "found": found, "fix": fix}


def _python() -> dict[str, str]:
    fine = sys.version_info >= (3, 11)
    return _check(
        "python",
        "fine" if fine else "problem",
        platform.python_version(),
        "" if fine else "uv python install 3.12, or your system's package python3.12",
    )


def _package(name: str, line: str) -> dict[str, str]:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return _check(name, "problem", "not installed", f"pip install '{name}=={line}.*'")
    if version == line or version.startswith(f"{line}."):
        return _check(name, "fine", version)
    return _check(name, "note", f"{version}; tested with {line}", f"pip install '{name}=={line}.*'")


def _vllm() -> dict[str, str]:
    """Optional: recipes without `backend: vllm` do not need it."""
    from distill_app.students import vllm_machine

    build = vllm_machine.installed()
    what = vllm_machine.lack(build)
    if build is None:
        return _check("vllm", "note", "not installed; recipes with backend: vllm need it", vllm_machine.INSTALL)
    if what is not None:
        return _check("vllm", "note", what, vllm_machine.INSTALL)
    return _check("vllm", "fine", f"{build.version}, for {'a GPU' if build.kind == 'gpu' else 'CPUs'}")


def _cuda() -> dict[str, str]:
    """Whether torch can use the NVIDIA GPUs that the machine has."""
    import torch

    build = torch.version.cuda
    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(place) for place in range(torch.cuda.device_count())]
        named = ", ".join(f"{card.name} with {card.total_memory / 1e9:.0f} GB" for card in cards)
        return _check("cuda", "fine", f"CUDA {build}: {named}")
    if not DRIVER.exists():
        return _check("cuda", "fine", "no NVIDIA GPU here; the CPU is used")
    said = DRIVER.read_text(encoding="utf-8", errors="replace").splitlines()[0]
    if build is None:
        return _check(
            "cuda",
            "problem",
            f"there is an NVIDIA driver ({said}), but torch {torch.__version__} is a CPU build",
            f"pip install --force-reinstall 'torch=={TESTED['torch']}.*'",
        )
    return _check(
        "cuda",
        "problem",
        f"torch is built for CUDA {build} and finds no GPU ({said})",
        "Look what nvidia-smi says: the driver may be too old for that CUDA, or CUDA_VISIBLE_DEVICES empty.",
    )


def _device() -> dict[str, str]:
    from distill_app.students import device

    threads = device.set_threads(None)
    picked = device.pick("auto", "auto")
    return _check("device", "fine", f"{picked.name}, {threads} threads, {picked.dtype} ({picked.why})")


def _memory() -> dict[str, str]:
    import psutil

    free = psutil.virtual_memory().available
    text = f"{free / 1e9:.1f} GB free"
    if free < MEMORY_BYTES:
        return _check("memory", "problem", text, "quickstart needs 4 GiB free: close something.")
    return _check("memory", "fine", text)


def _disk(root: Path) -> dict[str, str]:
    existing = next(folder for folder in [root, *root.parents] if folder.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / 1e9:.1f} GB free for {root}"
    if not os.access(existing, os.W_OK):
        return _check("workspace", "problem", f"{existing} cannot be written", "Choose another one with --workspace.")
    if free < DISK_BYTES:
        return _check("workspace", "problem", text, "Make room, or choose another disk with --workspace.")
    return _check("workspace", "fine", text)


def _model_cache() -> dict[str, str]:
    folder = resources.cache_folder() / "models"
    models = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    text = f"{', '.join(models)} in {folder}" if models else f"{folder} is empty; the first run fills it"
    return _check("model cache", "fine", text)


def _recipes(root: Path) -> list[dict[str, Any]]:
    """What each bundled recipe needs, as far as it is not in the workspace yet, and whether this machine has it."""
    from distill_app.recipe.new import bundled

    return [_recipe(name, path, root) for name, path, _ in bundled()]


def _recipe(name: str, path: Path, root: Path) -> dict[str, Any]:
    import psutil

    from distill_app.engine import ready
    from distill_app.plan import graph, view
    from distill_app.recipe.resolve import load_arms
    from distill_app.store.artifacts import Store

    def say(
        status: str, found: str, fix: str = "", memory: int | None = None, seconds: float | None = None
    ) -> dict[str, Any]:
        needs = {"memory_bytes": memory, "seconds": seconds}
        return {"recipe": name, "status": status, "found": found, "fix": fix, **needs}

    try:
        arms = load_arms(path)
        faults = ready.lacking([graph.build(arm) for arm in arms], Store(root))
        stages = [stage for stage in view.estimates(arms, root) if stage.state != "cached"]
    except DistillError as error:
        return say("note", error.message, error.hint)
    memory = max((stage.memory_bytes or 0 for stage in stages), default=0)
    known = [stage.seconds for stage in stages if stage.seconds is not None]
    needs = (memory or None, sum(known) if known else None)
    said = _needs(len(arms), memory, sum(known), len(stages) - len(known)) if stages else "is all there already"
    if faults:
        return say("note", f"{said}; {faults[0].message}", faults[0].suggestion, *needs)
    free = psutil.virtual_memory().available
    if memory > free:
        lower = f"distill-app run {name} --set runtime.train_rows=1 --set runtime.sample_rows=8"
        return say("problem", f"{said}, and {free / 1e9:.1f} GB are free", f"Close something, or: {lower}", *needs)
    return say("fine", said, "", *needs)


def _needs(runs: int, memory: int, seconds: float, unknown: int) -> str:
    """In words: `3 runs: about 12 min, 2.2 GB of memory`."""
    minutes = f"about {max(round(seconds / 60), 1)} min" + (" and stages of unknown length" if unknown else "")
    return f"{runs} run{'s' if runs > 1 else ''}: {minutes}" + (f", {memory / 1e9:.1f} GB of memory" if memory else "")
