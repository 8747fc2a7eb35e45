"""Pass rates, which may be unknown for some rows: a problem the student was not asked, a number the data lack."""

from __future__ import annotations

import dataclasses
import difflib
from typing import TYPE_CHECKING

from distill_app.errors import StageError
from distill_app.selectors import Candidates, signal

if TYPE_CHECKING:
    from distill_app.selectors import Floats

NUMBERS = "numbers."


def rates(pool: Candidates, name: str) -> Floats:
    """The pass rates of the signal `name`, NaN where a row has none: the selector then leaves that row out.

    Raises `StageError` where the signal is missing, NaN in every row, or outside [0, 1].
    """
    import numpy as np

    if name not in pool.signals and name.startswith(NUMBERS):
        columns = [key.removeprefix(NUMBERS) for key in pool.signals if key.startswith(NUMBERS)]
        wanted = name.removeprefix(NUMBERS)
        near = difflib.get_close_matches(wanted, columns, 1, 0.5)
        raise StageError(
            f"The data hold no numbers in a column {wanted!r}; they have {', '.join(sorted(columns)) or 'none'}.",
            f"Did you mean {near[0]!r}?" if near else "Name one of these, or read the column with the traces.",
        )
    if name not in pool.signals:
        return signal(pool, name)
    values = np.asarray(pool.signals[name], dtype=np.float64)
    unknown = np.isnan(values)
    if unknown.all():
        return signal(pool, name)
    filled = dataclasses.replace(pool, signals={name: np.where(unknown, 0.0, values)}, reference=None)
    wrong = np.flatnonzero((signal(filled, name) < 0) | (signal(filled, name) > 1))
    if len(wrong):
        row = min(wrong.tolist(), key=lambda position: pool.ids[position])
        raise StageError(
            f"The pass rate {name!r} is outside 0 to 1 in {len(wrong)} of {len(values)} candidates, such as"
            f" {pool.ids[row]!r} ({values[row]:g}).",
            "A pass rate is a share of right answers: name another column, or divide it in the data.",
        )
    return values
