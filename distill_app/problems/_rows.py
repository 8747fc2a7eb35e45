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
    """A row that cannot be used; the text says why. Caught by the readers, never seen by a user.

    `kind` says it in a few words that are the same for every row of the kind: "no 'solution'".
    """

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(text)
        self.kind = kind


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
    except (ValueError, RecursionError) as error:
        return BadRow(f"the line is not JSON ({error})", "not JSON")
    if not isinstance(row, dict):
        return BadRow(f"the line holds a JSON {kind_of(row)}, not an object", "not an object")
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


def value_of(row: Row, column: str) -> Any:
    """What `column` holds: a column of that name, else, at dots, what lies inside (`choices.text`).

    Of a list of objects it is the list of what lies inside each. Raises `BadRow` where there is no such column.
    """
    if column in row:
        return row[column]
    value: Any = row
    for part in column.split("."):
        inner = value if isinstance(value, list) else [value]
        if not inner or not all(isinstance(item, Mapping) and part in item for item in inner):
            raise BadRow(_no_column(row, column), f"no {column!r}")
        value = [item[part] for item in value] if isinstance(value, list) else value[part]
    return value


def text_of(row: Row, column: str, *, numbers: bool = False) -> str:
    """The text in `column`, with white space at the ends removed. `numbers` lets a number stand for its text.

    Raises `BadRow` where the column is missing, empty, or of another type.
    """
    return as_text(value_of(row, column), column, numbers=numbers)


def as_text(value: object, column: str, *, numbers: bool = False) -> str:
    """`text_of` for a value that is at hand; `column` is what a `BadRow` names."""
    if numbers and isinstance(value, int | float) and not isinstance(value, bool):
        return str(int(value)) if isinstance(value, int) or value.is_integer() else repr(value)
    if not isinstance(value, str):
        what = kind_of(value)
        raise BadRow(f"column {column!r} holds {article(what)}, not text", f"{column!r} holds {article(what)}")
    if not value.strip():
        raise BadRow(f"column {column!r} is empty", f"{column!r} is empty")
    return value.strip()


def _no_column(row: Row, column: str) -> str:
    inside = [f"{outer}.{inner}" for outer, value in row.items() if isinstance(value, Mapping) for inner in value]
    near = difflib.get_close_matches(column, [*map(str, row), *inside], n=1, cutoff=0.5)
    guess = f"; did you mean {near[0]!r}?" if near else "."
    return f"there is no column {column!r}{guess} The columns are {', '.join(map(repr, row))}"


def kind_of(value: object) -> str:
    """The type of a value in the words of JSON."""
    names = {"NoneType": "null", "bool": "boolean", "dict": "object", "int": "number", "float": "number"}
    return names.get(type(value).__name__, "string" if isinstance(value, str) else type(value).__name__)


def article(kind: str) -> str:
    """ "a list", "an object"."""
    return f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"


def file_hash(path: Path) -> str:
    """SHA-256 of the file's bytes, in hex. Raises `StageError` where there is no such file."""
    if not path.is_file():
        raise StageError(f"There is no file {path}.", "Check the path in the recipe.")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
