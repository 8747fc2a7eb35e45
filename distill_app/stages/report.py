"""Puts a run's figures together: result.json, a one-page report and its plots."""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill_app.evaluation import grading
from distill_app.plan.fingerprint import fingerprint
from distill_app.records import Decision, Problem, Quality, Sample, Trace, TraceSkills, Verdict
from distill_app.reports import markdown, plots, result, selections
from distill_app.stages import Context, Summary, evaluate, grade, problems, quality, select
from distill_app.store import rows
from distill_app.store.files import write_json

VERSION = 4
MODEL = False
ARM_VERSION = 3
"""Of what tells arms apart. Another number keeps runs of before from standing in one arm with those of now."""
EXAMPLES = 4
"""Benchmark problems shown in the report: those where the two students' answers differ come first."""


def run(stage: Context) -> Summary:
    """Write result.json (its `run` is filled in when it is copied beside a run), report.md and PNG plots."""
    options: dict[str, Any] = dict(stage.options)
    manifests = {
        folder: json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        for folders in stage.inputs.values()
        for folder in folders
    }
    timings = {manifest["stage"]: manifest["seconds"] for manifest in manifests.values()}
    train = manifests[stage.input("train")]
    base, trained = (_measured(stage, role) for role in ("base", "trained"))
    evaluation = options["evaluation"]
    selection = _selection(stage)
    arm, setting = arm_and_setting(stage, manifests)
    agreement = manifests[stage.input("agreement")]["facts"] if "agreement" in stage.inputs else None
    found = result.build(
        run="",
        recipe=options["recipe"],
        selector=options["selector"]["name"],
        label=selections.label(selection["label"], dynamic=selection["dynamic"]),
        seed=options["seed"],
        arm=arm,
        setting=setting,
        status="finished",
        trained=trained,
        base=base,
        samples=evaluation["samples"],
        k=evaluation["k"],
        train_tokens=train["facts"]["train_tokens"],
        seconds=round(sum(timings.values()), 3),
        selection=selection,
        counts=_counts(stage, manifests, train),
        timings=timings,
        settings={
            "student": options["student"],
            "teachers": {teacher["name"]: teacher["backend"] for teacher in options["teachers"]},
            "augmentations": ", ".join(options["augmentations"]),
            **{key: options[key] for key in ("quality", "selector", "pool", "epochs", "training")},
            "evaluation": {**evaluation, "stop_tokens": manifests[stage.inputs["base"][0]]["facts"]["stop_tokens"]},
            "training_device": train["facts"]["device"],
            "training_dtype": f"{train['facts']['dtype']} ({train['facts']['dtype_why']})",
            "template": train["facts"]["template"],
            "label": options["label"],
        },
        notes=[*selections.warnings(selection), *_agreed(agreement), *_notes(manifests)],
        agreement=agreement,
    )
    write_json(stage.folder / "result.json", found)
    figures = _figures(stage, found)
    text = markdown.render(
        found,
        description=options["description"],
        student=options["student"],
        teachers=[_teacher(teacher) for teacher in options["teachers"]],
        examples=[example for pair in zip(base, trained, strict=True) for example in _examples(*pair)],
        figures=figures,
    )
    (stage.folder / "report.md").write_text(text, encoding="utf-8")
    return Summary(len(found["rows"]))


def _selection(stage: Context) -> dict[str, Any]:
    """What the selector said of its ranking, and what dynamic selection chose before each epoch, without the rows."""
    facts = json.loads((stage.input("selection") / select.FACTS).read_text(encoding="utf-8"))
    epochs = [
        {key: value for key, value in epoch.items() if key not in ("ids", "scores")} | {"warnings": epoch["warnings"]}
        for epoch in selections.epochs(stage.input("train"))
    ]
    return {
        "dynamic": bool(facts["plan"]["epochs"]),
        **{key: facts[key] for key in ("label", "rows", "reads", "capability", "facts", "warnings")},
        "epochs": epochs,
    }


def arm_and_setting(stage: Context, manifests: Mapping[Path, Any]) -> tuple[str, str]:
    """Fingerprints that runs share which differ in seed alone, and which differ in seed and selector alone.

    How many rows are selected (`top`, `per_problem`, `unit`) is no matter of the selector: arms of other sizes do not
    compare at equal cost. `manifests` has that of every input by its folder.
    """
    selection, train = manifests[stage.input("selection")], manifests[stage.input("train")]
    chosen: dict[str, Any] = selection["options"]
    shared = {
        "recipe": stage.options["recipe"],
        "size": {key: chosen["selector_options"].get(key) for key in ("top", "per_problem", "unit")},
        "pool": {role: selection["inputs"][role] for role in ("traces", "verdicts", "hygiene")},
        "train": [train["version"], _seedless(train["options"])],
        "evaluation": stage.options["evaluation"],
        "base": [
            manifests[folder]["fingerprint"] for folder in (*stage.inputs["base"], *stage.inputs["base_verdicts"])
        ],
    }
    whole = {**shared, "select": [selection["version"], _seedless(chosen), selection["inputs"]]}
    return fingerprint("arm", ARM_VERSION, whole, {}), fingerprint("setting", ARM_VERSION, shared, {})


def _seedless(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != "seed"}


