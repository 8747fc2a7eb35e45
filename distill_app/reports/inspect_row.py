"""Everything about one row of a run's pool. Plain data, read from the store."""

from __future__ import annotations

import bisect
import dataclasses
import difflib
from collections.abc import Sequence
from typing import Any

from distill_app.errors import UsageError
from distill_app.reports.selections import Selection
from distill_app.stages._candidates import PLACEMENT

NEAR_IDS = 20_000
"""Ids that are searched for the nearest to an unknown one; of more, those that sort beside it."""


def row(selection: Selection, name: str) -> dict[str, Any]:
    """Everything about one row of the pool, told by its id or a part of one that no other id has.

    Raises `UsageError` where no row or several fit, naming the nearest.
    """
    found = _find(selection.ids, name)
    trace, decision = selection.trace(found), selection.decisions[found]
    verdict, quality, skills = (
        selection.verdicts.get(found),
        selection.quality.get(found),
        selection.skills.get(found),
    )
    scored = [decision.score if epoch["scores"] is None else epoch["scores"].get(found) for epoch in selection.epochs]
    return {
        "run": selection.run,
        "label": selection.label,
        "id": found,
        "kept": decision.kept,
        "place": _place(selection, found),
        "rank": decision.rank,
        "score": decision.score,
        "reason": decision.reason,
        "signals": _own_signals(selection, found),
        "quality_parts": dict(quality.parts) if quality else None,
        "verdict": None
        if verdict is None
        else {key: getattr(verdict, key) for key in ("verdict", "extracted", "rule")},
        "skills": None if skills is None else {"chains": list(skills.chains), "reason": skills.reason},
        "epochs": [
            {"epoch": epoch["epoch"], "trained": found in epoch["ids"], "score": score}
            for epoch, score in zip(selection.epochs, scored, strict=True)
        ],
        "trace": {
            **{
                key: value for key, value in dataclasses.asdict(trace).items() if key not in ("id", "skills", "numbers")
            },
            "numbers": dict(trace.numbers),
        },
    }


def _find(ids: Sequence[str], name: str) -> str:
    if name in set(ids):
        return name
    matches = [one for one in ids if name in one]
    if len(matches) == 1:
        return matches[0]
    if matches:
        shown = ", ".join(sorted(matches)[:5])
        raise UsageError(f"{name!r} is part of {len(matches)} row ids: {shown}{' …' if len(matches) > 5 else ''}.")
    ordered = sorted(ids)
    if len(ordered) > NEAR_IDS:
        place = bisect.bisect(ordered, name)
        ordered = ordered[max(0, place - NEAR_IDS // 2) : place + NEAR_IDS // 2]
    near = difflib.get_close_matches(name, ordered, n=3, cutoff=0.3)
    raise UsageError(
        f"No row of the pool has {name!r} in its id.",
        (f"Nearest: {', '.join(near)}. " if near else "") + "Without a row, inspect lists the best rows kept and left.",
    )


def _place(selection: Selection, name: str) -> str:
    if selection.decisions[name].reason == PLACEMENT:
        return "placement test"
    return "candidate" if name in selection.places else "no candidate"


def _own_signals(selection: Selection, name: str) -> dict[str, dict[str, float | None]]:
    """Each signal of the row, and the share of candidates with a lower value (null where the selector had none)."""
    import numpy as np

    found: dict[str, dict[str, float | None]] = {}
    for signal, value in selection.own_signals(name).items():
        values = selection.signals.get(signal)
        below = None if values is None or np.isnan(value) else float((values < value).mean())
        found[signal] = {"value": None if np.isnan(value) else value, "below": below}
    return found
