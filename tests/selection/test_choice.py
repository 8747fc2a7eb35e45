"""One selection: which signals count as read, what dynamic selection chooses from, what constant signals are told."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill_app.errors import StageError
from distill_app.selection import choice
from distill_app.selectors import Candidates

COMMON = {"top": 2, "per_problem": None, "unit": "row", "dynamic": False}
CAR = {**COMMON, "candidates": "100%", "every": 1, "beta": 1.0, "quality": "raw", "clip": 0.01}
IDS = [f"r{n}" for n in range(10)]


def pool(**signals: Any) -> Candidates:
    given = {"quality": np.linspace(0.1, 1.0, 10), "nll": np.linspace(2.0, 0.2, 10), "nll_alone": np.full(10, 3.0)}
    return Candidates(IDS, IDS, {**given, **signals})


def kept(chosen: choice.Chosen) -> list[str]:
    return [row.id for row in sorted((row for row in chosen.decisions if row.kept), key=lambda row: row.rank or 0)]


def test_reads_are_what_the_ranking_looked_at() -> None:
    chosen = choice.first(choice.Plan("car", CAR, 0, 0), pool())
    assert chosen.reads == ["nll", "quality"]
    assert kept(chosen) == ["r9", "r8"]
    assert chosen.live == IDS
    assert choice.first(choice.Plan("random", {**COMMON, "every": 1}, 0, 0), pool()).reads == []


def test_dynamic_selection_chooses_from_the_best_by_quality() -> None:
    """40 % of ten: the four of quality 0.7 to 1.0; of them the two that score best, and reasons for the others."""
    options = {**CAR, "dynamic": True, "candidates": "40%"}
    losses = np.array([0.0, 0, 0, 0, 0, 0, 0.1, 9, 9, 9])
    chosen = choice.first(choice.Plan("car", options, 0, 3), pool(nll=losses))
    assert chosen.live == ["r6", "r7", "r8", "r9"]
    assert chosen.warnings == ()
    # 0.7 / 1.1 = 0.636; 0.8, 0.9 and 1.0 over 10.
    assert kept(chosen) == ["r6", "r9"]
    reasons = {row.id: row.reason for row in chosen.decisions}
    assert [row.id for row in chosen.decisions] == IDS
    assert reasons["r0"] == "left: not among the best 40% by quality, which dynamic selection chooses from"
    assert reasons["r7"].startswith("left: the 2 rows are full")


def test_equal_qualities_go_by_the_score_before_training() -> None:
    """All but two rows share the best quality: the 40 % are those of them that CAR ranks first, not a draw."""
    quality = np.array([0.5, 0.5, 1, 1, 1, 1, 1, 1, 1, 1])
    losses = np.array([0.0, 0.0, 9, 1, 9, 2, 9, 3, 9, 4])
    options = {**CAR, "dynamic": True, "candidates": "40%"}
    chosen = choice.first(choice.Plan("car", options, 0, 3), pool(quality=quality, nll=losses))
    assert chosen.live == ["r3", "r5", "r7", "r9"]
    assert kept(chosen) == ["r3", "r5"]
    (warning,) = chosen.warnings
    assert "8 candidates have the quality 1 at which selector.candidates 40% cuts, and 4 of them" in warning
    for share, warnings in ((re.findall(r"to (\d+%)", warning)[0], ()), ("79%", (warning,))):
        wider = choice.first(choice.Plan("car", {**options, "candidates": share}, 0, 3), pool(quality=quality))
        assert len(wider.warnings) == len(warnings), share


def test_a_share_counts_from_all_candidates() -> None:
    options = {**CAR, "top": "30%", "dynamic": True, "candidates": "40%"}
    assert len(kept(choice.first(choice.Plan("car", options, 0, 3), pool()))) == 3
    with pytest.raises(StageError, match="candidates 20% of 10 candidates are 2 rows, and top asks for 3"):
        choice.first(choice.Plan("car", {**options, "candidates": "20%"}, 0, 3), pool())


def test_selecting_again_keeps_the_scale_of_the_whole_pool() -> None:
    """By percentile of the whole pool, whatever part is scored again: r9's quality stays 1, r8's 0.9."""
    options = {**CAR, "quality": "percentile", "dynamic": True, "candidates": "20%"}
    plan = choice.Plan("car", options, 0, 3)
    whole = pool()
    again = choice.part(whole, [8, 9])
    decisions, ranking = choice.again(plan, again, 1)
    assert ranking.scores.tolist() == pytest.approx([0.9 / (1 + whole.signals["nll"][8]), 1 / (1 + 0.2)])
    assert [row.kept for row in decisions] == [False, True]


def test_rows_that_no_longer_qualify_fill_an_epoch_up() -> None:
    """IFD = exp(nll - nll_alone) is below 1 for r9 alone by now; two rows are trained, so the next best comes in."""
    options = {**COMMON, "dynamic": True, "candidates": "100%", "every": 1}
    alone = np.linspace(3.0, 3.1, 10)
    whole = pool(nll=np.linspace(2.0, 0.2, 10), nll_alone=alone)
    later = choice.part(pool(nll=np.array([4.0] * 9 + [2.0]), nll_alone=alone), list(range(10)))
    decisions, ranking = choice.again(choice.Plan("ifd", options, 0, 3), later, 2)
    assert sum(row.kept for row in decisions) == 2
    assert decisions[9].kept
    assert "only 1 can be kept" in ranking.warnings[0]
    first = choice.first(choice.Plan("ifd", options, 0, 3), whole)
    assert kept(first) == ["r0", "r1"]
    with pytest.raises(StageError, match="only 1 can be kept"):
        choice.first(choice.Plan("ifd", options, 0, 3), dataclasses.replace(later, reference=None))


@pytest.mark.parametrize(
    ("selector", "options", "name"),
    [
        ("quality", COMMON, "quality"),
        ("car", CAR, "nll"),
        ("perplexity", {**COMMON, "candidates": "100%", "every": 1, "metric": "ppl", "band": "top"}, "nll_alone"),
    ],
)
def test_a_constant_signal_is_refused(selector: str, options: dict[str, Any], name: str) -> None:
    given = pool(**{name: np.full(10, 0.5)})
    with pytest.raises(StageError, match=f"{name} is 0.5 for all 10 candidates") as told:
        choice.first(choice.Plan(selector, options, 0, 0), given)
    assert "selector.name: random" in told.value.hint


def test_a_missing_signal_is_refused() -> None:
    given = Candidates(IDS, IDS, {"quality": np.linspace(0, 1, 10)})
    with pytest.raises(StageError, match="needs the signal 'nll'"):
        choice.first(choice.Plan("car", CAR, 0, 0), given)


def test_signals_on_disk_come_back(tmp_path: Path) -> None:
    given = Candidates(IDS, ["p"] * 10, {"quality": np.arange(10.0), "pass_rate": np.array([np.nan] * 10)}, groups=IDS)
    choice.write_signals(tmp_path / "signals.parquet", given)
    back = choice.read_signals(tmp_path / "signals.parquet")
    assert (list(back.ids), list(back.problem_ids), list(back.groups)) == (IDS, ["p"] * 10, IDS)
    assert back.signals["quality"].tolist() == given.signals["quality"].tolist()
    assert np.isnan(back.signals["pass_rate"]).all()
