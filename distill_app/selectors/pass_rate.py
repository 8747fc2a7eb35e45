"""A draw among the candidates whose problem is neither too easy nor too hard: a band of pass rates.

[paper: code] (skill-aware selection's difficulty baseline) rows whose pass rate lies in [0.25, 0.625], then a random
draw; there the rate of a 72B model, from the data. The student's own rate in its stead is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass

from distill_app.errors import StageError
from distill_app.selectors import Candidates, CommonOptions, Ranking, seeded_keys
from distill_app.selectors._rates import rates

VERSION = 1
LABEL = "Pass rate"
NEEDS: frozenset[str] = frozenset({"answers", "numbers"})
DYNAMIC = False
"""Pass rates are measured before training, once."""

STUDENT = "student"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(CommonOptions):
    source: str
    low: float
    high: float


def needs(options: Options) -> frozenset[str]:
    """The student's answers, or the numbers of the data."""
    return frozenset({"answers"}) if options.source == STUDENT else frozenset({"numbers"})


def check(options: Options) -> list[tuple[str, str, str]]:
    """What is wrong with the options beyond the schema: (option, message, suggestion) each."""
    if options.low <= options.high:
        return []
    return [("low", f"the band from {options.low:g} to {options.high:g} is empty.", "Set low to at most high.")]


def rank(pool: Candidates, options: Options, seed: int) -> Ranking:
    """Candidates inside the band in the order of `seeds.derive(seed, id)`; those outside, and those without a rate,
    are not eligible. The score is the pass rate.
    """
    import numpy as np

    for _, message, suggestion in check(options):
        raise StageError(f"selector.low: {message}", suggestion)
    found = rates(pool, "pass_rate" if options.source == STUDENT else f"numbers.{options.source}")
    eligible = (found >= options.low) & (found <= options.high)
    order = np.lexsort((seeded_keys(pool.ids, seed), ~eligible))
    shown = found.tolist()
    band = f"{options.low:g} to {options.high:g}"

    def explain(row: int) -> str:
        rate = shown[row]
        if rate != rate:
            return "its pass rate is not known"
        return f"pass rate {rate:.3f} is {'inside' if options.low <= rate <= options.high else 'outside'} {band}"

    facts = {
        "source": options.source,
        "inside": int(eligible.sum()),
        "unknown": int(np.isnan(found).sum()),
        "below": int((found < options.low).sum()),
        "above": int((found > options.high).sum()),
    }
    return Ranking(order, found, explain, eligible, facts)
