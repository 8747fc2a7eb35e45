"""CAR, compatibility-adjusted reward, by record: quality over 1 + beta * loss of the student.

[secondary source] For a data set (arXiv 2411.07133): CAR = mean reward / (1 + beta * mean loss of the untrained student
on the responses given the instructions). [inferred] The form for one record, r / (1 + beta * ln CPPL), the mapping of
rewards to positive values, scoring again before each epoch, and beta, whose value no source that we hold states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from distill_app.errors import StageError
from distill_app.selectors import Candidates, Ranking, RescoredOptions, seeded_keys, signal
from distill_app.selectors._normalise import fit, spearman

VERSION = 1
LABEL = "CAR per record (inferred form)"
NEEDS: frozenset[str] = frozenset({"quality", "difficulty"})
DYNAMIC = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(RescoredOptions):
    beta: float
    quality: Literal["percentile", "minmax", "sigmoid", "raw"]
    clip: float


def rank(pool: Candidates, options: Options, seed: int) -> Ranking:
    """Candidates by falling r / (1 + beta * nll), r the quality as `options.quality` maps it over the reference pool.

    Raises `StageError` for raw qualities that are not positive: a larger loss would raise a negative score.
    """
    import numpy as np

    given, loss = signal(pool, "quality"), signal(pool, "nll")
    reference = signal(pool.reference or pool, "quality")
    if options.quality == "raw" and (least := float(reference.min(initial=np.inf))) <= 0:
        raise StageError(
            f"CAR cannot take the raw quality: {int((reference <= 0).sum())} of {len(reference)} candidates have one of"
            f" 0 or less (the least is {least:g}).",
            "Dividing a negative quality by a larger loss makes it less negative, so that what the student finds"
            " harder would rank higher. Set selector.quality to percentile, minmax or sigmoid.",
        )
    scale = fit(reference, options.quality, options.clip, "the quality")
    reward = scale.apply(given)
    scores = reward / (1.0 + options.beta * loss)
    order = np.lexsort((seeded_keys(pool.ids, seed), -scores))
    shown, rewards, losses = scores.tolist(), reward.tolist(), loss.tolist()
    beta = f"{options.beta:g}"
    return Ranking(
        order,
        scores,
        lambda row: f"CAR (inferred form) {shown[row]:.4f} = {rewards[row]:.4f} / (1 + {beta} x {losses[row]:.4f})",
        facts={
            "label": LABEL,
            "beta": options.beta,
            "quality": {"method": scale.method, **scale.facts},
            "spearman_with_quality": spearman(scores, reward),
        },
    )
