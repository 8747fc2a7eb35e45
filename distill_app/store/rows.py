"""Rows on disk: Parquet for finished artifacts, append-only JSON lines for work in progress."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import types
import typing
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from distill_app.errors import StageError
from distill_app.recipe.model import build, convert
from distill_app.store.files import append_whole, cut_torn_line

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
_CHECKED = re.compile(rb'(\{.*), "crc": "([0-9a-f]{8})"\}', re.DOTALL)


def write(path: Path, kind: type[T], rows: Sequence[T]) -> None:
    """Write dataclass instances as one Parquet file whose columns mirror the fields of `kind`.

    The same rows give the same bytes. No rows give a file with the columns and no rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    columns = {name: pa.array(_column(rows, name, hints[name]), type=_arrow_type(hints[name])) for name in names}
    pq.write_table(pa.table(columns), path, compression="zstd")


def read(path: Path, kind: type[T], only: str | None = None) -> list[T]:
    """The rows of a Parquet file written by `write`, as instances of `kind`, in the file's order.

    `only` takes the row of that id alone. `StageError` where the file is missing or damaged. (A run looks at hashes
    first; this is for whoever reads without one, and cannot notice what leaves the file readable.)
    """
    table = _table(path, only=only)
    hints = typing.get_type_hints(kind)
    names = table.column_names
    if extra := set(names) - {field.name for field in dataclasses.fields(kind)}:  # type: ignore[arg-type]
        raise TypeError(f"{kind.__name__} has no field {sorted(extra)}")
    columns: list[list[Any]] = []
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name in names:
            columns.append(_values_of(table[field.name], hints[field.name]))
        elif field.default is not dataclasses.MISSING:  # the file is older than the field
            columns.append([field.default] * table.num_rows)
        else:
            raise TypeError(f"{path} has no column {field.name!r}")
    return list(itertools.starmap(kind, zip(*columns, strict=True)))


def column(path: Path, name: str) -> list[Any]:
    """One column of such a file, as plain data; the others are not read."""
    values: list[Any] = _table(path, columns=[name])[name].to_pylist()
    return values


def _table(path: Path, columns: list[str] | None = None, only: str | None = None) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        if only is not None:
            return pq.read_table(path, filters=[("id", "=", only)])
        with pq.ParquetFile(path) as file:  # read_table would import pandas first
            if missing := set(columns or ()) - set(file.schema_arrow.names):
                raise ValueError(f"no column {sorted(missing)}")
            return file.read(columns)
    except (pa.ArrowException, OSError, ValueError) as error:
        what = "is damaged" if path.exists() else "is missing"
        raise StageError(f"{path} {what}.", "Issue the run's recipe again: it is noticed and made again.") from error


def _column(rows: Sequence[Any], name: str, hint: Any) -> list[Any]:
    """A field of every row as plain data. Text, numbers and tuples of them are that already."""
    values = [getattr(row, name) for row in rows]
    return [_plain(value) for value in values] if _holds_rows(hint) else values


def _holds_rows(hint: Any) -> bool:
    return dataclasses.is_dataclass(hint) or any(map(_holds_rows, typing.get_args(hint)))


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]


def _values_of(column: pa.ChunkedArray, hint: Any) -> list[Any]:
    """A column as what the field holds. Text, numbers and flags are that already."""
    values: list[Any] = column.to_pylist()
    plain = {option for option in typing.get_args(hint) or (hint,) if option is not type(None)}
    if plain <= {str, int, bool} or (plain == {float} and str(column.type) == "double"):
        return values
    return [convert(hint, value) for value in values]


def _arrow_type(hint: Any) -> pa.DataType:
    import pyarrow as pa

    scalars = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    if hint in scalars:
        return scalars[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _arrow_type(next(option for option in arguments if option is not type(None)))
    if origin is tuple and typing.get_origin(arguments[0]) is tuple:
        key, value = typing.get_args(arguments[0])
        return pa.map_(_arrow_type(key), _arrow_type(value))
    if origin is tuple:
        return pa.list_(_arrow_type(arguments[0]))
    if dataclasses.is_dataclass(hint):
        inner = typing.get_type_hints(hint)
        return pa.struct([(field.name, _arrow_type(inner[field.name])) for field in dataclasses.fields(hint)])
    raise TypeError(f"no Parquet column type for {hint}")


class RowLog(Generic[T]):
    """Finished rows of a stage still at work: one JSON line each, appended and synced batch by batch.

    Opening it reads what an earlier attempt left. A last line without its newline was being written when that
    attempt died: it is cut off, and its row is made again. Every other line is whole, and carries a checksum to
    prove it; one that is not is `mend`'s to find, before the log is opened. Here it is a `StageError`.
    """

    def __init__(self, path: Path, kind: type[T]) -> None:
        self.path = path
        self.rows: list[T] = []
        for number, line in enumerate(cut_torn_line(path).splitlines(), 1):
            try:
                self.rows.append(build(kind, _values(line)))
            except (ValueError, TypeError) as error:
                raise StageError(
                    f"Line {number} of {path} is no finished row ({error}).",
                    "Remove that file: its rows are made again.",
                ) from error
        self._file = path.open("ab", buffering=0)

    def append(self, rows: Iterable[T]) -> None:
        """Add finished rows; when this returns they survive a crash of the process and of the machine."""
        new = list(rows)
        append_whole(self._file, b"".join(_line(dataclasses.asdict(row)) for row in new))  # type: ignore[call-overload]
        os.fsync(self._file.fileno())
        self.rows.extend(new)

    def close(self) -> None:
        self._file.close()


def mend(path: Path) -> str | None:
    """Take the lines out of a row log that are damaged, so that their rows are made again.

    Returns what was wrong, for the person to read, or None where nothing was. A torn last line is no damage.
    """
    lines = cut_torn_line(path).splitlines(keepends=True)
    bad = {number for number, line in enumerate(lines, 1) if not _is_whole(line)}
    if not bad:
        return None
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    aside.write_bytes(b"".join(line for number, line in enumerate(lines, 1) if number not in bad))
    os.replace(aside, path)
    shown = ", ".join(map(str, sorted(bad)[:5])) + (", ..." if len(bad) > 5 else "")
    return (
        f"{len(bad)} of the {len(lines)} finished rows in {path.name} cannot be read (line {shown}); "
        "taken out, made again"
    )


def _line(row: dict[str, Any]) -> bytes:
    """A row as a line of JSON whose last key is the checksum of all before it."""
    text = json.dumps(row, ensure_ascii=False).encode()
    return b'%s, "crc": "%08x"}\n' % (text[:-1], zlib.crc32(text))


def _values(line: bytes) -> dict[str, Any]:
    """What a line says, its checksum checked: else `ValueError`."""
    found = _CHECKED.fullmatch(line.rstrip(b"\n"))
    if found is None:
        raise ValueError("it has no checksum")
    text = found[1] + b"}"
    if zlib.crc32(text) != int(found[2], 16):
        raise ValueError("it differs from its checksum")
    values: dict[str, Any] = json.loads(text)
    return values


def _is_whole(line: bytes) -> bool:
    try:
        _values(line)
    except ValueError:
        return False
    return True
