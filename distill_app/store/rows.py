"""Rows on disk: Parquet for finished artifacts, append-only JSON lines for work in progress."""

from __future__ import annotations

import dataclasses
import json
import os
import types
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from distill_app.recipe.model import build
from distill_app.store.files import cut_torn_line

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")


def write(path: Path, kind: type[T], rows: Sequence[T]) -> None:
    """Write dataclass instances as one Parquet file whose columns mirror the fields of `kind`.

    The same rows give the same bytes. No rows give a file with the columns and no rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    plain = [dataclasses.asdict(row) for row in rows]  # type: ignore[call-overload]
    columns = {name: pa.array([row[name] for row in plain], type=_arrow_type(hints[name])) for name in names}
    pq.write_table(pa.table(columns), path, compression="zstd")


def read(path: Path, kind: type[T]) -> list[T]:
    """The rows of a Parquet file written by `write`, as instances of `kind`, in the file's order."""
    import pyarrow.parquet as pq

    return [build(kind, row) for row in pq.read_table(path).to_pylist()]


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
    attempt died: it is cut off, and its row is made again. Every other line is whole.
    """

    def __init__(self, path: Path, kind: type[T]) -> None:
        self.path = path
        self.rows: list[T] = [build(kind, json.loads(line)) for line in cut_torn_line(path).splitlines()]
        self._file = path.open("ab")

    def append(self, rows: Iterable[T]) -> None:
        """Add finished rows; when this returns they survive a crash of the process and of the machine."""
        new = list(rows)
        lines = (json.dumps(dataclasses.asdict(row), ensure_ascii=False) for row in new)  # type: ignore[call-overload]
        self._file.write("".join(line + "\n" for line in lines).encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.rows.extend(new)

    def close(self) -> None:
        self._file.close()
