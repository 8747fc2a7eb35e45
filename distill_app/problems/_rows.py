"""Rows of JSON Lines and Parquet files, each with its line number, and the checks every reader makes on them."""

from __future__ import annotations

import difflib
import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from distill_app.errors import StageError

Row = Mapping[str, Any]


class BadRow(Exception):
    """A row that cannot be used; the text says why. Caught by the readers, never seen by a user."""


def refused(where: str, fault: BadRow) -> StageError:
    """The error of a bad row at `where` that the recipe does not allow to be skipped."""
    return StageError(f"{where}: {fault}.", "Mend the row, name the right column under fields, or set bad_rows: skip.")


def read_rows(path: Path) -> Iterator[tuple[int, Row | BadRow]]:
    """Each row of a .jsonl, .jsonl.gz or .parquet file with its line (or row) number from 1.

    Blank lines are passed over. A line that is no JSON object comes as a `BadRow`. Raises `StageError` where the
    file is missing, is a folder, or is damaged as a whole.
    """
    if not path.is_file():
        raise StageError(
            f"There is no file {path}.",
            "A path in a recipe is relative to the recipe's folder; one given by --set, to the working folder.",
        )
    if path.name.endswith(".parquet"):
        yield from _parquet_rows(path)
        return
    for number, line in lines_of(path):
        yield number, _json_row(line)


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a text file, gzipped or not, that are not blank, with their numbers from 1."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise StageError(f"{path} is not a whole gzip file: {error}.", "Fetch or write it again.") from error


def _json_row(line: bytes) -> Row | BadRow:
    try:
        row = json.loads(line)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        return BadRow(f"the line is not JSON ({error})")
    if not isinstance(row, dict):
        return BadRow(f"the line holds a JSON {_kind(row)}, not an object")
    return row


def _parquet_rows(path: Path) -> Iterator[tuple[int, Row | BadRow]]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except pyarrow.ArrowException as error:
        raise StageError(f"{path} is not a readable Parquet file: {error}.", "Write it again.") from error


def text_of(row: Row, column: str, *, numbers: bool = False) -> str:
    """The text in `column`, with white space at the ends removed. `numbers` lets a number stand for its text.

    Raises `BadRow` where the column is missing, empty, or of another type.
    """
    if column not in row:
        near = difflib.get_close_matches(column, [str(name) for name in row], n=1, cutoff=0.5)
        guess = f"; did you mean {near[0]!r}?" if near else "."
        raise BadRow(f"there is no column {column!r}{guess} The columns are {', '.join(map(repr, row))}")
    value = row[column]
    if numbers and isinstance(value, int | float) and not isinstance(value, bool):
        return str(int(value)) if float(value).is_integer() else repr(value)
    if not isinstance(value, str):
        raise BadRow(f"column {column!r} holds a {_kind(value)}, not text")
    if not value.strip():
        raise BadRow(f"column {column!r} is empty")
    return value.strip()


def _kind(value: object) -> str:
    names = {"NoneType": "null", "bool": "boolean", "dict": "object", "int": "number", "float": "number"}
    return names.get(type(value).__name__, "string" if isinstance(value, str) else type(value).__name__)


def file_hash(path: Path) -> str:
    """SHA-256 of the file's bytes, in hex. Raises `StageError` where there is no such file."""
    if not path.is_file():
        raise StageError(f"There is no file {path}.", "Check the path in the recipe.")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
