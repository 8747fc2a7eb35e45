"""What a run had to do where memory ran out, for its result and its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distill_app.reports.markdown import escape
from distill_app.store.artifacts import Store


def steps(store: Store, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each rung that a stage of the run came down when its artifact was made, in the stages' order.

    `record` is the run's lock.json. An artifact that another run made counts: its numbers were made that way.
    """
    found = []
    for stage in record.get("stages", []):
        manifest = store.manifest(stage["kind"], stage["fingerprint"]) or {}
        found += [{"stage": stage["name"], **step} for step in manifest.get("facts", {}).get("memory", [])]
    return found


def as_markdown(found: Sequence[Mapping[str, Any]]) -> str:
    """A section of report.md; empty where memory sufficed."""
    if not found:
        return ""
    lines = [f"- {escape(step['stage'])}, step {step['step']}: {escape(step['message'])}" for step in found]
    said = (
        "Memory ran out, and these stages went on with less at once. The rows of a training step, the loss and the"
        " draws are the same; numbers can differ by the order in which floats are added."
    )
    return "\n".join(["## Memory", "", said, "", *lines])
