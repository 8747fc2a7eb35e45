"""What in a workspace nothing refers to any more.

    artifacts/<kind>/<fingerprint>             a finished artifact that no run refers to
                    /<fingerprint>.partial     work left by an attempt that no run will go on with
                    /<fingerprint>.damaged-N   what was set aside
                    /<fingerprint>.removed-N   what a killed `clean` had begun to remove
    locks/<kind>-<fingerprint>                 of an artifact that no run refers to
    runs/.<id>.new                             a run that died before it was written down
    jobs/<n>, recipes/.run-<n>                 of jobs of the web page that have ended, the newest one excepted
    recipes/.text-*, uploads/*                 what the page put aside for a moment
    **/.<name>.<pid>.tmp                       a file that was being written when its process was killed

Links are never followed and never listed; what a living process holds a lock on is not either.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from distill_app.store.files import is_aside, is_locked
from distill_app.store.references import References

MOMENT_SECONDS = 3600
"""What is written in one go and has not been touched for so long was left by a process that died."""
UPLOAD_SECONDS = 24 * 3600
"""Uploads are read when they come; a server may show one again from its folder for as long as its page is open."""

ARTIFACT = re.compile(r"(?P<print>[0-9a-f]{16})(?:\.(?P<state>partial|damaged-\d+|removed-\d+))?")
LOCK = re.compile(r"(?P<kind>[a-z_]+)-(?P<print>[0-9a-f]{16})")
_NEW_RUN = re.compile(r"\.\d{8}-\d{6}-[0-9a-f]{6}\.new")
_JOB_RECIPE = re.compile(r"\.run-(\d+)")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is left over: what it is, where (relative to the workspace), and its bytes."""

    what: str
    path: str
    bytes: int


def left_over(root: Path, references: References, keep: Callable[[str], None]) -> Iterator[Item]:
    """Everything in the workspace that nothing refers to; `keep` is told of what was passed over, and why."""

    def item(what: str, path: Path) -> Item:
        return Item(what, path.relative_to(root).as_posix(), _bytes(path))

    for kind in _folders(root / "artifacts", keep):
        for path in _folders(kind, keep):
            what = artifact_left(path, references)
            if what and is_locked(lock_of(root, path)):
                keep(f"{path.relative_to(root)} is being worked on.")
            elif what:
                yield item(what, path)
    for path in _files(root / "locks", keep):
        found = LOCK.fullmatch(path.name)
        if found and not references.holds(found["kind"], found["print"]) and not is_locked(path):
            yield item("lock", path)
    for path in _folders(root / "runs", keep):
        if _NEW_RUN.fullmatch(path.name) and _age(path) > MOMENT_SECONDS:
            yield item("run that never began", path)
    jobs = _Jobs(root, keep)
    for path in jobs.ended:
        yield item("job that has ended", path)
    for path in _files(root / "recipes", keep):
        named = _JOB_RECIPE.fullmatch(path.name)
        if named and path.name not in jobs.recipes:
            yield item("recipe of a job that has ended", path)
        elif path.name.startswith(".text-") and _age(path) > MOMENT_SECONDS:
            yield item("recipe put aside", path)
    texts = _texts(root)
    for path in [*_folders(root / "uploads", keep), *_files(root / "uploads", keep)]:
        if _age(path) > UPLOAD_SECONDS and not any(path.name in text for text in texts):
            yield item("upload", path)
    places = [root, root / "recipes", *_folders(root / "runs", keep), *_folders(root / "jobs", keep)]
    for path in (path for place in places for path in _files(place, keep)):
        if is_aside(path) and _age(path) > MOMENT_SECONDS:
            yield item("half-written file", path)


def artifact_left(path: Path, references: References) -> str | None:
    """What an entry of artifacts/<kind> is, if it is left over."""
    found = ARTIFACT.fullmatch(path.name)
    if found is None:
        return None
    state = found["state"] or ""
    if state.startswith("damaged"):
        return "damaged artifact"
    if state.startswith("removed"):
        return "half-removed artifact"
    if state and path.with_name(found["print"]).is_dir():
        return "unfinished work"  # there is a finished artifact: nobody goes on with this
    if references.holds(path.parent.name, found["print"]):
        return None
    return "unfinished work" if state else "artifact"


class _Jobs:
    """Jobs of the web page (ui/jobs.py): the folders of those that have ended, and the recipes of the others.

    The newest one stays: the number of the next is one above it.
    """

    def __init__(self, root: Path, keep: Callable[[str], None]) -> None:
        folders = [path for path in _folders(root / "jobs", keep) if path.name.isdecimal()]
        self.ended = [path for path in folders[:-1] if has_ended(path)]
        going = [path for path in folders if path not in self.ended]
        self.recipes = {f".run-{path.name}" for path in going} | {name for path in going for name in _named(path)}


def has_ended(job: Path) -> bool:
    """Whether a job of the web page is over: it ended, or it had begun and its process is gone."""
    ended = (job / "ended.json").exists() or (job / "began").exists()
    return ended and not is_locked(job / "lock")


def _named(job: Path) -> list[str]:
    """The recipe file in a job's command: a job that was issued again has that of another."""
    try:
        command = json.loads((job / "job.json").read_text(encoding="utf-8"))["command"]
        return [Path(str(word)).name for word in command[:1]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _folders(folder: Path, keep: Callable[[str], None]) -> list[Path]:
    return [path for path in _entries(folder, keep) if path.is_dir()]


def _files(folder: Path, keep: Callable[[str], None]) -> list[Path]:
    return [path for path in _entries(folder, keep) if path.is_file()]


def _entries(folder: Path, keep: Callable[[str], None]) -> Iterator[Path]:
    """What lies in a folder, by name; links are told of and left out, and a link to a folder is no folder."""
    if folder.is_symlink():
        keep(f"{folder.name} is a link and is not followed.")
        return
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            keep(f"{folder.name}/{path.name} is a link and is left alone.")
        else:
            yield path


def _bytes(path: Path) -> int:
    """Bytes of a file, or of all files under a folder; links count as what they are, not as what they lead to."""
    if not path.is_dir():
        return path.lstat().st_size
    return sum(
        (Path(folder) / name).lstat().st_size for folder, _, names in os.walk(path, followlinks=False) for name in names
    )


def _age(path: Path) -> float:
    """Seconds since a file or folder was last changed."""
    return time.time() - path.lstat().st_mtime


def _texts(root: Path) -> list[str]:
    """All recipes of the workspace as they are written."""
    paths = [*(root / "recipes").glob("*.yaml"), *(root / "runs").glob("*/*.yaml")]
    return [path.read_text(encoding="utf-8", errors="replace") for path in paths if path.is_file()]


def lock_of(root: Path, path: Path) -> Path:
    """The lock of an entry of artifacts/<kind>."""
    return root / "locks" / f"{path.parent.name}-{path.name.partition('.')[0]}"
