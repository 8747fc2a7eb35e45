"""IFD, instruction-following difficulty: perplexity after the question over perplexity without it, highest first.

[paper: code] (Superfiltering) rows of 1 or more are dropped, since the question does not help to predict them, and the
highest of the rest are taken, 10 percent there. Superfiltering scores with GPT-2 in the student's stead; here the
student itself scores, as IFD did first. Scoring again before each epoch is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

from distill_app.selectors import Candidates, Ranking, RescoredOptions, seeded_keys, signal

VERSION = 1
LABEL = "IFD"
NEEDS: frozenset[str] = frozenset({"difficulty"})
DYNAMIC = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(RescoredOptions):
    """Nothing of its own."""


def rank(pool: Candidates, options: Options, seed: int) -> Ranking:  # noqa: ARG001
    """Candidates by falling IFD = exp(nll - nll_alone); those of 1 or more are not eligible."""
    import numpy as np

    scores = np.exp(signal(pool, "nll") - signal(pool, "nll_alone"))
    eligible = scores < 1
    shown = scores.tolist()

    def explain(row: int) -> str:
        value = shown[row]
        return f"IFD {value:.4f}" if value < 1 else f"IFD {value:.4f} is 1 or more: the question does not help"

    order = np.lexsort((seeded_keys(pool.ids, seed), -scores, ~eligible))
    return Ranking(order, scores, explain, eligible, facts={"left_out": int((~eligible).sum())})
