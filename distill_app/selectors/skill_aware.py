"""Skill-aware selection (arXiv 2601.10109): more rows of the skills at which the student is worse.

[paper: code] weight(leaf) = min((1 / accuracy)^tau, cap^tau), with cap 1000 and tau 1. `sample` draws a leaf by
weight, then one of its rows evenly, and adds it if it is new, until there are enough. `forced` takes again and again
the row that brings the selected rows' histogram of leaves closest (L2) to the normalised weights. Leaves without
judged answers are left out. [inferred] cap 20 and an accuracy of (right + s) / (answers + 2 s): else a leaf at accuracy
0 with one row eats the draws. The rows of a leaf are the candidates, right or wrong as the recipe's pool keeps them.

The loop of `sample` needs no loop. One draw gives row i with probability proportional to
rate(i) = sum over its leaves of weight / rows(leaf), and draws of rows already there are thrown away: each new row is
drawn from the rest in proportion to the rates. That is the order in which independent exponential clocks of these rates
ring, so a row's score is its clock, -ln(u) / rate, with u from the seed and the row's id, and the least comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from distill_app.errors import StageError
from distill_app.selectors import Accuracy, Candidates, CommonOptions, Ranking, _forced, _top, seeded_keys
from distill_app.selectors._skills import Leaves, chains_of, cut, interval, leaves, shares

if TYPE_CHECKING:
    from distill_app.selectors import Floats

VERSION = 1
LABEL = "Skill-aware"
NEEDS: frozenset[str] = frozenset({"skills", "answers"})
DYNAMIC = False
"""Accuracy is measured on the untrained student, once: selecting again would read the same figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(CommonOptions):
    mode: Literal["sample", "forced"]
    tau: float
    cap: float
    smoothing: float
    min_answers: int
    max_depth: int | None


def rank(pool: Candidates, options: Options, seed: int) -> Ranking:
    """Candidates as the mode draws them; a row without a leaf that counts is not eligible.

    `facts["leaves"]` has, for each leaf: right, answers, accuracy (smoothed), its 95 % interval (Wilson, not smoothed),
    weight, target share, rows, and its share among the first rows of this ranking, as many as `top` asks for (groups
    are taken at their mean size). `facts["left_out"]` are leaves of too few answers. Raises `StageError` where no row
    has a leaf that counts.
    """
    import numpy as np

    names = {cut(chain, options.max_depth) for chains in set(chains_of(pool)) for chain in chains}
    nothing = Accuracy(0.0, 0)
    judged = {name: pool.accuracy.get(name, nothing) for name in sorted(names)}
    least = options.min_answers
    left_out = frozenset(name for name, accuracy in judged.items() if accuracy.answers < least)
    found = leaves(pool, options.max_depth, left_out)
    if not found.names:
        raise StageError(
            f"No candidate has a skill with {least} judged answers of the student or more: {len(names)} skills have"
            f" fewer, and {sum(not chains for chains in pool.skills)} of {len(pool.ids)} candidates have no skill.",
            "Lower selector.min_answers, ask the student more (skills.samples, skills.per_skill), or look at how"
            " skills were attributed.",
        )
    accuracies = {name: _smoothed(judged[name], options.smoothing) for name in found.names}
    weights = np.array([_weight(accuracies[name], options) for name in found.names])
    target = shares(found, (), weights)
    rates = np.array([sum((weights / found.rows)[list(members)]) for members in found.sets])
    eligible = found.set_of >= 0
    keys = seeded_keys(pool.ids, seed)
    # In units of the mean rate: the order is the same, and scores of pools of any size read alike.
    clocks = np.full(len(keys), np.nan)
    clocks[eligible] = -np.log((keys[eligible] + 1.0) / 2.0**63) / rates[found.set_of[eligible]]
    clocks *= float(np.bincount(found.set_of[eligible]) @ rates) / int(eligible.sum())
    order = np.lexsort((keys, clocks, ~eligible))
    count = _top.count(options.top, _top.units(pool, options.unit), options.unit)
    budget = -(-count * len((pool.reference or pool).ids) // _top.units(pool, options.unit))
    if options.mode == "forced":
        order = _forced.first(pool, found, target, order, eligible, budget, options.per_problem)
    chosen = [row for row in order[:budget].tolist() if eligible[row]]
    listed = _facts(found, judged, accuracies, weights, target, shares(found, chosen))
    facts = {
        "mode": options.mode,
        "leaves": listed,
        "left_out": sorted(left_out),
        "rows_without_skill": sum(not chains for chains in pool.skills),
        "rows_not_eligible": int((~eligible).sum()),
        "distance_from_target": float(np.linalg.norm(shares(found, chosen) - target)),
    }
    return Ranking(order, clocks, _explain(pool, found, accuracies, clocks, least), eligible, facts)


def _smoothed(accuracy: Accuracy, prior: float) -> float:
    """(right + s) / (answers + 2 s): the mean under a Beta(s, s) prior; the plain share for 0."""
    return (accuracy.right + prior) / (accuracy.answers + 2 * prior)


def _weight(accuracy: float, options: Options) -> float:
    """min((1/accuracy)^tau, cap^tau), and cap^tau at accuracy 0 [paper: code]."""
    inverse = options.cap if accuracy <= 0 else min(1 / accuracy, options.cap)
    return float(inverse**options.tau)


def _facts(
    found: Leaves,
    judged: Mapping[str, Accuracy],
    accuracies: Mapping[str, float],
    weights: Floats,
    target: Floats,
    share: Floats,
) -> list[dict[str, Any]]:
    listed = []
    for index, name in enumerate(found.names):
        low, high = interval(judged[name])
        listed.append(
            {
                "skill": name,
                "right": judged[name].right,
                "answers": judged[name].answers,
                "accuracy": accuracies[name],
                "low": low,
                "high": high,
                "weight": float(weights[index]),
                "target": float(target[index]),
                "share": float(share[index]),
                "rows": int(found.rows[index]),
            }
        )
    return listed


def _explain(pool: Candidates, found: Leaves, accuracies: Mapping[str, float], clocks: Floats, least: int) -> Any:
    """Words by combination of leaves, made once each: rows of one combination differ in their draw alone."""
    words = []
    for members in found.sets:
        hardest = min(members, key=lambda index: (accuracies[found.names[index]], found.names[index]))
        name = found.names[hardest]
        more = f" and {len(members) - 1} more" if len(members) > 1 else ""
        words.append(f"{name} (accuracy {accuracies[name]:.2f}){more}")
    set_of, shown, skills = found.set_of.tolist(), clocks.tolist(), pool.skills

    def explain(row: int) -> str:
        if set_of[row] >= 0:
            return f"drew {shown[row]:.4f} for {words[set_of[row]]}"
        if not skills[row]:
            return "no skill was attributed to it"
        return f"none of its skills has {least} judged answers or more"

    return explain
