"""Finds the skills each trace needs: chains through the skill tree, from labels in the data or by asking a teacher."""

from __future__ import annotations

from distill_app.records import Trace, TraceSkills
from distill_app.skills import Attributed, attribution, labels, tree
from distill_app.stages import Context, Summary, generate
from distill_app.store import rows
from distill_app.store.files import write_json
from distill_app.teachers._asking import Asker

VERSION = 1
MODEL = False  # the attributing teacher's own MODEL decides: see plan.pool
FILE = "skills.parquet"


def run(stage: Context) -> Summary:
    """Write skills.parquet: the chains of each trace, in the traces' order, and unmatched.json."""
    loaded = tree.load(stage.local["tree"])
    for note in loaded.notes:
        stage.log(note)
    traces = rows.read(stage.input("traces") / generate.FILE, Trace)
    tokens = None
    if stage.options["by"] == "labels":
        found = labels.attribute(traces, loaded.tree)
    else:
        found, tokens = _asked(stage, traces, loaded.tree)
    rows.write(stage.folder / FILE, TraceSkills, found.rows)
    strange = {name: {"times": row.times, "nearest": row.nearest} for name, row in found.unmatched.items()}
    write_json(stage.folder / "unmatched.json", strange)
    if strange:
        stage.log(f"{len(strange)} names are not in the tree; unmatched.json lists them")
    without = sum(not row.chains for row in found.rows)
    return Summary(len(found.rows), tokens, {"rows": len(found.rows), "without skills": without, **found.counts})


def _asked(stage: Context, traces: list[Trace], skills: tree.Tree) -> tuple[Attributed, int | None]:
    options = stage.options["teacher"]
    expected = len(traces)

    def wave(now: attribution.Wave) -> None:
        nonlocal expected
        expected = ask.requests + now.calls
        stage.log(f"wave {now.number}: {now.calls} questions about {now.rows} traces")

    ask = Asker(
        {**options, **stage.local["teacher"]},
        stage.runtime,
        stage.work / "completions.jsonl",
        stage.log,
        lambda answers, tokens: stage.progress(answers, max(expected, answers), "answers", tokens),
    )
    settings = attribution.Options(
        fan_out=stage.options["fan_out"], temperature=None, seed=stage.options["seed"], constrained=True
    )
    found = attribution.attribute(traces, skills, ask, settings, wave)
    ask.close()
    return found, ask.tokens
