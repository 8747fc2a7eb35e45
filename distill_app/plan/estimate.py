"""What a plan will cost: rows, tokens, seconds and memory for each stage.

Estimates come from what the same kind of work took before on this machine (`rates.jsonl` in the user's cache,
written after every stage). Before there is any, they come from first guesses measured on two CPU cores with the
built-in 135M student, which say little about another machine or model.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_app import resources
from distill_app.plan.graph import Stage
from distill_app.store.artifacts import State, Store

RECENT = 5


@dataclass(frozen=True, slots=True)
class Rate:
    """Cost of one kind of work: seconds to start, seconds and tokens a row, peak bytes."""

    seconds_start: float
    seconds_row: float
    tokens_row: float | None = None
    memory_bytes: int | None = None


FIRST_GUESS: dict[str, Rate] = {
    "problems": Rate(0.1, 0.0002),
    "generate": Rate(0.1, 0.0003, 40),
    "grade": Rate(0.1, 0.0002),
    "quality": Rate(0.1, 0.0005),
    "tokens": Rate(4.0, 0.0005),
    "select": Rate(0.1, 0.0002),
    "train": Rate(14.0, 1.0, 230, 2_000_000_000),
    "evaluate": Rate(8.0, 0.12, 40, 1_500_000_000),
    "report": Rate(2.0, 0.0),
}


@dataclass(frozen=True, slots=True)
class Estimate:
    """One line of a plan. `seconds` is 0 for cached stages; None stands for what cannot be known yet."""

    name: str
    fingerprint: str
    state: State
    rows: int | None
    tokens: int | None
    seconds: float | None
    memory_bytes: int | None


def rates_path() -> Path:
    """Where measured rates are kept for this user on this machine."""
    return resources.cache_folder() / "rates.jsonl"


def remember(work: str, rows: int, tokens: int | None, seconds: float, memory_bytes: int | None) -> None:
    """Note what a finished stage took, for later estimates. Small stages say nothing and are not noted."""
    if rows < 1 or seconds < 0.5:
        return
    path = rates_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {"work": work, "rows": rows, "tokens": tokens, "seconds": round(seconds, 2), "memory": memory_bytes}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def learned() -> Mapping[str, Rate]:
    """The median of the last few measurements of each kind of work."""
    path = rates_path()
    if not path.exists():
        return {}
    seen: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
            seen.setdefault(entry["work"], []).append(entry)
        except (ValueError, KeyError, TypeError):
            continue  # a line cut by a crash; the next ones are whole
    return {work: _median(entries[-RECENT:], FIRST_GUESS[work.split()[0]]) for work, entries in seen.items()}


def _median(entries: list[dict[str, Any]], guess: Rate) -> Rate:
    """The rate these measurements show, taking the start-up for granted: rows few or many, it is paid once."""
    tokens = [entry["tokens"] / entry["rows"] for entry in entries if entry["tokens"]]
    memory = [entry["memory"] for entry in entries if entry["memory"]]
    return Rate(
        seconds_start=guess.seconds_start,
        seconds_row=statistics.median(
            max(entry["seconds"] - guess.seconds_start, 0.0) / entry["rows"] for entry in entries
        ),
        tokens_row=statistics.median(tokens) if tokens else None,
        memory_bytes=int(statistics.median(memory)) if memory else None,
    )


def estimate(stage: Stage, store: Store, rates: Mapping[str, Rate]) -> Estimate:
    """The estimate for one stage; for a cached one, what its manifest recorded."""
    state = store.state(stage.kind, stage.fingerprint)
    manifest = store.manifest(stage.kind, stage.fingerprint) if state == "cached" else None
    if manifest:
        return Estimate(
            stage.name, stage.fingerprint, state, manifest["rows"], manifest["tokens"], 0.0,
            manifest["memory_bytes"],
        )  # fmt: skip
    rate = rates.get(stage.work) or FIRST_GUESS[stage.kind]
    rows = stage.rows
    seconds = rate.seconds_start + rate.seconds_row * rows if rows is not None else None
    if stage.kind == "report":
        seconds = rate.seconds_start
    tokens = int(rate.tokens_row * rows) if rate.tokens_row is not None and rows is not None else None
    return Estimate(
        stage.name, stage.fingerprint, state, rows, tokens,
        round(seconds, 1) if seconds is not None else None, rate.memory_bytes,
    )  # fmt: skip
