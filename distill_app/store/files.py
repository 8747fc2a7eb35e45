"""Small file habits shared by the store: write aside and rename, hash, lock."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_ASIDE = re.compile(r"\..+\.\d+\.tmp")


def write_atomic(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step: a reader sees the old content or the new, never a part."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError:
        aside.unlink(missing_ok=True)  # a full disk needs the room
        raise


def write_json(path: Path, value: Any) -> None:
    """`write_atomic` with readable JSON."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def is_aside(path: Path) -> bool:
    """Whether a file is one that `write_atomic` was writing: where its process is gone, a kill left it."""
    return bool(_ASIDE.fullmatch(path.name))


def append_whole(file: io.FileIO, content: bytes) -> None:
    """Append to an unbuffered file all of `content` or, where the disk is full, nothing."""
    before = os.fstat(file.fileno()).st_size
    left = memoryview(content)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError:
        os.ftruncate(file.fileno(), before)
        raise


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

    The kernel frees the lock when the holder ends, however it ends: no stale lock keeps anybody waiting.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("a") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waiting:
                    waiting()
                    waiting = None
                fcntl.lockf(file, fcntl.LOCK_EX)
            if _is_still(path, file.fileno()):
                yield
                return


@contextmanager
def locked_now(path: Path) -> Iterator[bool]:
    """Hold the lock on the file `path` (made when absent) for the block if nobody else does; says whether.

    The holder may remove the file: those who wait for it notice, and lock the next one. A link is not followed and
    counts as held.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        yield False
        return
    try:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = _is_still(path, descriptor)
        except BlockingIOError:
            held = False
        yield held
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Whether another process holds the lock on `path`.

    Not to be asked by the holder itself: looking would free its lock.
    """
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the open file is the one that lies at `path`: whoever held the lock before may have removed it."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
