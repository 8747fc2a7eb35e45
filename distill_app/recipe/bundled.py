"""The ready-made recipes that travel with the program."""

from __future__ import annotations

from pathlib import Path

from distill_app import resources


def names() -> list[str]:
    """Names of the ready-made recipes: their paths under recipes/, without `.yaml`, sorted."""
    root = resources.folder("recipes")
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.yaml"))


def find(name: str) -> Path | None:
    """The file of the ready-made recipe `name`; None when there is none."""
    root = resources.folder("recipes")
    plain = name.removesuffix(".yaml")
    return root / f"{plain}.yaml" if plain in names() else None
