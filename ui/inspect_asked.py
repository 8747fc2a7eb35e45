"""Which run an address asks the Inspect page for."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill_app.errors import DistillError
from distill_app.store.runs import RUN_ID, Run

from . import pool, run_list
from .pool import Pool

"""How every listener of the page is: out of the queue, and nobody's endpoint."""
KEEP = """(value) => {
  const here = new URL(location.href);
  for (const other of %s) here.searchParams.delete(other);
  if (value) here.searchParams.set("%s", value);
  history.replaceState(history.state, "", here);
}"""
"""Notes in the address what was picked, and takes out of it what no longer holds."""
ADDRESS = "(shown, before) => [shown, before, location.search.slice(1)]"
"""Tells a listener what the address asks for, beside what it is about and what is shown already."""


def of_id(root: Path, run: str) -> Run | None:
    """The run of exactly this id; None where it is no id, or there is no such run."""
    folder = root / "runs" / run
    return Run(folder) if RUN_ID.fullmatch(run) and folder.is_dir() else None


def of_address(root: Path, query: Mapping[str, Any]) -> Run | None:
    """The run that an address names; unasked the newest that has finished, else the newest. None for one unknown."""
    if "run" in query:
        return of_id(root, str(query["run"]))
    newest = run_list.known(root)[::-1]
    finished = (run for run in newest if (run.folder / "result.json").exists())
    return next(finished, newest[0] if newest else None)


def warm(root: Path) -> None:
    """Open the pool that the page shows unasked in the background, so that its first visitor need not wait for it."""

    def make() -> None:
        found = selection(root, of_address(root, {}))
        if found is not None:
            found.first(1)

    threading.Thread(target=make, name="pool", daemon=True).start()


def selection(root: Path, run: Run | None) -> Pool | None:
    """The selection of a run; None where it has none yet, which the page's headline says."""
    if run is None:
        return None
    try:
        return pool.of_run(root, run)
    except DistillError:
        return None
