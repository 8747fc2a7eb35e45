"""The plan of a recipe as the page shows it: every stage, whether it is there already, and what it will cost."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from distill_app.plan.estimate import Estimate
from distill_app.plan.view import Sent
from distill_app.recipe.resolve import Arm

FILES = ("jsonl", "parquet")
QUICK_BYTES = 64 * 1024 * 1024
"""A file is hashed for a plan; up to this size that takes a fraction of a second."""


def slow_to_plan(arms: Sequence[Arm]) -> list[str]:
    """The models and data sets that planning would ask a hub about or read for long: not while a name is typed."""
    names = {name for arm in arms for name in _names(arm.resolved)}
    return sorted(name for name in names if not _quick(name))


def _quick(name: str) -> bool:
    kind, _, path = name.partition(":")
    if kind == "builtin":
        return True
    return kind in FILES and (not os.path.exists(path) or os.path.getsize(path) < QUICK_BYTES)


def _names(data: Any) -> Iterator[str]:
    if isinstance(data, list):
        for item in data:
            yield from _names(item)
    elif isinstance(data, dict):
        for key, item in data.items():
            served = key == "model" and data.get("backend") == "openai"
            if key in ("model", "dataset") and isinstance(item, str) and not served:
                yield item
            else:
                yield from _names(item)


def as_html(table: Sequence[Estimate], leaving: Sequence[Sent] = ()) -> str:
    """Estimates as a table, in the order they will run, the sum and what leaves this machine above it."""
    known = [line.seconds for line in table if line.seconds is not None]
    unknown = len(table) - len(known)
    cached = sum(line.state == "cached" for line in table)
    most = max((line.memory_bytes or 0 for line in table if line.state != "cached"), default=0)
    sentence = f"{len(table)} stages, {cached} of them there already. About {duration(sum(known))} to go"
    sentence += f", and {unknown} of unknown length." if unknown else "."
    if most:
        sentence += f" At most {memory(most)} of memory."
    rows = "".join(
        f"<tr><td>{_breakable(line.name)}</td>"
        f'<td><span class="pill {_pill(line.state)}">{_state(line.state)}</span></td>'
        f'<td class="number">{_number(line.rows)}</td><td class="number">{_number(line.tokens)}</td>'
        f'<td class="number">{duration(line.seconds)}</td><td class="number">{memory(line.memory_bytes)}</td></tr>'
        for line in table
    )
    head = '<th scope="col">Stage</th><th scope="col">State</th>' + "".join(
        f'<th scope="col" class="number">{name}</th>' for name in ("Rows", "Tokens", "Time", "Memory")
    )
    leaves = "".join(f'<p class="notice">{escape(one.told())}</p>' for one in leaving)
    return (
        f'<p id="plan-sum">{sentence}</p>{leaves}<div class="scroll" tabindex="0" role="region" aria-label="Plan">'
        f'<table class="plain"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        '<p class="muted">Rows, tokens, time and memory of stages to run are estimates from this machine\'s past.</p>'
    )


def _breakable(name: str) -> str:
    """A stage's name, which a narrow table may break after a sign."""
    return re.sub(r"([\[/_])", r"\1<wbr>", escape(name))


def _state(state: str) -> str:
    return state.replace("_", " ")


def _pill(state: str) -> str:
    return "finished" if state == "cached" else ""


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def duration(seconds: float | None) -> str:
    """Hours, minutes and seconds as a person says them: "1 h 05 min", "3 min", "12 s"; "?" for None."""
    if seconds is None:
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def memory(size: int | None) -> str:
    """Bytes as gigabytes; a dash for None."""
    return "-" if size is None else f"{size / 1e9:.1f} GB"
