"""The leaderboard of a workspace, kept while no result changes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from distill_app.reports import arms, leaderboard
from distill_app.store import runs


@dataclass(frozen=True)
class Board:
    """The finished runs of a workspace, and what is made of them when it is first asked for."""

    results: list[dict[str, Any]]

    @cached_property
    def rows(self) -> list[Mapping[str, Any]]:
        """Single runs and untrained students, as `leaderboard.rows` gives them."""
        return list(leaderboard.rows(self.results))

    @cached_property
    def arms(self) -> list[Mapping[str, Any]]:
        """Arms over their seeds."""
        return list(arms.arms(self.results))


def of(root: Path) -> Board:
    """The leaderboard as it is now. Several who ask at once wait for one."""
    key = tuple(
        (run.id, found.st_mtime_ns, found.st_size)
        for run in runs.all_runs(root)
        if (path := run.folder / "result.json").exists() and (found := path.stat())
    )
    with _lock:
        known = _known.get(root)
        if known is None or known[0] != key:
            results = [result for run in runs.all_runs(root) if (result := run.result())]
            known = _known[root] = (key, Board(results))
            # Made here, so that who comes second finds it.
            _ = known[1].rows
        return known[1]


def warm(root: Path) -> None:
    """Make the leaderboard in the background, so that the first to open the page need not wait for it."""

    def make() -> None:
        _ = of(root).arms

    threading.Thread(target=make, name="leaderboard", daemon=True).start()


_known: dict[Path, tuple[tuple[Any, ...], Board]] = {}
_lock = threading.Lock()
