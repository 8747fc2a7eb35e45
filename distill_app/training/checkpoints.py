"""When training checkpoints are written, and which are whole: one counts once the list of its files is in it."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path

from distill_app.store.files import sha256

MARKER = "complete.json"


@dataclass(frozen=True, slots=True)
class Every:
    """A checkpoint after so many optimizer steps, or once so much time has passed since the last: what comes first.

    Neither changes what is trained.
    """

    steps: int
    seconds: float = math.inf


def mark_complete(checkpoint: Path) -> None:
    """Write the marker, last: the SHA-256 of every file the checkpoint has at this moment."""
    files = (file for file in sorted(checkpoint.rglob("*")) if file.is_file() and file.name != MARKER)
    hashes = {str(file.relative_to(checkpoint)): sha256(file) for file in files}
    aside = checkpoint / (MARKER + ".part")
    aside.write_text(json.dumps(hashes, indent=1), encoding="utf-8")
    aside.replace(checkpoint / MARKER)


def is_complete(checkpoint: Path) -> bool:
    """Whether the marker is there and every file it lists is what it was."""
    try:
        hashes = json.loads((checkpoint / MARKER).read_text(encoding="utf-8"))
        return all((checkpoint / name).is_file() and sha256(checkpoint / name) == said for name, said in hashes.items())
    except (OSError, ValueError, AttributeError):
        return False


def step_of(checkpoint: Path) -> int:
    """The optimizer step a folder named checkpoint-<step> was written after."""
    return int(checkpoint.name.rpartition("-")[2])


def last_complete(folder: Path) -> Path | None:
    """The newest whole checkpoint in `folder`, None where there is none.

    What an interruption left half-written is deleted: it can be of no use, and the trainer would count it among
    the checkpoints it keeps.
    """
    whole: list[Path] = []
    for checkpoint in folder.glob("checkpoint-*"):
        if is_complete(checkpoint):
            whole.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    return max(whole, key=step_of, default=None)
