"""Chooses what the student learns from: of the pool that hygiene leaves, the selector's best."""

from __future__ import annotations

import dataclasses
import importlib
import json
from pathlib import Path
from typing import Any

from distill_app.records import Decision, Trace, TraceSkills
from distill_app.selection import capability, choice
from distill_app.selectors import Candidates
from distill_app.stages import Context, Summary, _candidates, _skill_accuracy, placement
from distill_app.stages._candidates import Pool
from distill_app.store import rows
from distill_app.store.files import write_json
from distill_app.students.locate import public_name

VERSION = 3
MODEL = False
SELECTED = "selected.parquet"
DECISIONS = "decisions.parquet"
SIGNALS = "signals.parquet"
CHAINS = "chains.parquet"
LIVE = "live.parquet"
HELD_OUT = "placement.parquet"
FACTS = "selection.json"
TABLE_LINE = "placement.jsonl"


def run(stage: Context) -> Summary:
    """Write selected.parquet (the kept traces, best first), decisions.parquet (every row with its reason),
    signals.parquet (what the selector could read, by candidate) and selection.json (figures of the whole ranking).

    With skills, chains.parquet; with a placement test its rows in placement.parquet, and this pair's line of a
    population table in placement.jsonl. For dynamic selection live.parquet, the candidates scored again.
    """
    options = stage.options
    held_out: list[str] = []
    if "placement" in stage.inputs:
        held_out = json.loads((stage.input("placement") / placement.FILE).read_text(encoding="utf-8"))
    pool = _candidates.read(stage, frozenset(held_out))
    given, scale = _with_student(stage, pool)
    module = importlib.import_module(f"distill_app.selectors.{options['selector']}")
    plan = choice.Plan(options["selector"], options["selector_options"], options["seed"], options["epochs"] or 0)
    chosen = choice.first(plan, given)
    by_id = {trace.id: trace for trace in pool.traces}
    kept = sorted((row for row in chosen.decisions if row.kept), key=lambda row: row.rank or 0)
    rows.write(stage.folder / SELECTED, Trace, [by_id[row.id] for row in kept])
    rows.write(stage.folder / DECISIONS, Decision, [*chosen.decisions, *pool.left])
    choice.write_signals(stage.folder / SIGNALS, given)
    if pool.chains:
        chains = [TraceSkills(trace.id, pool.chains[trace.id]) for trace in pool.traces]
        rows.write(stage.folder / CHAINS, TraceSkills, chains)
    if pool.held_out:
        rows.write(stage.folder / HELD_OUT, Trace, pool.held_out)
    if plan.epochs:
        rows.write(stage.folder / LIVE, Trace, [by_id[name] for name in chosen.live])
    facts = {
        "label": module.LABEL,
        "plan": plan.as_json(),
        "capability": scale,
        "reads": chosen.reads,
        "max_tokens": options["max_tokens"],
        "rows": len(kept),
        "facts": dict(chosen.facts),
        "warnings": list(chosen.warnings),
    }
    write_json(stage.folder / FACTS, facts)
    for warning in chosen.warnings:
        stage.log(f"{module.LABEL}: {warning}")
    counts = {"traces": len(pool.traces) + len(pool.left), "candidates": len(pool.traces), "selected": len(kept)}
    counts |= {f"left out: {why}": n for why, n in sorted(_candidates.reasons_of(pool.left).items())}
    return Summary(len(kept), counts=counts, facts={"label": module.LABEL, "warnings": list(chosen.warnings)})


def _with_student(stage: Context, pool: Pool) -> tuple[Candidates, dict[str, Any] | None]:
    """The candidates with the student's capability and accuracies, and what the capability was made from."""
    given = pool.candidates()
    settings = stage.options["capability"]
    scale: dict[str, Any] | None = None
    value = None
    if settings is not None and settings["mode"] == "fixed":
        value = settings["value"]
        scale = {"mode": "fixed", "value": value}
    elif settings is not None:
        nlls = _candidates.held_out_nlls(stage, pool)
        table = stage.local.get("table")
        fixed = capability.scale(settings, nlls, Path(table) if table else None)
        value = fixed.capability(nlls)
        line = {
            "student": public_name(stage.local["student"]),
            "pool": stage.options["pool"],
            "definition": fixed.definition,
            "absolute": capability.absolute(nlls, fixed.definition),
        }
        (stage.folder / TABLE_LINE).write_text(json.dumps(line) + "\n", encoding="utf-8")
        scale = {
            "mode": settings["mode"],
            "definition": fixed.definition,
            "low": fixed.low,
            "high": fixed.high,
            "absolute": line["absolute"],
            "value": value,
            "rows": len(nlls),
        }
    return dataclasses.replace(_skill_accuracy.add(stage, pool, given), capability=value), scale
