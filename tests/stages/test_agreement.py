"""What the check of the trained student warns of."""

from __future__ import annotations

from distill_app.evaluation.agreement import Pair, Parting
from distill_app.stages import agreement


def pair(in_common: float, *gaps: float) -> Pair:
    near = sum(gap <= agreement.NEAR_TIE_NATS for gap in gaps)
    partings = tuple(Parting(place, 3, 0.1, gap) for place, gap in enumerate(gaps))
    return Pair(("transformers", "vllm"), 16, 1 - len(gaps) / 16, in_common, near, partings)


def test_near_ties_are_no_fault() -> None:
    assert agreement._warnings([pair(1.0), pair(0.9, 0.1, 0.5)], 0.8) == []


def test_little_in_common_and_far_partings_are_said() -> None:
    (low,) = agreement._warnings([pair(0.5, 0.1)], 0.8)
    assert "only 50% of the tokens stand before a difference (evaluation.agreement.least is 80%)" in low
    (far,) = agreement._warnings([pair(0.95, 0.1, 2.0)], 0.8)
    assert "1 of 16 answers part where the two tokens are more than 0.5 nats apart" in far


def test_what_is_said_counts_the_near_ties() -> None:
    said = agreement._said(pair(0.95, 0.1, 2.0))
    assert said == (
        "transformers and vllm: 88% of 16 greedy answers are the same, 95% of their tokens stand before a difference; "
        "of 2 that part, 1 do so within 0.5 nats of a tie."
    )
