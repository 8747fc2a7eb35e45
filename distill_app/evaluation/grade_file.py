"""Grading a file of anybody's rows: `distill-app grade FILE.jsonl`.

A row is a JSON object with `id` (text or a whole number), `gold` and `prediction` (text or a number), and perhaps
`kind` and `tolerance` (see `kinds`); other keys are ignored. A prediction may be a whole completion, a short answer,
"" or null (both are `no_answer`).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distill_app.errors import UsageError
from distill_app.evaluation.grading import Answerable, Progress, grade
from distill_app.evaluation.kinds import KINDS

SHAPE = 'One JSON object a line: {"id": "a", "gold": "1/2", "prediction": "So it is \\\\boxed{0.5}."}'


def grade_file(
    path: Path, *, workers: int | None, limit_seconds: float, progress: Progress | None = None
) -> Iterator[dict[str, Any]]:
    """A `{id, verdict, extracted, rule}` for each row of a .jsonl or .jsonl.gz file, in the file's order.

    `verdict` is correct, wrong, no_answer or timeout; ids come back as they were given (a number stays a number).
    Everything is read, and refused with a `UsageError` that names file and line, before anything is graded.
    """
    given = list(_rows(path))
    verdicts = grade([row for _, row in given], workers=workers, limit_seconds=limit_seconds, progress=progress)
    for (row_id, _), verdict in zip(given, verdicts, strict=True):
        yield {"id": row_id, "verdict": verdict.verdict, "extracted": verdict.extracted, "rule": verdict.rule}


def _rows(path: Path) -> Iterator[tuple[str | int, Answerable]]:
    seen: dict[str, int] = {}
    for number, line in enumerate(_lines(path), start=1):
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UsageError(f"{where} is no JSON: {error}.", SHAPE) from error
        if not isinstance(row, dict):
            raise UsageError(f"{where} is no JSON object.", SHAPE)
        row_id, answerable = _row(row, where)
        if (first := seen.setdefault(answerable.id, number)) != number:
            raise UsageError(
                f"{where} has the id {row_id!r}, which line {first} has already.", "Give every row an id of its own."
            )
        yield row_id, answerable
    if not seen:
        raise UsageError(f"{path} has no rows.", SHAPE)


def _lines(path: Path) -> list[str]:
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        # Not splitlines: a JSON text may hold the other line ends of Unicode.
        return data.decode("utf-8-sig").split("\n")
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.", "Check the path.") from None
    except (OSError, EOFError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", "Give a .jsonl or .jsonl.gz file.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8: {error}.", "Save it as UTF-8.") from error


def _row(row: dict[str, Any], where: str) -> tuple[str | int, Answerable]:
    missing = [key for key in ("id", "gold", "prediction") if key not in row]
    if missing:
        raise UsageError(f"{where} has no {' and no '.join(missing)}.", SHAPE)
    row_id = row["id"]
    if not isinstance(row_id, str | int) or isinstance(row_id, bool) or row_id == "":
        raise UsageError(f"{where}: id must be text or a whole number, not {row_id!r}.", SHAPE)
    gold = _text(row["gold"], "gold", where)
    if not gold.strip():
        raise UsageError(f"{where}: gold is empty.", "There is no right answer to compare with: leave the row out.")
    prediction = "" if row["prediction"] is None else _text(row["prediction"], "prediction", where)
    kind = row.get("kind") or "auto"
    if kind not in KINDS:
        raise UsageError(f"{where}: kind must be one of {', '.join(KINDS)}, not {kind!r}.", "")
    tolerance = row.get("tolerance")
    if tolerance is not None:
        number = isinstance(tolerance, int | float) and not isinstance(tolerance, bool)
        if not number or not 0 <= tolerance < float("inf"):
            raise UsageError(f"{where}: tolerance must be a number, 0 or above, not {tolerance!r}.", "")
        tolerance = float(tolerance)
    return row_id, Answerable(str(row_id), prediction, gold, kind, tolerance)


def _text(value: object, key: str, where: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{where}: {key} must be text or a number, not {json.dumps(value)[:60]}.", SHAPE)
    return repr(value) if isinstance(value, float) else str(value)
