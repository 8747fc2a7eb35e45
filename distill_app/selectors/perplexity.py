"""A band of the candidates by perplexity under the student [paper, DMC: PPL and CPPL as metrics of difficulty].

CPPL = exp(nll) after the question, PPL = exp(nll_alone) without it. Which end to take is the recipe's choice; the
middle band, by distance of a row's rank from the median's, is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from distill_app.selectors import Candidates, Ranking, RescoredOptions, seeded_keys, signal
from distill_app.selectors._normalise import by_band

VERSION = 1
LABEL = "Perplexity"
NEEDS: frozenset[str] = frozenset({"difficulty"})
DYNAMIC = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(RescoredOptions):
    metric: Literal["cppl", "ppl"]
    band: Literal["top", "middle", "bottom"]


def rank(pool: Candidates, options: Options, seed: int) -> Ranking:
    """Candidates from the highest perplexity (`top`), the lowest (`bottom`), or the median outwards (`middle`)."""
    import numpy as np

    loss = signal(pool, "nll" if options.metric == "cppl" else "nll_alone")
    band = {"top": "high", "middle": "middle", "bottom": "low"}[options.band]
    scores = np.exp(loss)
    shown, name = scores.tolist(), options.metric.upper()
    return Ranking(
        by_band(loss, band, seeded_keys(pool.ids, seed)),
        scores,
        lambda row: f"{name} {shown[row]:.4f}",
        facts={"metric": options.metric, "median": float(np.median(scores))},
    )
