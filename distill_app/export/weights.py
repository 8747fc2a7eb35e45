"""The trained student's weights: the adapter as it was trained, or merged into a copy of its model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from distill_app.errors import UsageError
from distill_app.export.finished import Finished
from distill_app.students.load import check_adapter
from distill_app.students.locate import Located, fetch, locate
from distill_app.students.merge import merge

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
_LICENCE_FILES = ("LICENSE*", "LICENCE*", "NOTICE*", "COPYING*")


def write_adapter(finished: Finished, folder: Path) -> None:
    """The adapter's two files, as PEFT and vLLM load them, in the new folder `folder`."""
    adapter = finished.input("train") / "adapter"
    check_adapter(adapter)
    folder.mkdir()
    for name in ADAPTER_FILES:
        shutil.copyfile(adapter / name, folder / name)


def write_merged(finished: Finished, folder: Path, say: Callable[[str], None]) -> None:
    """A whole model in the new folder `folder`, in the number type in which the trained student was evaluated.

    So the weights are those that the scores are of. Needs the student's model, fetched where it is not here; its
    licence files go along. Raises `UsageError` where that model is not the one that was trained.
    """
    base = fetch(student(finished), say)
    say(f"Merging the adapter into a copy of the weights ({dtype(finished)}).")
    merge(base, finished.input("train") / "adapter", folder, dtype=dtype(finished))
    for path in sorted({path for pattern in _LICENCE_FILES for path in base.glob(pattern)}):
        shutil.copyfile(path, folder / path.name)


def dtype(finished: Finished) -> str:
    """The number type of the trained student's evaluation: float32 or bfloat16."""
    return str(finished.manifests[finished.inputs["trained"][0]]["facts"]["dtype"])


def student(finished: Finished) -> Located:
    """The student's model, the one that was trained and no other; `UsageError` where that cannot be had."""
    named = finished.recipe["student"]
    content: str = finished.manifest("train")["options"]["student"]["content"]
    commit = content.rpartition("@")[2] if content.startswith("hub:") else named["revision"]
    found = locate(named["model"], commit)
    if found.content_id != content:
        raise UsageError(
            f"The model {named['model']} is not what it was when run {finished.run} trained it.",
            f"It was {content} and is {found.content_id}. Bring the earlier one back, or export the adapter alone "
            "(without --merged).",
        )
    return found
