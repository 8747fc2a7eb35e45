"""A finished run in one small file: recipe, lock, results and what was selected. No weights, no traces, no answers.

Paths of this machine are replaced by what the recipe is told by elsewhere; see `portable`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill_app import __version__
from distill_app.errors import UsageError
from distill_app.reproduce import archive, opened
from distill_app.store.runs import Run

VERSION = 1
MOST_REASONS = 2000
"""Selected rows up to which each comes with its rank, score and reason."""
MOST_IDS = 50_000
"""Selected rows up to which each is named at all."""


def write(run: Run, root: Path, target: Path | None) -> Path:
    """Write the bundle of a finished run to `target`, by default RECIPE-RUN.bundle here, and return its path.

    The same run gives the same bytes. Raises `UsageError` for a run that has not finished, for a file that is there
    already, and where the bundle would be larger than one may be.
    """
    result = run.result()
    if result is None:
        raise UsageError(
            f"Run {run.id} has no result yet: it is {run.state()}.", "Issue its `run` command again to go on with it."
        )
    target = target or Path.cwd() / f"{result['recipe']}-{run.id[-6:]}{archive.SUFFIX}"
    raw = archive.pack(_entries(run, root, result))
    if len(raw) > archive.LARGEST_FILE_BYTES:
        raise UsageError(f"The bundle of run {run.id} would be {len(raw) / 1e6:.1f} MB, more than a bundle may be.")
    try:
        opened.from_bytes(str(target), raw)
    except UsageError as error:
        raise UsageError(
            f"Run {run.id} is of an earlier version, and nobody could open its bundle: {error.message}",
            "Issue its `run` command again: only the report is made anew.",
        ) from error
    try:
        with target.open("xb") as file:
            file.write(raw)
    except FileExistsError:
        raise UsageError(f"{target} is already there.", "Take another name with --to, or move it away.") from None
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}.", "Take another place with --to.") from error
    return target


def _entries(run: Run, root: Path, result: Mapping[str, Any]) -> dict[str, bytes]:
    from distill_app.reports import runs as listing

    resolved, names = opened.portable_of(run)
    lock = run.lock_record()
    values: dict[str, Any] = {
        opened.INDEX: {"version": VERSION, "made_by": f"distill-app {__version__}", "run": run.id},
        opened.LOCK: {**lock, "file": os.path.basename(lock["file"])},
        opened.RESULT: result,
        opened.RUN: {**listing.details(run), "result": None, "folder": ""},
    }
    selection = _selection(run, root)
    if selection is not None:
        values[opened.SELECTION] = selection
    texts = {opened.RECIPE: (run.folder / opened.RECIPE).read_text(encoding="utf-8"), opened.RESOLVED: resolved}
    report = run.folder / opened.REPORT
    if report.is_file():
        texts[opened.REPORT] = _without_plots(report.read_text(encoding="utf-8"))
    hide = _Hidden({**names, str(root): "WORKSPACE", str(Path.home()): "~"})
    texts = {name: hide.text(text) for name, text in texts.items()}
    values = {name: hide.value(value) for name, value in values.items()}
    return {
        **{name: archive.clean(text).encode() for name, text in texts.items()},
        **{
            name: (json.dumps(archive.clean(value), indent=1, ensure_ascii=False) + "\n").encode()
            for name, value in values.items()
        },
    }


class _Hidden:
    """Puts what a path is called elsewhere in its place, the longest path first."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = sorted(names.items(), key=lambda pair: (-len(pair[0]), pair))

    def text(self, text: str) -> str:
        for path, name in self._names:
            if len(path) > 1:
                text = text.replace(path, name)
        return text

    def value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key): self.value(item) for key, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, list | tuple) else value


def _without_plots(report: str) -> str:
    """A report without its pictures, which are no part of a bundle; what each shows is said in its place."""
    lines = []
    for line in report.splitlines():
        if line.startswith("![") and line.endswith(")"):
            line = line[2 : line.rindex("](")]
        lines.append(line)
    return "\n".join(lines) + "\n"


def _selection(run: Run, root: Path) -> dict[str, Any] | None:
    """Which rows were kept, as far as there are few, and why the others were not; None where the store has no more."""
    from distill_app.reports import inspect, selections

    try:
        found = selections.of_run(root, run)
    except UsageError:
        # The rows were removed from the store: the bundle is of what is left, and says nothing of them.
        return None
    kept = sorted((one for one in found.decisions.values() if one.kept), key=lambda one: (one.rank or 0, one.id))
    few = len(kept) <= MOST_REASONS
    return {
        "pool": len(found.decisions),
        "kept": len(kept),
        "rows": [
            {"id": one.id, "rank": one.rank, "score": one.score, "reason": one.reason} if few else {"id": one.id}
            for one in kept[: MOST_IDS if len(kept) <= MOST_IDS else 0]
        ],
        "left_out": inspect.reasons(one.reason for one in found.decisions.values() if not one.kept),
        "epochs": [
            {"epoch": epoch["epoch"], "rows": epoch["rows"], "ids": epoch["ids"] if few else []}
            for epoch in found.epochs
        ],
    }