def _measured(stage: Context, role: str) -> list[result.Measured]:
    names = stage.options["evaluation"]["benchmarks"]
    folders = zip(names, stage.inputs["problems"], stage.inputs[role], stage.inputs[f"{role}_verdicts"], strict=True)
    found = []
    for name, asked, answers, graded in folders:
        sources = {row.id: row.cluster for row in rows.read(asked / problems.FILE, Problem) if row.cluster}
        samples = rows.read(answers / evaluate.FILE, Sample)
        verdicts = rows.read(graded / grade.FILE, Verdict)
        labels = grading.answer_classes(
            samples, verdicts, workers=stage.runtime.grade_workers, limit_seconds=stage.runtime.grade_seconds
        )
        found.append(result.Measured(name, samples, verdicts, labels, sources))
    return found


def _counts(stage: Context, manifests: dict[Path, Any], train: dict[str, Any]) -> dict[str, Any]:
    selected = rows.read(stage.input("selection") / select.SELECTED, Trace)
    verdicts = {
        row.id: row.verdict for folder in stage.inputs["verdicts"] for row in rows.read(folder / grade.FILE, Verdict)
    }
    counts: dict[str, Any] = {
        "pool": manifests[stage.input("hygiene")]["counts"],
        "contaminated by benchmark": manifests[stage.input("hygiene")]["facts"]["contaminated"],
        "selection": manifests[stage.input("selection")]["counts"],
        "selected by teacher": Counter(row.teacher for row in selected),
        "selected by augmentation": Counter(row.augmentation for row in selected),
        "selected by graded answer": Counter(verdicts[row.id] for row in selected),
        "training": {
            **train["counts"],
            "tokens read": train["tokens"],
            "tokens trained on": train["facts"]["train_tokens"],
        },
        "problems": {manifests[folder]["stage"]: manifests[folder]["rows"] for folder in stage.inputs["problems"]},
    }
    if (stage.input("selection") / select.CHAINS).exists():
        chains = {row.id: row.chains for row in rows.read(stage.input("selection") / select.CHAINS, TraceSkills)}
        of_selected = [chains[row.id] or ("no skill",) for row in selected]
        counts["selected by skill (a row has each of its skills)"] = Counter(
            chain for found in of_selected for chain in found
        )
    if any(row.note for row in selected):
        counts["selected by the teacher's own label"] = Counter(row.note or "none" for row in selected)
    return {
        name: dict(sorted(values.items())) if isinstance(values, Counter) else values for name, values in counts.items()
    }


def _notes(manifests: dict[Path, Any]) -> list[str]:
    notes = ["One training seed: a claim about selection needs several (`matrix: {seed: [...]}`)."]
    skipped = sum(manifest["counts"].get("skipped", 0) for manifest in manifests.values())
    if skipped:
        notes.append(f"{skipped} rows of the problem files could not be read and were left out.")
    if any(manifest.get("resumed") for manifest in manifests.values()):
        notes.append("A stage was interrupted and gone on with; its seconds are those of the last attempt.")
    return notes


def _agreed(agreement: Mapping[str, Any] | None) -> list[str]:
    return [] if agreement is None else [*agreement["warnings"], *(pair["said"] for pair in agreement["pairs"])]


def _teacher(teacher: dict[str, str]) -> markdown.Teacher:
    module = importlib.import_module(f"distill_app.teachers.{teacher['backend']}")
    return markdown.Teacher(teacher["name"], f"backend {teacher['backend']}", program=getattr(module, "PROGRAM", False))


def _figures(stage: Context, found: result.Result) -> list[markdown.Figure]:
    joined = plots.with_base_intervals(found["rows"], found["base_rows"])
    plots.save(plots.scores(joined), stage.folder / "scores.png")
    figures = [markdown.Figure("scores.png", plots.scores_alt(joined))]
    losses = json.loads((stage.input("train") / "losses.json").read_text(encoding="utf-8"))
    steps = list(range(1, len(losses) + 1))
    plots.save(plots.loss(steps, losses), stage.folder / "loss.png")
    figures.append(markdown.Figure("loss.png", plots.loss_alt(steps, losses)))
    if "quality" in stage.inputs:
        scores = {
            row.id: row.quality
            for folder in stage.inputs["quality"]
            for row in rows.read(folder / quality.FILE, Quality)
        }
        decisions = rows.read(stage.input("selection") / select.DECISIONS, Decision)
        kept = [scores[row.id] for row in decisions if row.kept]
        left = [scores[row.id] for row in decisions if not row.kept]
        plots.save(plots.quality(kept, left), stage.folder / "quality.png")
        figures.append(markdown.Figure("quality.png", plots.quality_alt(kept, left)))
    return figures


def _examples(base: result.Measured, trained: result.Measured) -> list[markdown.Example]:
    """First answers to a few problems, before and after: where the verdicts differ first, then by problem order."""
    verdicts = [{row.id: row.verdict for row in measured.verdicts} for measured in (base, trained)]
    pairs = [(before, after) for before, after in zip(base.samples, trained.samples, strict=True) if before.sample == 0]
    pairs.sort(key=lambda pair: verdicts[0][pair[0].id] == verdicts[1][pair[1].id])
    return [
        markdown.Example(
            trained.benchmark,
            before.question,
            before.answer,
            before.text,
            verdicts[0][before.id],
            after.text,
            verdicts[1][after.id],
        )
        for before, after in pairs[:EXAMPLES]
    ]
