"""What runs: one module a kind of stage.

A stage reads artifacts and writes one artifact. It never knows which recipe, page or engine called it. Each
module holds

- `VERSION`: raised when the same options would now give another output;
- `MODEL`: whether it loads a model, and so runs in a process of its own that gives memory back by ending;
- `run(stage: Context) -> Summary`: does the work inside `stage.folder`, where an attempt that died may have left
  finished rows to go on from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distill_app.recipe.model import Runtime
from distill_app.store.artifacts import WORK


@dataclass(frozen=True, slots=True)
class Context:
    """All that a stage is given.

    `options` is what the fingerprint was made from. `inputs` maps a role to the folders of finished artifacts.
    `local` and `runtime` say where things lie on this machine and how fast to go: they never change the output.
    """

    name: str
    options: Mapping[str, Any]
    inputs: Mapping[str, tuple[Path, ...]]
    local: Mapping[str, Any]
    runtime: Runtime
    folder: Path
    emit: Callable[[str, Mapping[str, Any]], None]

    @property
    def work(self) -> Path:
        """Folder for what an interrupted attempt is to be gone on from; no part of the artifact."""
        work = self.folder / WORK
        work.mkdir(exist_ok=True)
        return work

    def input(self, role: str) -> Path:
        """The one folder of this role."""
        (folder,) = self.inputs[role]
        return folder

    def progress(self, done: int, total: int, unit: str, tokens: int | None = None) -> None:
        """Tell how far the stage is, in `unit`s; `tokens` so far where the work is in tokens."""
        self.emit("progress", {"done": done, "total": total, "unit": unit, "tokens": tokens})

    def log(self, message: str) -> None:
        """A sentence for the person watching."""
        self.emit("log", {"message": message})


@dataclass(frozen=True, slots=True)
class Summary:
    """What a stage made, for the manifest: rows, tokens it worked through, counts by name, and other facts."""

    rows: int
    tokens: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
