"""RSR, rank-surprisal ratio (arXiv 2601.14249) [paper: code]: sum of token ranks, each at most 100, over sum of NLL.

Lower is better: the student knows what comes next (low ranks) and still learns from it (high surprisal). Scoring
again before each epoch is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

from distill_app.selectors import Candidates, Ranking, RescoredOptions, seeded_keys, signal

VERSION = 1
LABEL = "RSR (rank-surprisal ratio)"
NEEDS: frozenset[str] = frozenset({"difficulty"})
DYNAMIC = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(RescoredOptions):
    """Nothing of its own."""


def rank(pool: Candidates, options: Options, seed: int) -> Ranking:  # noqa: ARG001
    """Candidates by rising rank_sum / (nll * tokens scored); rows without any surprisal have none and are left out."""
    import numpy as np

    ranks = signal(pool, "rank_sum")
    surprisal = signal(pool, "nll") * signal(pool, "tokens_scored")
    eligible = surprisal > 0
    scores = np.divide(ranks, surprisal, out=np.full(len(ranks), np.nan), where=eligible)
    shown, totals, losses = scores.tolist(), ranks.tolist(), surprisal.tolist()

    def explain(row: int) -> str:
        if losses[row] > 0:
            return f"RSR {shown[row]:.4f} = {totals[row]:.0f} / {losses[row]:.2f}"
        return "no RSR: the student is certain of every token"

    order = np.lexsort((seeded_keys(pool.ids, seed), scores, ~eligible))
    return Ranking(order, scores, explain, eligible, facts={"left_out": int((~eligible).sum())})
