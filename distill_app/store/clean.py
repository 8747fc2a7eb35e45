"""`distill-app clean`: what a workspace holds that nothing refers to, listed with its size, removed where asked for.

Before an artifact goes its lock is taken and the runs are asked again, so that a run which starts meanwhile finds it
whole or not at all.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_app.store.files import is_aside, locked_now
from distill_app.store.left_over import ARTIFACT, LOCK, Item, artifact_left, has_ended, left_over, lock_of
from distill_app.store.references import References, Referrers


@dataclass(frozen=True, slots=True)
class Cleaning:
    """`items` are left over, or with `removed` were; `kept` says of what was left alone why."""

    workspace: Path
    items: tuple[Item, ...]
    kept: tuple[str, ...]
    removed: bool

    @property
    def bytes(self) -> int:
        """What the items take together."""
        return sum(item.bytes for item in self.items)


def clean(root: Path, *, remove: bool) -> Cleaning:
    """List what is left over in the workspace and, where asked, remove it."""
    root = root.resolve()
    referrers = Referrers(root)
    references = referrers.now()
    kept = [*references.unknown]
    items = list(left_over(root, references, kept.append))
    if remove:
        items = [item for item in items if _remove(root, item, referrers, kept.append)]
    return Cleaning(root, tuple(items), tuple(kept), remove)


def as_json(found: Cleaning) -> dict[str, Any]:
    """What `clean --json` prints; its shape is in schemas/clean.schema.json."""
    return {
        "workspace": str(found.workspace),
        "items": [{"what": item.what, "path": item.path, "bytes": item.bytes} for item in found.items],
        "bytes": found.bytes,
        "removed": found.removed,
        "kept": list(found.kept),
    }


def as_text(found: Cleaning) -> str:
    """The findings for the terminal."""
    width = max((len(item.what) for item in found.items), default=0)
    lines = [f"{size(item.bytes):>9}  {item.what:<{width}}  {item.path}" for item in found.items]
    count = len(found.items)
    if not count:
        lines.append(f"Nothing in {found.workspace} is left over.")
    elif found.removed:
        lines.append(f"Removed {count} from {found.workspace}: {size(found.bytes)}.")
    else:
        lines.append(
            f"{count} left over in {found.workspace}: {size(found.bytes)}. To remove: distill-app clean --remove"
        )
    return "\n".join([*lines, *found.kept])


def size(count: int) -> str:
    """Bytes as a person reads them: `1.5 MB`."""
    amount, units = float(count), ["B", "kB", "MB", "GB"]
    while amount >= 1000 and len(units) > 1:
        amount /= 1000
        units.pop(0)
    return f"{amount:.0f} {units[0]}" if units[0] == "B" else f"{amount:.1f} {units[0]}"


def _remove(root: Path, item: Item, referrers: Referrers, keep: Callable[[str], None]) -> bool:
    """Remove an item if it is still left over; whether it was."""
    path = root / item.path
    top = item.path.split("/")[0]
    lock = {"artifacts": lock_of(root, path), "locks": path, "jobs": root / "jobs" / "line.lock"}.get(top)
    if lock is None:
        _delete(path)
        return True
    if lock.parent.is_symlink():
        keep(f"{item.path} stays: {lock.parent.name} is a link, and links are not followed.")
        return False
    with locked_now(lock) as held:
        references = referrers.now()
        if not held or not _is_still_left(path, top, references):
            keep(f"{item.path} is being worked on.")
            return False
        _delete(path)
        if top == "artifacts" and not _is_any_left(path):
            lock.unlink(missing_ok=True)
    return True


def _is_still_left(path: Path, top: str, references: References) -> bool:
    if top == "artifacts":
        return artifact_left(path, references) is not None
    if top == "jobs":
        return has_ended(path) or is_aside(path)
    found = LOCK.fullmatch(path.name)
    return found is not None and not references.holds(found["kind"], found["print"])


def _delete(path: Path) -> None:
    """Remove a file, or a folder with all in it. A folder of artifacts is gone at once for all who look for it."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    found = ARTIFACT.fullmatch(path.name)
    if found and not (found["state"] or "").startswith("removed"):
        names = (path.with_name(f"{found['print']}.removed-{number}") for number in itertools.count(1))
        aside = next(name for name in names if not name.exists())
        os.replace(path, aside)
        path = aside
    shutil.rmtree(path)


def _is_any_left(path: Path) -> bool:
    """Whether anything of this artifact's fingerprint is left beside it."""
    print_ = path.name.partition(".")[0]
    return any(other.name.partition(".")[0] == print_ for other in path.parent.iterdir())
