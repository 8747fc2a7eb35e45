"""A number that the data already hold about each trace, as its quality: a reward, a rating, a pass rate.

Released traces carry the numbers of their files (`teachers/traces.py`); no model is run and nothing is judged here.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from distill_app.errors import StageError
from distill_app.records import Quality, Trace, Verdict

VERSION = 1
MODEL = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Mirrors schemas/quality/column.json."""

    column: str


def score(rows: Sequence[tuple[Trace, Verdict]], options: Options) -> list[Quality]:
    """The column's number for each trace, in order, as it is.

    Raises `StageError` where a trace has no such number, or one that is not finite: a guess would rank it.
    """
    column = options.column
    numbers = {trace.id: dict(trace.numbers).get(column) for trace, _ in rows}
    found = {name: value for name, value in numbers.items() if value is not None}
    if lacking := [name for name in numbers if name not in found]:
        raise StageError(
            f"{len(lacking)} of {len(numbers)} traces have no number in the column {column!r}, for example "
            f"{lacking[0]}.",
            _columns(rows, column),
        )
    if odd := [name for name, value in found.items() if not math.isfinite(value)]:
        raise StageError(
            f"{len(odd)} of {len(numbers)} traces hold no finite number in the column {column!r}, for example "
            f"{odd[0]}: {found[odd[0]]}.",
            "Mend or remove these rows of the file.",
        )
    return [Quality(name, value) for name, value in found.items()]


def survey(scores: Sequence[Quality]) -> dict[str, int]:  # noqa: ARG001 - the scorers' contract
    """Nothing to tell: every trace has its number, or `score` has refused them."""
    return {}


def _columns(rows: Sequence[tuple[Trace, Verdict]], column: str) -> str:
    """What can be named instead."""
    counts: dict[str, int] = {}
    for trace, _ in rows:
        for name, _ in trace.numbers:
            counts[name] = counts.get(name, 0) + 1
    if not counts:
        return "No trace holds a number. Take traces from files that have such a column, or another quality.scorer."
    whole = sorted(name for name, count in counts.items() if count == len(rows))
    part = sorted(name for name, count in counts.items() if count < len(rows))
    near = difflib.get_close_matches(column, whole, n=1, cutoff=0.5)
    said = [f"Did you mean {near[0]}?"] if near else []
    said += [f"Columns with a number in every row: {', '.join(whole)}."] if whole else []
    said += [f"In some rows only: {', '.join(part)}."] if part else []
    return " ".join(said)
