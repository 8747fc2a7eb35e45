"""Cuts a ranking: which rows are kept, and the decision on each with its reason."""

from __future__ import annotations

import math
from fractions import Fraction

from distill_app.errors import StageError
from distill_app.records import Decision
from distill_app.selectors import Candidates, Ranking


def count(top: str | int, candidates: int) -> int:
    """How many rows `top` asks for: a count, or the share of the candidates rounded down.

    Raises `StageError` where that is none, or more than there are.
    """
    if candidates == 0:
        raise StageError("There is no candidate to select from.", "Loosen pool.keep, or take more problems.")
    if isinstance(top, int):
        if top > candidates:
            raise StageError(
                f"top asks for {top} rows and there are {candidates} candidates.",
                f"Set top to at most {candidates}, or make the pool larger.",
            )
        return top
    wanted = math.floor(Fraction(top.removesuffix("%")) / 100 * candidates)
    if wanted == 0:
        places = max(2, len(str(candidates)))
        smallest = math.ceil(Fraction(100 * 10**places, candidates)) / 10**places
        raise StageError(
            f"top {top} of {candidates} candidates is less than one row.",
            f"The smallest share that selects a row is {smallest:.{places}f}%.",
        )
    return wanted


def keep(pool: Candidates, ranking: Ranking, top: str | int, per_problem: int | None) -> list[Decision]:
    """A decision on every candidate, in the pool's order; `rank` counts from 1 over all of them.

    Rows are taken from the best down until `count(top)` are kept; one whose problem has `per_problem` rows already
    is passed over. Raises `StageError` where that leaves fewer than asked for: arms of different size do not compare.
    """
    wanted = count(top, len(pool.ids))
    decisions: list[Decision | None] = [None] * len(pool.ids)
    of_problem: dict[str, int] = {}
    kept = 0
    scores = ranking.scores.tolist()
    for rank, position in enumerate(ranking.order.tolist(), start=1):
        problem = pool.problem_ids[position]
        already = of_problem.get(problem, 0)
        full = per_problem is not None and already >= per_problem
        take = kept < wanted and not full
        why = ranking.explain(position)
        if take:
            kept += 1
            of_problem[problem] = already + 1
            reason = f"kept: {kept} of {wanted}; {why}"
        elif kept >= wanted:
            reason = f"left: the {wanted} rows are full before rank {rank}; {why}"
        else:
            rows = "1 row of this problem is" if already == 1 else f"{already} rows of this problem are"
            reason = f"left: {rows} kept already; {why}"
        decisions[position] = Decision(pool.ids[position], take, rank, scores[position], reason)
    if kept < wanted:
        raise StageError(
            f"top asks for {wanted} rows, and with per_problem {per_problem} only {kept} can be kept.",
            f"Set top to at most {kept}, or raise per_problem.",
        )
    return [decision for decision in decisions if decision is not None]
