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
    "math-verify": "0.9",
}
"""Release lines the tests ran with."""
DISK_BYTES = 2_000_000_000
MEMORY_BYTES = 4 * 1024**3


def examine(root: Path) -> dict[str, Any]:
    """`{version, checks: [{name, status: fine|note|problem, found, fix}], recipes: [...]}`.

    Imports torch to ask for devices; contacts nobody.
    """
    checks = [_python(), *(_package(name, line) for name, line in TESTED.items())]
    checks += [_vllm(), _device(), _memory(), _disk(root), _model_cache()]
    return {"version": __version__, "checks": checks, "recipes": _recipes()}


def as_text(found: dict[str, Any]) -> str:
    """The findings for the terminal, what to do under each problem."""
    lines = [f"distill-app {found['version']}", ""]
    for check in found["checks"]:
        lines.append(f"{check['status']:<8} {check['name']:<14} {check['found']}")
        if check["fix"]:
            lines.append(f"{'':<23} -> {check['fix']}")
    lines.append("")
    lines += [f"{recipe['status']:<8} {recipe['recipe']:<20} {recipe['found']}" for recipe in found["recipes"]]
    return "\n".join(lines)


def _check(name: str, status: str, found: str, fix: str = "") -> dict[str, str]:
    return {"name": name, "status": status, "found": found, "fix": fix}


def _python() -> dict[str, str]:
    fine = sys.version_info >= (3, 11)
    return _check(
        "python",
        "fine" if fine else "problem",
        platform.python_version(),
        "" if fine else "Install Python 3.11 or later.",
    )


def _package(name: str, line: str) -> dict[str, str]:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return _check(name, "problem", "not installed", "pip install distill-app")
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


def _recipes() -> list[dict[str, str]]:
    """For each bundled recipe, whether it could be planned here and now, and if not why."""
    from distill_app.plan import graph
    from distill_app.recipe.new import bundled
    from distill_app.recipe.resolve import load_arms

    found = []
    for name, path, purpose in bundled():
        try:
            for arm in load_arms(path):
                graph.build(arm)
            found.append({"recipe": name, "status": "fine", "found": purpose})
        except DistillError as error:
            found.append({"recipe": name, "status": "note", "found": str(error).splitlines()[0]})
    return found
