"""What a plan will cost: rows, tokens, seconds and memory for each stage.

Estimates come from what the same kind of work took before on this machine (`rates.jsonl` in the user's cache,
written after every stage). Before there is any, they come from first guesses, of the order seen on two CPU
cores with the built-in 135M student, which say little about another machine or model.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distill_app import resources
from distill_app.plan.stage import Stage
from distill_app.store.artifacts import State, Store
from distill_app.store.files import write_atomic

RECENT = 40
NEAREST = 5
FILE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """Cost of one kind of work: seconds to start, seconds and tokens a row, peak bytes."""

    seconds_start: float
    seconds_row: float
    tokens_row: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """One finished stage: rows made, tokens worked through, seconds, peak bytes."""

    rows: int
    tokens: int | None
    seconds: float
    memory: int | None


FIRST_GUESS: dict[str, Rate] = {
    "problems": Rate(0.1, 0.0002),
    "generate": Rate(0.1, 0.0003, 40),
    "grade": Rate(0.1, 0.0002),
    "quality": Rate(0.1, 0.0005),
    "tokens": Rate(4.0, 0.0005),
    "difficulty": Rate(6.0, 0.12, 40, 1_200_000_000),
    "skills": Rate(0.2, 0.0002),
    "skill_tree": Rate(6.0, 0.5, 40, 1_500_000_000),
    "hygiene": Rate(0.2, 0.0005),
    "agreement": Rate(60.0, 2.0, 200, 4_000_000_000),
    "placement": Rate(0.2, 0.0),
    "pool_answers": Rate(8.0, 0.12, 40, 1_500_000_000),
    "select": Rate(0.1, 0.0002),
    "train": Rate(14.0, 1.0, 230, 2_000_000_000),
    "evaluate": Rate(8.0, 0.12, 40, 1_500_000_000),
    "report": Rate(2.0, 0.0),
}

ASKED = Rate(20.0, 0.4, 150, 2_500_000_000)
"""First guess for a stage that asks a language model where its kind need not: a teacher, a judge."""


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
    """Note what a finished stage took, for later estimates. A file grown past a megabyte loses its older half."""
    path = rates_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {"work": work, "rows": rows, "tokens": tokens, "seconds": round(seconds, 3), "memory": memory_bytes}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    if path.stat().st_size > FILE_BYTES:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        write_atomic(path, "".join(lines[len(lines) // 2 :]))


def learned() -> Mapping[str, Sequence[Measured]]:
    """What each kind of work took on this machine, oldest first."""
    path = rates_path()
    if not path.exists():
        return {}
    seen: dict[str, list[Measured]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
            measured = Measured(entry["rows"], entry["tokens"], entry["seconds"], entry["memory"])
            seen.setdefault(entry["work"], []).append(measured)
        except (ValueError, KeyError, TypeError):
            continue  # a line cut by a crash; the next ones are whole
    return seen


def rate(measured: Sequence[Measured], rows: int, guess: Rate) -> Rate:
    """The rate for `rows` rows: the median of the few recent measurements nearest to that size.

    Start-up is taken from the first guess, since it is paid once, whether rows are few or many; what was measured on
    six rows says little about 800.
    """
    recent = [entry for entry in measured[-RECENT:] if entry.rows > 0]
    if not recent:
        return guess
    near = sorted(recent, key=lambda entry: abs(math.log(entry.rows / max(rows, 1))))[:NEAREST]
    tokens = [entry.tokens / entry.rows for entry in near if entry.tokens]
    memory = [entry.memory for entry in near if entry.memory]
    return Rate(
        seconds_start=guess.seconds_start,
        seconds_row=statistics.median(max(entry.seconds - guess.seconds_start, 0.0) / entry.rows for entry in near),
        tokens_row=statistics.median(tokens) if tokens else None,
        memory_bytes=int(statistics.median(memory)) if memory else None,
    )


def estimate(stage: Stage, store: Store, measured: Mapping[str, Sequence[Measured]]) -> Estimate:
    """The estimate for one stage; for a cached one, what its manifest recorded."""
    state = store.state(stage.kind, stage.fingerprint)
    manifest = store.manifest(stage.kind, stage.fingerprint) if state == "cached" else None
    if manifest:
        return Estimate(
            stage.name, stage.fingerprint, state, manifest["rows"], manifest["tokens"], 0.0,
            manifest["memory_bytes"],
        )  # fmt: skip
    rows = stage.rows
    guess = ASKED if stage.model and stage.kind in ("generate", "quality", "skills") else FIRST_GUESS[stage.kind]
    cost = rate(measured.get(stage.work, ()), rows or 1, guess)
    seconds = cost.seconds_start + cost.seconds_row * rows if rows is not None else None
    if stage.kind == "report":
        seconds = cost.seconds_start
    tokens = int(cost.tokens_row * rows) if cost.tokens_row is not None and rows is not None else None
    return Estimate(
        stage.name, stage.fingerprint, state, rows, tokens,
        round(seconds, 1) if seconds is not None else None, cost.memory_bytes,
    )  # fmt: skip
