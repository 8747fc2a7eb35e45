"""Models that would run code of their own, or load weights that can: none of them is loaded.

transformers runs Python files that come with a model only where it is told to (`trust_remote_code`), which is done
nowhere here. What is refused besides, by name, is what would have it load something else than the folder's weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ADAPTER = "adapter_config.json"
_INDEX = "model.safetensors.index.json"
_SAFE = ("*.safetensors",)
_UNSAFE = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt")
_ATTENTION = ("attn_implementation", "experts_implementation")


def refusal(folder: Path, *, hub: bool = False) -> tuple[str, str] | None:
    """Why the model in `folder` is not loaded, and what to do; None where nothing speaks against it.

    Looks at names and settings alone; what else a whole model needs is not asked. A model of a hub whose architecture
    transformers knows itself may name code of its own: its files are not fetched, and transformers' are used.
    """
    for name in ("config.json", "tokenizer_config.json"):
        settings = _settings(folder / name)
        if settings.get("auto_map") and not (hub and _is_known(settings)):
            return (
                f"{folder / name} has the model run code of its own (auto_map), and distill-app runs no code that "
                "comes with a model.",
                "Take a model whose architecture transformers has itself. If it has this one's, delete auto_map from "
                "the file, and its own code is used.",
            )
        for key in _ATTENTION:
            if "/" in json.dumps(settings.get(key)):
                return (
                    f"{folder / name} has code fetched from {settings[key]} ({key}), and distill-app runs no code that "
                    "comes with a model.",
                    f"Delete {key} from the file.",
                )
    index = _settings(folder / _INDEX).get("weight_map")
    for name in sorted({str(value) for value in index.values()}) if isinstance(index, dict) else ():
        if name in ("", ".", "..") or Path(name).name != name:
            return f"{folder / _INDEX} names weights elsewhere: {name!r}.", "A model's weights lie in its own folder."
    if (folder / "config.json").is_file() and (folder / ADAPTER).is_file():
        return (
            f"{folder} holds an adapter beside a model ({ADAPTER}), which would have another model loaded instead.",
            f"Move {ADAPTER} away, or merge the adapter into the model it was trained on.",
        )
    if not _any(folder, _SAFE) and _any(folder, _UNSAFE):
        return (
            f"{folder} holds its weights as a Python pickle ({_first(folder, _UNSAFE)}), which can run code when it "
            "is read.",
            "Take the model's safetensors. Where there are none, and you trust the file: load it once with "
            "transformers and save it with save_pretrained, which writes safetensors.",
        )
    return None


def _settings(file: Path) -> dict[str, Any]:
    """The map in a JSON file; an empty one where there is none, or none that can be read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_known(settings: dict[str, Any]) -> bool:
    """Whether transformers has the architecture itself. A tokenizer's settings name none."""
    from distill_app.students import quiet

    quiet.environment()
    from transformers.models.auto.auto_mappings import CONFIG_MAPPING_NAMES

    return settings.get("model_type") in CONFIG_MAPPING_NAMES


def _any(folder: Path, patterns: tuple[str, ...]) -> bool:
    return any(any(folder.glob(pattern)) for pattern in patterns)


def _first(folder: Path, patterns: tuple[str, ...]) -> str:
    return next(path.name for pattern in patterns for path in sorted(folder.glob(pattern)))
