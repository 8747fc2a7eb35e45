"""`show RUN --diff OTHER`: what two runs do not share, and the first stage that it reaches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from distill_app.reproduce import differences, opened
from distill_app.reproduce.differences import Difference, shown
from distill_app.reproduce.opened import Opened

HEADS = {
    "recipe": "Settings",
    "seed": "Seeds",
    "runtime": "Settings that are part of no fingerprint",
    "content": "Models and data",
    "template": "Chat template",
    "package": "Packages",
    "python": "Python",
    "code": "Program",
    "hardware": "Hardware",
    "computed": "Where models computed",
}
WIDTH = 100


def diff(root: Path, first: str, second: str) -> dict[str, Any]:
    """Two runs, bundles or locks side by side, as `schemas/diff.schema.json` describes it."""
    one, other = opened.open_(root, first), opened.open_(root, second)
    found = differences.between(one.lock, other.lock)
    stage = differences.first_stage(found)
    return {
        "first": _described(one),
        "second": _described(other),
        "differences": [entry.as_json() for entry in found],
        "first_stage": None if stage is None else stage.name,
        "unsaid": sorted({*differences.unsaid(one.lock), *differences.unsaid(other.lock)}),
    }


def as_text(found: Mapping[str, Any]) -> str:
    """The differences for the terminal, the first stage and its reasons before the others."""
    lines = [f"first:  {_line(found['first'])}", f"second: {_line(found['second'])}", ""]
    entries = [Difference(**{**entry, "why": tuple(entry["why"])}) for entry in found["differences"]]
    lines += _stages([entry for entry in entries if entry.part == "stage"])
    for part, head in HEADS.items():
        chosen = [entry for entry in entries if entry.part == part]
        if chosen:
            lines += ["", f"{head}, first | second:", *(line for entry in chosen for line in _pair(entry))]
    if found["unsaid"]:
        lines += [
            "",
            f"Not compared, because a lock of an earlier version does not say it: {', '.join(found['unsaid'])}.",
        ]
    return "\n".join(lines)


def _stages(entries: list[Difference]) -> Iterator[str]:
    if not entries:
        yield "Every stage has the same fingerprint: by what is known of them, the runs do the same work."
        return
    first, *rest = entries
    yield f"The first stage that differs is {first.name} ({shown(first.first)} | {shown(first.second)})."
    if first.first is None or first.second is None:
        yield f"  {_reason(first)}"
    yield from (_cut(f"  because of {why}") for why in first.why)
    yield from (_cut(f"  then {entry.name}{': ' if (why := _reason(entry)) else ''}{why}") for entry in rest)


def _reason(entry: Difference) -> str:
    """Why a stage differs, in few words; "" where a lock of an earlier version does not say it."""
    if entry.first is None or entry.second is None:
        return f"only the {'second' if entry.first is None else 'first'} has it"
    own = [why for why in entry.why if not why.startswith("reads ")]
    return "; ".join(own) or ("follows from what it reads" if entry.why else "")


def _pair(entry: Difference) -> list[str]:
    """Both values on a line, or below one another where that is too long."""
    line = f"  {entry.name}: {shown(entry.first, WIDTH)} | {shown(entry.second, WIDTH)}"
    if len(line) <= WIDTH:
        return [line]
    return [f"  {entry.name}:", *(f"    {shown(value, WIDTH - 4)}" for value in (entry.first, entry.second))]


def _described(one: Opened) -> dict[str, Any]:
    keys = ("recipe", "label", "selector", "seed")
    return {
        "name": one.name,
        "run": one.lock.get("run"),
        **{key: one.lock[key] for key in keys},
        "plan": one.lock["plan"],
    }


def _line(one: Mapping[str, Any]) -> str:
    label = f" ({one['label']})" if one["label"] else ""
    return f"{one['name']}: {one['recipe']}{label}, {one['selector']}, seed {one['seed']}"


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
