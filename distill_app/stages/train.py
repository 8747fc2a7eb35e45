"""Fine-tunes the student on the selected rows with LoRA and leaves the adapter."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from distill_app.recipe.model import Training, build
from distill_app.records import Trace, TraceSkills
from distill_app.selection import choice
from distill_app.selection.capability import Scale
from distill_app.skills import prefix, tree
from distill_app.stages import Context, Summary, select
from distill_app.stages.difficulty import score_requests
from distill_app.store import rows
from distill_app.store.files import write_json
from distill_app.students import device as devices
from distill_app.students.load import load_tokenizer
from distill_app.students.locate import fetch, locate
from distill_app.students.scoring import start_token
from distill_app.students.template import ChatTemplate
from distill_app.training import checkpoints
from distill_app.training import rows as training_rows
from distill_app.training.reselect import Live, Reselection
from distill_app.training.trainer import train

VERSION = 3
MODEL = True
CLOCK = "selection_seconds.json"
EPOCHS = "epochs"
"""Folder of what dynamic selection chose before each epoch."""


def run(stage: Context) -> Summary:
    """Write adapter/, rendered_example.txt (one row with its loss mask), left_out.json and losses.json."""
    student: dict[str, Any] = stage.options["student"]
    settings = build(Training, stage.options["training"])
    devices.set_threads(stage.runtime.threads)
    device = devices.pick(stage.runtime.device, student["dtype"])
    folder = fetch(locate(stage.local["model"], stage.local["revision"]), stage.log)
    tokenizer = load_tokenizer(folder)
    template = ChatTemplate(tokenizer, student["system_prompt"], student["prompt"], student["thinking"])
    for note in template.check().notes:
        stage.log(note)
    selection = stage.input("selection")
    facts = json.loads((selection / select.FACTS).read_text(encoding="utf-8"))
    dynamic = bool(facts["plan"]["epochs"])
    traces = rows.read(selection / (select.LIVE if dynamic else select.SELECTED), Trace)
    given = _rows(stage, settings, traces, template)
    encoded = training_rows.encode(given, template, settings.max_length)
    by_id = {row.id: row for row in given}
    for example in encoded.examples:
        training_rows.check(example, by_id[example.id], template, tokenizer)
    for first in encoded.examples[:1]:
        (stage.folder / "rendered_example.txt").write_text(training_rows.render(first, tokenizer), encoding="utf-8")
    write_json(stage.folder / "left_out.json", [dataclasses.asdict(row) for row in encoded.left_out])
    if encoded.left_out:
        stage.log(f"left out {len(encoded.left_out)} of {len(given)} rows; left_out.json says why")

    def emit(kind: str, values: Mapping[str, Any]) -> None:
        if kind == "progress":
            stage.progress(values["done"], values["total"], "steps")
        else:
            stage.emit(kind, values)

    reselection = _reselection(stage, facts, traces, encoded, template, tokenizer) if dynamic else None
    result = train(
        encoded,
        folder,
        stage.folder / "adapter",
        stage.work / "checkpoints",
        settings,
        epochs=stage.options["epochs"],
        seed=stage.options["seed"],
        device=device,
        train_rows=stage.runtime.train_rows,
        checkpoints_every=checkpoints.Every(stage.runtime.checkpoint_steps, 60 * stage.runtime.checkpoint_minutes),
        gradient_checkpointing=stage.runtime.gradient_checkpointing,
        emit=emit,
        base_name=stage.local["model"],
        reselect=reselection,
    )
    write_json(stage.folder / "losses.json", result.losses)
    return Summary(
        result.rows,
        result.tokens,
        {"rows": result.rows, "left out": len(encoded.left_out), "steps": result.steps},
        {
            "train_tokens": result.target_tokens,
            "final_loss": result.final_loss,
            "padding_share": result.padding_share,
            "template": template.hash,
            "device": device.name,
            "dtype": device.dtype,
            "dtype_why": device.why,
            "selection_seconds": reselection.seconds() if reselection else {},
        },
    )


def _reselection(
    stage: Context,
    facts: Mapping[str, Any],
    traces: Sequence[Trace],
    encoded: training_rows.Encoded,
    template: ChatTemplate,
    tokenizer: Any,
) -> Reselection:
    """Dynamic selection over the candidates that can be trained at all, in the order of the examples."""
    selection = stage.input("selection")
    whole = choice.read_signals(selection / select.SIGNALS)
    if (selection / select.CHAINS).exists():
        chains = {row.id: row.chains for row in rows.read(selection / select.CHAINS, TraceSkills)}
        whole = dataclasses.replace(whole, skills=[chains[name] for name in whole.ids])
    scale = facts["capability"]
    whole = dataclasses.replace(whole, capability=scale["value"] if scale else None)
    places = {name: place for place, name in enumerate(whole.ids)}
    by_id = {trace.id: trace for trace in traces}
    ids = [example.id for example in encoded.examples]
    fits = set(ids)
    measured = scale is not None and scale["mode"] != "fixed"
    placement = rows.read(selection / select.HELD_OUT, Trace) if measured else []
    return Reselection(
        stage.folder / EPOCHS,
        stage.work / CLOCK,
        choice.Plan(**facts["plan"]),
        Live(
            pool=choice.part(whole, [places[name] for name in ids]),
            requests=score_requests([by_id[name] for name in ids], template),
            first=[row.id for row in rows.read(selection / select.SELECTED, Trace) if row.id in fits],
            reads=frozenset(facts["reads"]),
            placement=score_requests(placement, template),
            scale=Scale(scale["definition"], scale["low"], scale["high"]) if measured else None,
        ),
        start_id=start_token(tokenizer),
        max_tokens=facts["max_tokens"],
        pack_tokens=stage.runtime.score_tokens,
        tell=lambda figures: stage.emit("selection", figures),
    )


def _rows(
    stage: Context, settings: Training, traces: Sequence[Trace], template: ChatTemplate
) -> list[training_rows.TrainingRow]:
    """The traces to learn, with their skills written at the start where the recipe asks for it, and proven there."""
    wanted = settings.skills
    if wanted is None:
        return [training_rows.TrainingRow(trace.id, trace.question, trace.text) for trace in traces]
    chains = {row.id: row.chains for row in rows.read(stage.input("selection") / select.CHAINS, TraceSkills)}
    labels = tree.load_labels(Path(stage.local["labels"])) if stage.local["labels"] else None
    given = []
    for trace in traces:
        shown = prefix.lines(chains[trace.id], depth=wanted.depth, drop_short=wanted.drop_short, labels=labels)
        written = prefix.prefix(shown)
        text = prefix.put(trace.text, written, wanted.place)
        prefix.verify(trace.id, template.target_ids(text), text, written, template.tokenizer)
        given.append(training_rows.TrainingRow(trace.id, trace.question, text))
    return given
