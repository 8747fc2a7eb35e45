"""The forced mode of skill-aware selection: the row that brings the histogram of leaves closest to a target, each time.

[paper: code] greedy, L2 distance between the selected rows' normalised histogram of leaves and the target. Our choice:
of rows that bring it equally close the one that stands first in the sampled order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from distill_app.selectors import Candidates
from distill_app.selectors._skills import Leaves

if TYPE_CHECKING:
    from distill_app.selectors import Bools, Floats, Ints

CLOSE = 1e-12
"""Squared distances that differ by less are equal."""


def first(
    pool: Candidates,
    found: Leaves,
    target: Floats,
    order: Ints,
    eligible: Bools,
    budget: int,
    per_problem: int | None,
) -> Ints:
    """`order` with the `budget` rows of the greedy choice in front, in the order chosen; the rest as it was.

    Rows of one combination of leaves are alike, so each step compares combinations, not rows. Rows whose problem has
    `per_problem` rows already are passed over, as `_top.keep` will.
    """
    import numpy as np

    queues: list[list[int]] = [[] for _ in found.sets]
    for row in order[eligible[order]][::-1].tolist():
        queues[found.set_of[row]].append(row)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    sizes = np.array([len(members) for members in found.sets], dtype=np.float64)
    goal = np.array([target[list(members)].sum() for members in found.sets])
    sharing: list[list[int]] = [[] for _ in found.names]
    for index, leaves in enumerate(found.sets):
        for leaf in leaves:
            sharing[leaf].append(index)
    touches = [np.array(indices, dtype=np.int64) for indices in sharing]
    of_problem: dict[str, int] = {}

    def waiting(index: int) -> float:
        """Place of the combination's next row that may be taken; infinite when there is none."""
        queue = queues[index]
        while queue and per_problem is not None and of_problem.get(pool.problem_ids[queue[-1]], 0) >= per_problem:
            queue.pop()
        return float(place[queue[-1]]) if queue else float("inf")

    ahead = np.array([waiting(index) for index in range(len(queues))])
    inside = np.zeros(len(queues))
    histogram = np.zeros(len(found.names))
    square = total = on_target = 0.0
    chosen: list[int] = []
    while len(chosen) < budget:
        # |h + a|^2 / (H + m)^2 - 2 (h + a).t / (H + m), which is the squared distance less |t|^2.
        after = total + sizes
        cost = ((square + 2 * inside + sizes) / after - 2 * (on_target + goal)) / after
        cost[np.isinf(ahead)] = np.inf
        least = cost.min()
        if np.isinf(least):
            break
        close = np.flatnonzero(cost <= least + CLOSE)
        index = int(close[np.argmin(ahead[close])])
        if waiting(index) != ahead[index]:
            # Its next row's problem has filled up since: look again with the row behind it.
            ahead[index] = waiting(index)
            continue
        row = queues[index].pop()
        chosen.append(row)
        problem = pool.problem_ids[row]
        of_problem[problem] = of_problem.get(problem, 0) + 1
        ahead[index] = waiting(index)
        members = list(found.sets[index])
        square += float(2 * histogram[members].sum() + len(members))
        histogram[members] += 1
        total += len(members)
        on_target += float(goal[index])
        for leaf in members:
            inside[touches[leaf]] += 1
    front = np.array(chosen, dtype=np.int64)
    behind = np.ones(len(order), dtype=bool)
    behind[front] = False
    return np.concatenate([front, order[behind[order]]])
