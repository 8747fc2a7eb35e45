"""Where the files that travel with the program lie: schemas and ready-made recipes, in a wheel or a checkout."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder `schemas` or `recipes`: inside the package when installed, beside it in a checkout."""
    installed = PACKAGE / name
    return installed if installed.is_dir() else PACKAGE.parent / name


def cache_folder() -> Path:
    """The user's cache: converted models and measured rates. `DISTILL_CACHE` overrides it."""
    if override := os.environ.get("DISTILL_CACHE"):
        return Path(override)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "distill-app"
