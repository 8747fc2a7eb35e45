"""A run with a selection small enough to count by hand, written as the stages write it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from distill_app.records import Decision, Difficulty, Quality, Trace, TraceSkills, Verdict
from distill_app.selection import choice
from distill_app.selectors import Candidates
from distill_app.stages._candidates import PLACEMENT
from distill_app.stages.tokens import TraceTokens
from distill_app.store import rows, runs
from distill_app.store.artifacts import Store
from distill_app.store.files import write_json

NAMES = [f"p{1 + place // 2}/r{1 + place}" for place in range(8)]
"""p1/r1 and p1/r2 answer one problem, and so on. The last two are no candidates."""

TEACHERS = ["ann", "ann", "ann", "bob", "bob", "bob", "bob", "ann"]
VERDICTS = ["correct", "correct", "correct", "correct", "wrong", "no_answer", "correct", "correct"]
QUALITY = [1.0, 0.8, 0.8, 0.6, 0.2, 0.4, 0.9, 0.7]
NLL = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
TOKENS = [10, 20, 30, 40, 50, 60, 70, 25]
CHAINS = [("A -> x",), ("A -> x", "A -> y"), ("B -> z",), ("A -> y",), (), ("B -> z",), ("A -> x",), ("B -> z",)]
PASS_RATE = [0.5, 0.5, 1.0, 1.0, float("nan"), float("nan")]
DECISIONS = [
    (True, 1, 0.9, "kept: 1 of 3; score 0.9"),
    (True, 2, 0.7, "kept: 2 of 3; score 0.7"),
    (False, 3, 0.65, "left: 1 row is of this problem kept already; score 0.65"),
    (True, 4, 0.5, "kept: 3 of 3; score 0.5"),
    (False, 5, 0.3, "left: the 3 rows are full before rank 5; score 0.3"),
    (False, 6, 0.1, "left: the 3 rows are full before rank 6; score 0.1"),
    (False, None, None, "longer than 60 tokens"),
    (False, None, None, PLACEMENT),
]
KINDS = {
    "traces": "generate",
    "verdicts": "grade",
    "quality": "quality",
    "tokens": "tokens",
    "difficulty": "difficulty",
    "skills": "skills",
}


def write(root: Path, *, epochs: Sequence[dict[str, Any]] = (), planned: int = 0) -> runs.Run:
    """A run under `root` with its selection; `epochs` are those that a training at work has left."""
    stages = [{"name": kind, "kind": kind, "fingerprint": f"{kind}-1"} for kind in KINDS.values()]
    stages += [{"name": kind, "kind": kind, "fingerprint": f"{kind}-1"} for kind in ("select", "train")]
    run = runs.create(root, "", "", {"selector": "dmc", "recipe": "hand", "seed": 0, "label": None, "stages": stages})
    store = Store(root)
    for role, content in _inputs().items():
        folder = store.partial(KINDS[role], f"{KINDS[role]}-1")
        kind = type(content[0])
        rows.write(folder / f"{role}.parquet", kind, content)
        store.finish(KINDS[role], f"{KINDS[role]}-1", {})
    folder = store.partial("select", "select-1")
    traces = _inputs()["traces"]
    rows.write(
        folder / "decisions.parquet",
        Decision,
        [Decision(name, *given) for name, given in zip(NAMES, DECISIONS, strict=True)],
    )
    choice.write_signals(folder / "signals.parquet", _candidates())
    if planned:
        rows.write(folder / "live.parquet", Trace, traces[:5])
    write_json(
        folder / "selection.json",
        {
            "label": "DMC (inferred form)",
            "plan": {"selector": "dmc", "options": {}, "seed": 0, "epochs": planned},
            "capability": {"mode": "fixed", "value": 0.25},
            "reads": ["nll", "quality"],
            "max_tokens": None,
            "rows": 3,
            "facts": {
                "preset": "inferred-normalized",
                "quality": {"method": "percentile"},
                "leaves": [{"skill": "A -> x", "share": 0.5}],
            },
            "warnings": ["Difficulty dominates."],
        },
    )
    store.finish("select", "select-1", {"inputs": {role: [f"{kind}-1"] for role, kind in KINDS.items()}})
    if epochs:
        trained = store.partial("train", "train-1") / "epochs"
        trained.mkdir()
        for epoch in epochs:
            write_json(trained / f"epoch-{epoch['epoch']}.json", epoch)
    return run


def epoch(number: int, places: Sequence[int], **changes: Any) -> dict[str, Any]:
    """What an epoch leaves that trained the rows at these places."""
    ids = [NAMES[place] for place in places]
    figures = {"epoch": number, "rows": len(ids), "scored": 0, "seconds": 0.0, "capability": 0.25, "overlap": None}
    return {**figures, "ids": ids, "scores": None, **changes}


def _inputs() -> dict[str, list[Any]]:
    each = list(zip(NAMES, TEACHERS, VERDICTS, QUALITY, NLL, TOKENS, CHAINS, strict=True))
    return {
        "traces": [
            Trace(
                name,
                name.split("/")[0],
                f"What is {name}?",
                "4",
                f"It is 4, says {teacher}.",
                teacher,
                "rephrase" if name == NAMES[2] else "chain_of_thought",
                0,
                1,
                "stop",
                note="sure" if teacher == "ann" else None,
            )
            for name, teacher, *_ in each
        ],
        "verdicts": [Verdict(row[0], row[2], None if row[2] == "no_answer" else "4", "boxed") for row in each],
        "quality": [Quality(row[0], row[3], (("answer", row[3]), ("form", 1.0))) for row in each],
        "difficulty": [Difficulty(row[0], row[5], row[4], 4.0, 100, False) for row in each],
        "tokens": [TraceTokens(row[0], row[5]) for row in each],
        "skills": [TraceSkills(row[0], row[6], None if row[6] else "no name fits") for row in each],
    }


def _candidates() -> Candidates:
    import numpy as np

    signals = {
        "quality": QUALITY[:6],
        "nll": NLL[:6],
        "nll_alone": [4.0] * 6,
        "pass_rate": PASS_RATE,
        "tokens": TOKENS[:6],
    }
    return Candidates(
        NAMES[:6],
        [name.split("/")[0] for name in NAMES[:6]],
        {name: np.array(values, dtype=np.float64) for name, values in signals.items()},
    )
