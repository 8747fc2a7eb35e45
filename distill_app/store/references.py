"""Which artifacts of a workspace are referred to, and which a living process may be about to refer to.

A run refers to every stage in its lock.json, and to the verdicts and the report that `regrade` made for it; a folder of
`tools` to the tree it made, with what that was made from.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_app.store.artifacts import Store
from distill_app.store.files import is_locked
from distill_app.store.runs import Run, all_runs, read_events

FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_TOOL = re.compile(r"([a-z_]+)-([0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class References:
    """`prints` are the fingerprints referred to. `coming` are kinds of stage that a tool or a regrading at work makes:
    which of them it refers to is not written down before it ends. `unknown` says of each run that has begun and whose
    lock.json cannot be read that nobody can tell what it refers to."""

    prints: frozenset[str]
    coming: frozenset[str]
    unknown: tuple[str, ...]

    def holds(self, kind: str, fingerprint: str) -> bool:
        """Whether an artifact is, or may be, referred to."""
        return bool(self.unknown) or kind in self.coming or fingerprint in self.prints


class Referrers:
    """Reads references again and again, each file only when it has changed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read: dict[Path, tuple[tuple[int, int], dict[str, Any]]] = {}

    def now(self) -> References:
        """What is referred to at this moment."""
        prints: set[str] = set()
        coming: set[str] = set()
        unknown = []
        for run in all_runs(self.root):
            record = self._json(run.folder / "lock.json")
            stages = _stages(record)
            if stages is None:
                if run.events_path.exists() and run.events_path.stat().st_size:
                    unknown.append(
                        f"Run {run.id} has begun and its lock.json cannot be read, so nobody can tell what it refers "
                        "to: no artifact counts as left over. Issue its recipe again, then remove its folder."
                    )
                continue
            prints |= stages
            if "regraded" in record:
                prints |= self._with_inputs("report", str(record["regraded"]))
            if is_locked(run.lock_path) and _is_regrading(run):
                coming |= {"grade", "report"}
        for tool in _entries(self.root / "tools"):
            if found := _TOOL.fullmatch(tool.name):
                prints |= self._with_inputs(found[1], found[2])
                if is_locked(tool / "lock"):
                    coming |= {found[1], "problems"}
        return References(frozenset(prints), frozenset(coming), tuple(unknown))

    def _with_inputs(self, kind: str, fingerprint: str) -> set[str]:
        manifest = self._json(Store(self.root).folder(kind, fingerprint) / "manifest.json")
        inputs = manifest.get("inputs", {})
        return {fingerprint, *(print_ for prints in inputs.values() for print_ in prints)}

    def _json(self, path: Path) -> dict[str, Any]:
        try:
            stat = path.stat()
            state = (stat.st_mtime_ns, stat.st_size)
            if path not in self._read or self._read[path][0] != state:
                value = json.loads(path.read_text(encoding="utf-8"))
                self._read[path] = state, value if isinstance(value, dict) else {}
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}
        return self._read[path][1]


def _stages(lock: dict[str, Any]) -> set[str] | None:
    """The fingerprints of a run's stages; None where its lock.json does not say them."""
    stages = lock.get("stages")
    if not isinstance(stages, list):
        return None
    prints = {str(stage.get("fingerprint")) if isinstance(stage, dict) else "" for stage in stages}
    return prints if all(map(FINGERPRINT.fullmatch, prints)) else None


def _is_regrading(run: Run) -> bool:
    began = [event["type"] for event in read_events(run.events_path) if event["type"].endswith("_started")]
    began = [kind for kind in began if kind in ("run_started", "regrade_started")]
    return bool(began) and began[-1] == "regrade_started"


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
