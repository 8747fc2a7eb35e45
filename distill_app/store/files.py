"""Small file habits shared by the store: write aside and rename, hash, lock."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_atomic(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step: a reader sees the old content or the new, never a part."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def write_json(path: Path, value: Any) -> None:
    """`write_atomic` with readable JSON."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def cut_torn_line(path: Path) -> bytes:
    """The whole lines of an append-only file; a last line that a crash left half written is cut off the file.

    An absent file reads as empty.
    """
    if not path.exists():
        return b""
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    if len(whole) != len(raw):
        os.truncate(path, len(whole))
    return whole


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold an exclusive lock on the file `path` (made when absent); `waiting` is called once if another has it.

    The kernel frees the lock when the holder ends, however it ends: there is no stale lock to remove.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                waiting()
            fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def is_locked(path: Path) -> bool:
    """Whether another process holds the lock on `path`."""
    if not path.exists():
        return False
    with path.open("a") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.lockf(file, fcntl.LOCK_UN)
        return False
