"""Artifacts by fingerprint: made aside, renamed into place last, checked by hash when they are used again.

artifacts/<kind>/<fingerprint>/            finished: data and manifest.json
artifacts/<kind>/<fingerprint>.partial/    at work, or left by an attempt that died: resumed
artifacts/<kind>/<fingerprint>.damaged-N/  a finished one whose data no longer matches its manifest

A manifest carries the hash of every file of the artifact, and since format 2 a seal: the hash of all it says itself.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from distill_app.store.files import is_aside, locked, sha256, write_json

WORK = "work"
FORMAT = 2
"""Of manifests. Those of format 1 have neither format nor seal, and are taken as they are."""
State = Literal["cached", "partial", "to_run"]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A finished artifact: its folder and what its manifest says."""

    folder: Path
    manifest: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Store:
    """The artifacts under one workspace folder (`.distill` by default)."""

    root: Path

    def folder(self, kind: str, fingerprint: str) -> Path:
        """Where the finished artifact lies, or will lie."""
        return self.root / "artifacts" / kind / fingerprint

    def partial(self, kind: str, fingerprint: str) -> Path:
        """The folder an attempt works in, made when absent; what an earlier attempt left is still there."""
        folder = self.folder(kind, fingerprint)
        partial = folder.with_name(folder.name + ".partial")
        partial.mkdir(parents=True, exist_ok=True)
        return partial

    def state(self, kind: str, fingerprint: str) -> State:
        """cached, partial (an attempt left work that will be resumed) or to_run. Reads no data."""
        folder = self.folder(kind, fingerprint)
        if (folder / "manifest.json").exists():
            return "cached"
        partial = folder.with_name(folder.name + ".partial")
        return "partial" if partial.is_dir() and any(partial.iterdir()) else "to_run"

    def manifest(self, kind: str, fingerprint: str) -> dict[str, Any] | None:
        """The manifest of a finished artifact, unchecked; None when there is none that can be read."""
        try:
            text = (self.folder(kind, fingerprint) / "manifest.json").read_text(encoding="utf-8")
            value = json.loads(text)
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def find(self, kind: str, fingerprint: str, damaged: Callable[[str], None]) -> Artifact | None:
        """The finished artifact, every file's hash checked, or None when it is to be made.

        An artifact that fails the check is renamed out of the way and `damaged` is told what was wrong.
        """
        folder = self.folder(kind, fingerprint)
        if not folder.is_dir():
            return None
        manifest = self.manifest(kind, fingerprint)
        what = fault(folder, manifest)
        if what is None and manifest is not None:
            shutil.rmtree(folder / WORK, ignore_errors=True)  # there where a kill came right after the renaming
            return Artifact(folder, manifest)
        names = (folder.with_name(f"{folder.name}.damaged-{number}") for number in itertools.count(1))
        aside = next(path for path in names if not path.exists())
        os.replace(folder, aside)
        damaged(f"{what}; set aside as {aside.name}, made again")
        return None

    def finish(self, kind: str, fingerprint: str, manifest: dict[str, Any]) -> Artifact:
        """Seal the partial folder: hash its files into the manifest, write that last, rename into place.

        What lies in its `work` folder (finished rows and checkpoints for an attempt that may die) is no part of
        the artifact, and is removed only after the rename: until then nothing can be lost.
        """
        partial = self.partial(kind, fingerprint)
        files = {}
        work = partial / WORK
        for path in sorted(item for item in partial.rglob("*") if item.is_file()):
            if path.is_relative_to(work) or path == partial / "manifest.json":
                continue
            if is_aside(path):  # half written by an attempt that was killed
                path.unlink()
                continue
            with path.open("rb") as file:
                os.fsync(file.fileno())
            files[path.relative_to(partial).as_posix()] = {
                "sha256": sha256(path),
                "bytes": path.stat().st_size,
            }
        manifest = json.loads(json.dumps({**manifest, "files": files, "format": FORMAT}))
        manifest["seal"] = _seal(manifest)
        write_json(partial / "manifest.json", manifest)
        folder = self.folder(kind, fingerprint)
        os.replace(partial, folder)
        _sync_folder(folder.parent)
        shutil.rmtree(folder / WORK, ignore_errors=True)
        return Artifact(folder, manifest)

    def lock(self, kind: str, fingerprint: str, waiting: Callable[[], None]) -> AbstractContextManager[None]:
        """The lock under which one process makes this artifact while others wait and then use it."""
        return locked(self.root / "locks" / f"{kind}-{fingerprint}", waiting)


def fault(folder: Path, manifest: dict[str, Any] | None) -> str | None:
    """What is wrong with the finished artifact in `folder`, every file's hash checked; None where nothing is."""
    if manifest is None:
        return "its manifest.json is missing or cannot be read"
    sealed = "seal" in manifest or "format" in manifest
    if sealed and manifest.get("seal") != _seal(manifest):
        return "its manifest.json differs from its seal"
    try:
        files = [(name, entry["bytes"], entry["sha256"]) for name, entry in manifest["files"].items()]
    except (KeyError, TypeError, AttributeError):
        return "its manifest.json lists no files"
    for name, length, digest in files:
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != length:
            return f"{name} has {path.stat().st_size} bytes, its manifest says {length}"
        if sha256(path) != digest:
            return f"{name} differs from its hash in the manifest"
    return None


def _seal(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of all that a manifest says beside the seal itself."""
    said = {key: value for key, value in manifest.items() if key != "seal"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
