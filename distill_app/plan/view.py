"""A plan for a person or a program: every stage of every arm once, with what it will cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from distill_app.plan import estimate, graph
from distill_app.plan.estimate import Estimate
from distill_app.recipe.resolve import Arm
from distill_app.store.artifacts import Store


@dataclass(frozen=True, slots=True)
class Sent:
    """A server that is sent prompts: the teacher it answers for, its host and port, and the environment variable whose
    value goes with them as its key (null: none)."""

    teacher: str
    host: str
    key_variable: str | None

    def told(self) -> str:
        """As a sentence."""
        key = f"the key in {self.key_variable}" if self.key_variable else "no key"
        return f"The teacher {self.teacher} is asked at {self.host}: prompts go there, and {key}."


def estimates(arms: Sequence[Arm], root: Path) -> list[Estimate]:
    """One estimate for each distinct stage, in the order they will run.

    Stages that arms share appear once. Where arms have stages of one name that differ, the name carries what
    tells the arms apart.
    """
    store, measured = Store(root), estimate.learned()
    found: dict[str, tuple[Estimate, str]] = {}
    for arm in arms:
        for stage in graph.build(arm).stages:
            found.setdefault(stage.fingerprint, (estimate.estimate(stage, store, measured), arm.label))
    names = [line.name for line, _ in found.values()]
    return [
        replace(line, name=f"{line.name} ({label})") if names.count(line.name) > 1 and label else line
        for line, label in found.values()
    ]


def sent(arms: Sequence[Arm]) -> list[Sent]:
    """What leaves this machine when the arms run: one entry a teacher behind a server, none twice."""
    found = []
    for arm in arms:
        asked = [*arm.resolved["teacher"], arm.resolved["quality"].get("teacher"), arm.resolved["skills"]["teacher"]]
        for teacher in asked:
            if teacher is not None and "base_url" in teacher:
                host = urlsplit(teacher["base_url"]).netloc
                found.append(Sent(teacher["name"], host, teacher["api_key_env"]))
    return list(dict.fromkeys(found))


def as_json(table: Sequence[Estimate], leaving: Sequence[Sent] = ()) -> dict[str, Any]:
    """The shape of `plan --json` (schemas/plan.schema.json)."""
    return {"stages": [asdict(line) for line in table], "sent": [asdict(line) for line in leaving]}


def as_text(table: Sequence[Estimate], leaving: Sequence[Sent] = ()) -> str:
    """A table for the terminal, and what leaves this machine; times are estimates."""
    width = max(len(line.name) for line in table)
    lines = [
        f"{'stage':<{width}}  {'fingerprint':<16}  {'state':<7}  {'rows':>8} {'tokens':>10} {'time':>8} {'memory':>8}"
    ]
    for line in table:
        lines.append(
            f"{line.name:<{width}}  {line.fingerprint}  {line.state.replace('_', ' '):<7}  {_number(line.rows):>8} "
            f"{_number(line.tokens):>10} {_time(line.seconds):>8} {_memory(line.memory_bytes):>8}"
        )
    known = [line.seconds for line in table if line.seconds is not None]
    unknown = len(table) - len(known)
    lines.append(
        f"About {_time(sum(known))} to go" + (f", and {unknown} stages of unknown length." if unknown else ".")
    )
    return "\n".join([*lines, *(one.told() for one in leaving)])


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _memory(value: int | None) -> str:
    return "-" if value is None else f"{value / 1e9:.1f} GB"
