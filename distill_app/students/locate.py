"""Which weights a recipe's `model` means, found without loading them and without importing torch.

A model is a built-in (`builtin:<name>`), a folder, or a hub id. `locate` says what identifies its content, for
fingerprints; `fetch` brings it to a folder on this machine.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_app import resources
from distill_app.errors import StageError, UsageError
from distill_app.store.files import write_json
from distill_app.students import builtin, hub, own_code

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_ADAPTER = "adapter_config.json"
_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
TEXT_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
)


@dataclass(frozen=True, slots=True)
class Located:
    """A model, identified. `content_id` differs whenever the weights, tokenizer or template may differ.

    `folder` is None while nothing of it is on this machine; `parameters` is None where only the hub knows;
    `hub` tells a hub id, `commit` which commit of it.
    """

    model: str
    content_id: str
    folder: Path | None
    parameters: int | None
    hub: bool
    commit: str | None = None


def locate(model: str, revision: str | None) -> Located:
    """Identify `model`. Reads folders' weights once (hashes are remembered by size and time of change).

    A hub name without a full commit is looked up in the local hub cache first, then asked of the hub. Raises
    `UsageError` for an unknown built-in, a folder that is missing something, or a hub id that cannot be
    resolved from here.
    """
    if model.startswith(builtin.PREFIX):
        entry = builtin.find(model)
        folder = builtin.folder_of(model) if builtin.is_ready(model) else None
        return Located(model, entry.content_id, folder, entry.parameters, hub=False)
    folder = Path(model).expanduser()
    if folder.is_dir():
        if refusal := own_code.refusal(folder):
            raise UsageError(*refusal)
        if lack := lacks(folder):
            raise UsageError(f"The model folder {folder} {lack}.", _lack_hint(folder))
        return Located(model, folder_id(folder), folder.resolve(), _parameters(folder), hub=False)
    if not _HUB_ID.fullmatch(model) or model.startswith("."):
        raise UsageError(f"There is no model folder {model}.", hub.serves(model))
    return _locate_hub(model, revision)


def _locate_hub(model: str, revision: str | None) -> Located:
    commit, parameters = hub.resolve(model, revision)
    snapshot = hub.snapshot(model, commit)
    folder = snapshot if snapshot.is_dir() and lacks(snapshot) is None else None
    if folder is not None:
        parameters = _parameters(folder)
    return Located(model, f"hub:{model}@{commit}", folder, parameters, hub=True, commit=commit)


def fetch(located: Located, say: Callable[[str], None]) -> Path:
    """The folder that holds the model, brought to this machine if need be.

    `say` is told in one line what takes time. Raises `StageError` where it cannot be had.
    """
    if located.model.startswith(builtin.PREFIX):
        return builtin.materialise(located.model, say)
    folder = located.folder or hub.download(located.model, str(located.commit), located.parameters, say)
    if located.hub and (refusal := own_code.refusal(folder, hub=True)):
        raise StageError(*refusal)
    if located.folder is None and (lack := lacks(folder)):
        raise StageError(f"What the hub gave for {located.model} {lack}.", "Choose a model with safetensors weights.")
    return folder


def folder_id(folder: Path) -> str:
    """SHA-256 over the names and contents of what loading reads: config, tokenizer, template and weights."""
    files = [folder / name for name in TEXT_FILES if (folder / name).is_file()] + _weight_files(folder)
    known = _read_hashes()
    fresh: dict[str, list[Any]] = {}
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(f"{file.name}\0{_hash(file.resolve(), known, fresh)}\n".encode())
    if fresh:
        _write_hashes({**known, **fresh})
    return f"sha256:{total.hexdigest()}"


def lacks(folder: Path) -> str | None:
    """What keeps `folder` from being a whole model ("has no config.json"), or None if it is one."""
    if not (folder / "config.json").is_file():
        return "has no config.json"
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        return "has no tokenizer (tokenizer.json)"
    if not (folder / _SINGLE).is_file() and not (folder / _INDEX).is_file():
        return f"has no weights in safetensors form ({_SINGLE} or {_INDEX})"
    for file in _weight_files(folder):
        if not file.is_file():
            return f"lacks {file.name}, which {_INDEX} names"
        if safetensors_header(file) is None:
            return f"holds a damaged or cut-off {file.name}"
    return None


def _lack_hint(folder: Path) -> str:
    if (folder / _ADAPTER).is_file():
        return "It holds an adapter: name the model it was trained on, or a folder with the two merged."
    if any(folder.glob("pytorch_model*.bin")):
        return "It holds weights in .bin form: load and save it once with transformers to get safetensors."
    return "Give a folder written by save_pretrained of a model and its tokenizer."


def _weight_files(folder: Path) -> list[Path]:
    if (folder / _SINGLE).is_file():
        return [folder / _SINGLE]
    if not (folder / _INDEX).is_file():
        return []
    index = json.loads((folder / _INDEX).read_text())
    return [folder / name for name in sorted(set(index["weight_map"].values()))]


def safetensors_header(file: Path) -> dict[str, Any] | None:
    """The safetensors header, or None if the file is damaged or shorter than its header says."""
    size = file.stat().st_size
    with file.open("rb") as handle:
        start = handle.read(8)
        if len(start) < 8:
            return None
        length = struct.unpack("<Q", start)[0]
        if length > size - 8:
            return None
        try:
            header: dict[str, Any] = json.loads(handle.read(length))
        except ValueError:
            return None
    header.pop("__metadata__", None)
    end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    return header if size == 8 + length + end else None


def _parameters(folder: Path) -> int:
    """Parameters by the weights' headers, an output layer tied to the embeddings counted once."""
    shapes = {
        name: entry["shape"]
        for file in _weight_files(folder)
        for name, entry in (safetensors_header(file) or {}).items()
    }
    if json.loads((folder / "config.json").read_text()).get("tie_word_embeddings"):
        shapes.pop("lm_head.weight", None)
    return sum(math.prod(shape) for shape in shapes.values())


def _hash(file: Path, known: Mapping[str, list[Any]], fresh: dict[str, list[Any]]) -> str:
    stat = file.stat()
    entry = known.get(str(file))
    if isinstance(entry, list) and len(entry) == 3 and entry[:2] == [stat.st_size, stat.st_mtime_ns]:
        return str(entry[2])
    with file.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    # A file changed within the clock's grain could change again unseen: it is not remembered yet.
    if time.time_ns() - stat.st_mtime_ns > 2_000_000_000:
        fresh[str(file)] = [stat.st_size, stat.st_mtime_ns, digest]
    return digest


def _hashes_file() -> Path:
    return resources.cache_folder() / "hashes.json"


def _read_hashes() -> dict[str, list[Any]]:
    try:
        hashes = json.loads(_hashes_file().read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return hashes if isinstance(hashes, dict) else {}  # damaged: the files are hashed again


def _write_hashes(hashes: Mapping[str, list[Any]]) -> None:
    """Two writers at once lose one's entries, which costs hashing those files again and nothing else."""
    target = _hashes_file()
    target.parent.mkdir(parents=True, exist_ok=True)
    write_json(target, {path: entry for path, entry in hashes.items() if os.path.exists(path)})


def public_name(model: str) -> str:
    """What a model is called in what leaves this machine: of a folder the last part alone."""
    return Path(model).name if Path(model).is_dir() else model
