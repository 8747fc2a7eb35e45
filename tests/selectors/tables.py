"""Small pools for the selectors' tests."""

from __future__ import annotations

import numpy as np

from distill_app.records import Decision
from distill_app.selectors import Candidates


def pool(rows: list[tuple[str, str, float]]) -> Candidates:
    """Candidates from (id, problem id, quality) rows."""
    ids, problems, quality = zip(*rows, strict=True) if rows else ((), (), ())
    return Candidates(list(ids), list(problems), {"quality": np.array(quality, dtype=np.float64)})


def kept(decisions: list[Decision]) -> set[str]:
    return {decision.id for decision in decisions if decision.kept}
