"""ADCL, adaptive difficulty curriculum: from easy to hard, by the difficulty that rows have for the student now.

[secondary source] Rows are ordered by difficulty, and the next batch's difficulty is estimated again with the current
model; made for reinforcement learning, and DMC's paper uses it as a baseline of fine-tuning, with perplexity.
[inferred] As a selector over epochs: epoch e of E takes the e-th of E bands, as wide as `top` and evenly spaced from
the easiest rows to the hardest. Selecting once is epoch 1, the easiest band.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from distill_app.selectors import Candidates, Ranking, RescoredOptions, _top, seeded_keys, signal

VERSION = 1
LABEL = "ADCL as a selector (inferred)"
NEEDS: frozenset[str] = frozenset({"difficulty"})
DYNAMIC = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(RescoredOptions):
    metric: Literal["ppl", "cppl"]


def rank(pool: Candidates, options: Options, seed: int) -> Ranking:
    """The epoch's band of difficulty from its easiest row up, then the rows nearest to it by rank.

    The band has as many rows as `top` asks for, and starts at round((n - rows) * epoch / (epochs - 1)) of n.
    """
    import numpy as np

    loss = signal(pool, "nll" if options.metric == "cppl" else "nll_alone")
    easy_first = np.lexsort((seeded_keys(pool.ids, seed), loss))
    total = len(pool.ids)
    whole = _top.units(pool, options.unit)
    rows_of_unit = len((pool.reference or pool).ids) / whole
    wide = min(total, round(_top.count(options.top, whole, options.unit) * rows_of_unit))
    start = round((total - wide) * pool.epoch / max(pool.epochs - 1, 1))
    places = np.arange(total)
    outside = np.maximum(np.maximum(start - places, places - (start + wide - 1)), 0)
    order = easy_first[np.lexsort((places, outside))]
    place = np.empty(total, dtype=np.int64)
    place[easy_first] = places + 1
    scores = np.exp(loss)
    shown, ranks, name = scores.tolist(), place.tolist(), options.metric.upper()
    band = f"epoch {pool.epoch + 1} of {pool.epochs} takes {start + 1} to {start + wide}"
    return Ranking(
        order,
        scores,
        lambda row: f"{name} {shown[row]:.4f}, place {ranks[row]} from the easiest; {band}",
        facts={"label": LABEL, "metric": options.metric, "first": start + 1, "last": start + wide, "rows": total},
    )
