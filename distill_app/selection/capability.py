"""The student's capability: how familiar it is with good traces of the pool, on a scale from 0 to 1.

The paper (DMC, 1.7 of our method notes) draws a placement test from the best traces and says that the value comes
from how well the student predicts them; its Eq. 2 is not recoverable, so every definition here is inferred. It is
familiarity with this kind of text, not accuracy.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_app.errors import StageError


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map of absolute values to [0, 1], fixed for a run: `low` becomes 0, `high` 1, clipped beyond."""

    definition: str
    low: float
    high: float

    def capability(self, nlls: Sequence[float]) -> float:
        """Capability from the mean NLL a token (nats, after the question) of each row of the placement test."""
        return min(1.0, max(0.0, (absolute(nlls, self.definition) - self.low) / (self.high - self.low)))


def absolute(nlls: Sequence[float], definition: str) -> float:
    """The absolute value, inferred: higher is more familiar. `nlls` are ln CPPL of the rows of the test.

    Raises `StageError` where there is no row, or one whose NLL is no number.
    """
    if not nlls:
        raise StageError("The placement test has no row.", "Raise capability.rows, or make the pool larger.")
    bad = sum(not math.isfinite(nll) for nll in nlls)
    if bad:
        raise StageError(
            f"{bad} of {len(nlls)} rows of the placement test have no finite score under the student.",
            "Set student.dtype to float32, or look at the student: its output is not a number.",
        )
    if definition == "mean_inverse_cppl":
        return sum(math.exp(-nll) for nll in nlls) / len(nlls)
    if definition == "minus_mean_ln_cppl":
        return -sum(nlls) / len(nlls)
    return len(nlls) / sum(math.exp(nll) for nll in nlls)


def scale(settings: Mapping[str, Any], nlls: Sequence[float], table: Path | None) -> Scale:
    """The scale of a run. `settings` is the recipe's `capability`, `nlls` the untrained student's.

    Raises `StageError` where `population` has fewer than two different values, this pair's own included.
    """
    definition = settings["definition"]
    if settings["mode"] == "anchors":
        return Scale(definition, settings["low"], settings["high"])
    values = [absolute(nlls, definition)]
    for row in _table(table):
        if row["definition"] == definition:
            values.append(row["absolute"])
    if max(values) - min(values) < 1e-9:
        raise StageError(
            f"The population of {len(values)} values in capability.table spans nothing: a linear map needs two"
            " different ones.",
            f"Add the placement.jsonl of runs with other students or pools, made with definition {definition},"
            " or set capability.mode to anchors.",
        )
    return Scale(definition, min(values), max(values))


def _table(path: Path | None) -> list[dict[str, Any]]:
    if path is None:
        raise StageError("capability.mode is population and there is no capability.table.", "Name the file.")
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            found.append({"definition": str(row["definition"]), "absolute": float(row["absolute"])})
        except (ValueError, KeyError, TypeError) as error:
            raise StageError(
                f"{path}, line {number}: expected {{student, pool, definition, absolute}} ({error!r}).",
                "Each run leaves such a line in placement.jsonl beside its selection.",
            ) from None
    return found
