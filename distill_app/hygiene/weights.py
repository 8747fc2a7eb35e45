"""Teachers in proportion: as many rows of each as their weights and the rows there are allow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction

from distill_app.errors import StageError
from distill_app.hygiene import Removed
from distill_app.records import Trace
from distill_app.seeds import derive


def counts(rows: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, int]:
    """The largest whole counts in the proportions of `weights` that `rows` (by teacher) has; each rounded down.

    With 100 rows of a and 50 of b, weights 1 and 2 take 25 and 50. Raises `StageError` where a teacher with a weight
    has no row: in any proportion to none the others have none.
    """
    shares = {teacher: Fraction(str(weight)) for teacher, weight in weights.items()}
    without = sorted(teacher for teacher in shares if not rows.get(teacher))
    if without:
        raise StageError(
            f"The pool's other rules leave no row of {', '.join(without)}, which has a weight: in proportion to"
            " nothing, the other teachers with a weight would have no rows either.",
            "Set its weight to null, loosen pool.keep, or take the teacher out. `distill-app show latest` counts the"
            " rows by reason.",
        )
    scale = min((rows[teacher] / share for teacher, share in shares.items()), default=Fraction(0))
    return {teacher: math.floor(scale * share) for teacher, share in shares.items()}


def check(traces: Sequence[Trace], weights: Mapping[str, float | None], seed: int) -> dict[str, Removed]:
    """The traces beyond each teacher's count. Teachers without a weight, or with null, keep all.

    Which stay is drawn by a hash of `seed` and the row's id, or its group's: groups are taken whole, in the order
    drawn, each that still fits; so a count may be short by less than a group.
    """
    weighted = {teacher: weight for teacher, weight in weights.items() if weight is not None}
    limits = counts(Counter(trace.teacher for trace in traces), weighted)
    groups: dict[tuple[str, str], list[Trace]] = {}
    for trace in traces:
        if trace.teacher in limits:
            groups.setdefault((trace.teacher, trace.group or trace.id), []).append(trace)
    left = dict(limits)
    found: dict[str, Removed] = {}
    for (teacher, _), rows in sorted(groups.items(), key=lambda item: (derive(seed, "weight", *item[0]), item[0])):
        if len(rows) <= left[teacher]:
            left[teacher] -= len(rows)
            continue
        detail = f"{limits[teacher]} rows of {teacher} are in proportion"
        found |= {row.id: Removed(row.id, "weight", "more than its teacher's weight takes", detail) for row in rows}
    return found
