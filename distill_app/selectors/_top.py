"""Cuts a ranking: which rows are kept, and the decision on each with its reason."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

from distill_app.errors import StageError
from distill_app.records import Decision
from distill_app.selectors import Candidates, Ranking


def count(top: str | int, candidates: int, unit: str = "row") -> int:
    """How many rows (or groups, as `unit` says) `top` asks for: a count, or the share of them rounded down.

    Raises `StageError` where that is none, or more than there are.
    """
    if candidates == 0:
        raise StageError("There is no candidate to select from.", "Loosen pool.keep, or take more problems.")
    of = "candidates" if unit == "row" else f"{unit}s of candidates"
    if isinstance(top, int):
        if top > candidates:
            raise StageError(
                f"top asks for {top} {unit}s and there are {candidates} {of}.",
                f"Set top to at most {candidates}, or make the pool larger.",
            )
        return top
    wanted = math.floor(Fraction(top.removesuffix("%")) / 100 * candidates)
    if wanted == 0:
        places = max(2, len(str(candidates)))
        smallest = math.ceil(Fraction(100 * 10**places, candidates)) / 10**places
        raise StageError(
            f"top {top} of {candidates} {of} is less than one {unit}.",
            f"The smallest share that selects a {unit} is {smallest:.{places}f}%.",
        )
    return wanted


def units(pool: Candidates, unit: str) -> int:
    """How many rows or groups a share counts from: those of the whole pool, where this is a part of it."""
    whole = pool.reference or pool
    return len(set(whole.groups)) if unit == "group" and len(whole.groups) else len(whole.ids)


def keep(pool: Candidates, ranking: Ranking, top: str | int, per_problem: int | None, unit: str) -> list[Decision]:
    """A decision on every candidate, in the pool's order.

    Rows are taken from the best down until `count(top)` are kept; one whose problem has `per_problem` rows already
    is passed over, and one that is not eligible is never kept. `Decision.rank` counts eligible rows from 1 in the
    ranking's order; it is None for the others. A score that is not a number becomes None.

    With unit "group" the rows of a group stand and fall together (our choice, all of it): `top` counts groups, a
    group stands by the mean rank of its rows, equals by the group's id; a group with a row that is not eligible is
    left as a whole; `per_problem` limits the groups that hold rows of one problem. A pool without groups holds rows
    that stand alone.

    A share counts from the whole pool (`Candidates.reference`), so that selecting from a part of it keeps as many.
    Raises `StageError` where fewer can be kept than asked for: arms of different size do not compare.
    """
    wanted = count(top, units(pool, unit), unit)
    with _uncollected():
        take = _groups if unit == "group" and len(pool.groups) else _rows
        decisions, kept = take(pool, ranking, wanted, per_problem)
    if kept < wanted:
        raise _too_few(pool, ranking, wanted, kept, per_problem, unit)
    return decisions


def _rows(pool: Candidates, ranking: Ranking, wanted: int, limit: int | None) -> tuple[list[Decision], int]:
    scores, eligible = _columns(pool, ranking)
    # What happens to a row is settled in the ranking's order and said in the pool's: a million rows visited as they
    # lie in memory take half the time.
    ranks, places, already = [0] * len(scores), [0] * len(scores), [0] * len(scores)
    of_problem: dict[str, int] = {}
    kept = rank = last = 0
    for position in ranking.order.tolist():
        if not eligible[position]:
            continue
        rank += 1
        ranks[position] = rank
        if kept == wanted:
            continue
        if limit is not None:
            problem = pool.problem_ids[position]
            already[position] = of_problem.get(problem, 0)
            if already[position] >= limit:
                continue
            of_problem[problem] = already[position] + 1
        kept += 1
        places[position], last = kept, rank
    decisions = []
    for position, (name, score, rank, place) in enumerate(zip(pool.ids, scores, ranks, places, strict=True)):
        why = ranking.explain(position)
        if place:
            reason = f"kept: {place} of {wanted}; {why}"
        elif not rank:
            reason = f"left: {why}"
        elif rank > last:
            reason = f"left: the {wanted} rows are full before rank {rank}; {why}"
        else:
            reason = f"left: {_already(already[position], 'row')}; {why}"
        decisions.append(Decision(name, place > 0, rank or None, score, reason))
    return decisions, kept


def _groups(pool: Candidates, ranking: Ranking, wanted: int, limit: int | None) -> tuple[list[Decision], int]:
    scores, eligible = _columns(pool, ranking)
    ranks = [0] * len(scores)
    members: dict[str, list[int]] = {}
    rank = 0
    for position in ranking.order.tolist():
        members.setdefault(pool.groups[position], []).append(position)
        if eligible[position]:
            rank += 1
            ranks[position] = rank
    standing, said = [], {}
    for name, rows in members.items():
        bad = [pool.ids[row] for row in rows if not eligible[row]]
        if bad:
            said[name] = f"left: row {min(bad)!r} of its group cannot be kept"
        else:
            standing.append((sum(ranks[row] for row in rows) / len(rows), name))
    of_problem: dict[str, int] = {}
    kept = 0
    for mean, name in sorted(standing):
        rows = members[name]
        where = f"{len(rows)} rows of mean rank {mean:g}" if len(rows) > 1 else f"1 row of rank {mean:g}"
        if kept == wanted:
            said[name] = f"left: the {wanted} groups are full before this one, {where}"
            continue
        if limit is not None:
            problems = {pool.problem_ids[row] for row in rows}
            already = max(of_problem.get(problem, 0) for problem in problems)
            if already >= limit:
                said[name] = f"left: {_already(already, 'group')}"
                continue
            of_problem.update({problem: of_problem.get(problem, 0) + 1 for problem in problems})
        kept += 1
        said[name] = f"kept: group {kept} of {wanted}, {where}"
    decisions = []
    for position, (row, name, score, rank) in enumerate(zip(pool.ids, pool.groups, scores, ranks, strict=True)):
        text = said[name] if rank else "left"
        reason = f"{text}{'; ' if rank else ': '}{ranking.explain(position)}"
        decisions.append(Decision(row, text.startswith("kept"), rank or None, score, reason))
    return decisions, kept


def _columns(pool: Candidates, ranking: Ranking) -> tuple[list[float | None], list[bool]]:
    """Scores and eligibility as plain lists: a number out of an array costs ten out of a list."""
    rows = len(pool.ids)
    if len(ranking.order) != rows:
        raise ValueError(f"a ranking of {len(ranking.order)} rows for {rows} candidates")
    scores = [None if score != score else score for score in ranking.scores.tolist()]
    eligible: list[bool] = [True] * rows if ranking.eligible is None else ranking.eligible.tolist()
    return scores, eligible


def _already(number: int, unit: str) -> str:
    some = f"1 {unit} of this problem is" if number == 1 else f"{number} {unit}s of this problem are"
    return f"{some} kept already"


def _too_few(
    pool: Candidates, ranking: Ranking, wanted: int, kept: int, per_problem: int | None, unit: str
) -> StageError:
    import numpy as np

    limits, hints = [], [f"Set top to at most {kept}"] if kept else []
    if ranking.eligible is not None and not ranking.eligible.all():
        left = np.flatnonzero(~ranking.eligible)
        shown = min(left.tolist(), key=lambda row: pool.ids[row])
        limits.append(
            f"the selector leaves out {len(left)} of {len(pool.ids)} candidates, such as {pool.ids[shown]!r}"
            f" ({ranking.explain(shown)})"
        )
        hints.append("make the pool larger, or loosen what the selector leaves out")
    if per_problem is not None:
        limits.append(f"per_problem is {per_problem}")
        hints.append("raise per_problem")
    if not limits:
        limits.append(f"there are {len(pool.ids)} candidates to choose from here")
        hints.append("raise selector.candidates")
    text = "; or ".join(hints)
    return StageError(
        f"top asks for {wanted} {unit}s and only {kept} can be kept: {', and '.join(limits)}.",
        f"{text[0].upper()}{text[1:]}.",
    )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Holds the garbage collector off: a million new records make no cycle, and half the time went into looking."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
