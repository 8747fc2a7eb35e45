"""What is true of the exporter's machine alone, taken out of what is shared: folders, the home folder's name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PLACES = frozenset({"dataset", "embedding", "labels", "model", "path", "table", "tree"})
"""Keys of a recipe under which a path can stand (`recipe.paths` makes those absolute)."""
_FILE_KINDS = ("jsonl:", "parquet:")


def public(value: Any, folders: tuple[Path, ...]) -> Any:
    """Plain data with the paths under the recipe's keys cut to their last part, and `folders` in any text as "~".

    `folders` are the home folder and the workspace, say. What is no path stays as it is.
    """
    if isinstance(value, Mapping):
        return {
            _text(key, folders): _place(item, folders) if key in _PLACES else public(item, folders)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [public(item, folders) for item in value]
    return _text(value, folders) if isinstance(value, str) else value


def name(place: str) -> str:
    """What a model, data set or file is called outside: a path's last part, anything else as it is."""
    kind = next((kind for kind in _FILE_KINDS if place.startswith(kind)), "")
    rest = place.removeprefix(kind)
    return kind + Path(rest).name if Path(rest).is_absolute() else place


def _place(value: Any, folders: tuple[Path, ...]) -> Any:
    if isinstance(value, str):
        return _text(name(value), folders)
    if isinstance(value, list | tuple):
        return [_place(item, folders) for item in value]
    return public(value, folders)


def _text(text: Any, folders: tuple[Path, ...]) -> Any:
    if not isinstance(text, str):
        return text
    for folder in sorted(map(str, folders), key=len, reverse=True):
        if folder != folder[:1]:
            text = text.replace(folder, "~")
    return text
