"""The file of a bundle: a small zip with known names, the same bytes for the same content, and read with distrust.

Nothing is ever unpacked to disk: entries are read into memory by the names that a bundle can have, up to a limit that
is counted while they are decompressed. So an entry has no say in where anything is written, and no small file can grow.
"""

from __future__ import annotations

import io
import json
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill_app.errors import UsageError

SUFFIX = ".bundle"
LARGEST_FILE_BYTES = 8 * 1024 * 1024
LARGEST_ENTRY_BYTES = 16 * 1024 * 1024
LARGEST_TOTAL_BYTES = 32 * 1024 * 1024
"""Of the whole file, of one entry, and of all entries together, the last two after decompressing."""
MOST_ENTRIES = 16
DEEPEST = 40
_TIME = (1980, 1, 1, 0, 0, 0)
_END = struct.Struct("<4s4H2LH")
"""The end record of a zip without a comment: signature, disks, entries here and in all, directory's size and place."""
_DIRECTORY_BYTES = 4096
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def pack(entries: Mapping[str, bytes]) -> bytes:
    """A zip of these entries: names sorted, times and rights fixed, so that the same entries give the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, _TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            file.writestr(info, entries[name], compresslevel=9)
    return packed.getvalue()


def read(path: Path) -> bytes:
    """The bytes of a bundle's file. Raises `UsageError` for one larger than a bundle may be."""
    with path.open("rb") as file:
        raw = file.read(LARGEST_FILE_BYTES + 1)
    if len(raw) > LARGEST_FILE_BYTES:
        raise _refused(path, f"is larger than {LARGEST_FILE_BYTES >> 20} MiB")
    return raw


def unpack(path: Path, raw: bytes, known: frozenset[str]) -> dict[str, bytes]:
    """The entries of a bundle by name, each of them a `known` name. Raises `UsageError` for anything else."""
    _check_end(path, raw)
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as file:
            return _entries(path, file, known)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, struct.error, OSError) as error:
        raise _refused(path, f"is damaged ({error})") from error


def value(path: Path, name: str, raw: bytes) -> Any:
    """An entry as JSON. Raises `UsageError` where it is none, is nested too deep, or holds control characters."""
    try:
        found = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
        _check(found, 0)
    except (ValueError, RecursionError) as error:
        raise _refused(path, f"holds a {name} that cannot be read ({error})") from error
    return found


def text(path: Path, name: str, raw: bytes) -> str:
    """An entry as text. Raises `UsageError` where it is not UTF-8 or holds control characters."""
    try:
        found = raw.decode("utf-8")
        _check(found, 0)
    except ValueError as error:
        raise _refused(path, f"holds a {name} that cannot be read ({error})") from error
    return found


def _check_end(path: Path, raw: bytes) -> None:
    """Refuse a crowded directory before anything makes a list of it."""
    if raw[:4] != b"PK\x03\x04" or len(raw) < _END.size:
        raise _refused(path, "is not a bundle")
    signature, disk, first_disk, here, entries, directory, _, comment = _END.unpack(raw[-_END.size :])
    if signature != b"PK\x05\x06" or comment or disk or first_disk or here != entries:
        raise _refused(path, "does not end as a bundle does: it is cut off, or something is appended to it")
    if entries > MOST_ENTRIES or directory > _DIRECTORY_BYTES or raw[-_END.size - 20 :][:4] == b"PK\x06\x07":
        raise _refused(path, f"holds more than {MOST_ENTRIES} files")


def _entries(path: Path, file: zipfile.ZipFile, known: frozenset[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    left = LARGEST_TOTAL_BYTES
    for info in file.infolist():
        name = info.filename
        if name not in known or info.orig_filename != name:
            raise _refused(path, f"holds {name[:80]!r}, which no bundle holds")
        if name in found:
            raise _refused(path, f"holds {name} twice")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.flag_bits & 0x1 or info.compress_type not in _KINDS or kind not in (0, stat.S_IFREG):
            raise _refused(path, f"holds {name} as something other than a plain file")
        limit = min(LARGEST_ENTRY_BYTES, left)
        with file.open(info) as entry:
            content = entry.read(limit + 1)
        if len(content) > limit or info.file_size > limit:
            raise _refused(path, f"holds more than {limit >> 20} MiB in {name}")
        found[name] = content
        left -= len(content)
    return found


def clean(found: Any) -> Any:
    """Plain data or text with every control character, which a bundle may not hold, as U+FFFD."""
    if isinstance(found, str):
        return _CONTROL.sub("\ufffd", found)
    if isinstance(found, Mapping):
        return {clean(key): clean(item) for key, item in found.items()}
    if isinstance(found, list | tuple):
        return [clean(item) for item in found]
    return found


def _check(found: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")
    if isinstance(found, str):
        bad = _CONTROL.search(found)
        if bad is not None:
            # A terminal would obey it.
            raise ValueError(f"it holds the control character U+{ord(bad[0]):04X}")
    elif isinstance(found, dict):
        for key, item in found.items():
            _check(key, depth + 1)
            _check(item, depth + 1)
    elif isinstance(found, list):
        for item in found:
            _check(item, depth + 1)
    elif isinstance(found, float) and found in (float("inf"), float("-inf")):
        raise ValueError("it holds a number beyond all limits")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _refused(path: Path, what: str) -> UsageError:
    return UsageError(
        f"{path} {what}, and is not opened.",
        "Ask for the file again; distill-app bundle RUN writes one.",
    )
