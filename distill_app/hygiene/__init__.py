"""What is left out of a pool before anything is selected from it, and why: one file a kind of rule.

The rules come in this order, and a row is left out by the first that it fails:

1. `filters`: an empty text; the final answer; finished, length, think block (the recipe's `pool.keep`).
2. `decontaminate`: words in common with a benchmark of the recipe.
3. `duplicates`: the same text as another row, then nearly the same.
4. `weights`: more rows of a teacher than the teachers' proportions take.

So a duplicate of a row that was left out can stay, and proportions are of the rows that nothing else leaves out. What
is left out depends on the rows' content, ids and the seed, never on their order.

**Lessons.** Rows of one group that teach different tasks (a question, the question backwards, its solution) are one
lesson and stay or go together: what leaves out one row of it by 1 or 2 leaves out all, and it is a duplicate only where
each of its rows repeats another. Groups whose rows have one task (several samples of one source) are judged row by row.
Weights keep every group whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from distill_app.records import Trace

FILE = "removed.parquet"
"""What the stage calls the table of `Removed` rows."""


@dataclass(frozen=True, slots=True)
class Removed:
    """A row that is left out: by which rule, for which reason (few words, the same for many rows), and its own detail.

    `other` is the row or benchmark problem (`benchmark/id`) that it was compared with.
    """

    id: str
    rule: str
    reason: str
    detail: str | None = None
    other: str | None = None

    @property
    def said(self) -> str:
        """The reason as tables of decisions hold it: what is the row's own stands behind a semicolon."""
        return f"{self.reason}; {self.detail}" if self.detail else self.reason


Lesson = tuple[Trace, ...]


def lessons(traces: Sequence[Trace]) -> list[Lesson]:
    """The rows in units that stay or go together, rows by id in each, units by their lowest id."""
    groups: dict[str, list[Trace]] = {}
    units: list[Lesson] = []
    for trace in sorted(traces, key=lambda trace: trace.id):
        if trace.group is None:
            units.append((trace,))
        else:
            groups.setdefault(trace.group, []).append(trace)
    for rows in groups.values():
        if len({row.task for row in rows}) > 1:
            units.append(tuple(rows))
        else:
            units += [(row,) for row in rows]
    return sorted(units, key=lambda unit: unit[0].id)


def whole(found: Mapping[str, Removed], units: Sequence[Lesson]) -> dict[str, Removed]:
    """`found`, and the other rows of each lesson that it takes a row from."""
    removed = dict(found)
    for unit in units:
        first = next((found[row.id] for row in unit if row.id in found), None)
        if first is not None:
            why = replace(first, reason="another row of its group is left out", detail=f"{first.id}: {first.said}")
            removed |= {row.id: replace(why, id=row.id) for row in unit if row.id not in found}
    return removed
