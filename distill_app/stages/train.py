"""Fine-tunes the student on the selected rows with LoRA and leaves the adapter."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from distill_app.recipe.model import Training, build
from distill_app.records import Trace
from distill_app.stages import Context, Summary, select
from distill_app.store import rows
from distill_app.store.files import write_json
from distill_app.students import device as devices
from distill_app.students.load import load_tokenizer
from distill_app.students.locate import fetch, locate
from distill_app.students.template import ChatTemplate
from distill_app.training import rows as training_rows
from distill_app.training.trainer import train

VERSION = 1
MODEL = True


def run(stage: Context) -> Summary:
    """Write adapter/, rendered_example.txt (one row with its loss mask), left_out.json and losses.json."""
    student: dict[str, Any] = stage.options["student"]
    settings = build(Training, stage.options["training"])
    devices.set_threads(stage.runtime.threads)
    device = devices.pick(stage.runtime.device, student["dtype"])
    folder = fetch(locate(stage.local["model"], stage.local["revision"]), stage.log)
    tokenizer = load_tokenizer(folder)
    template = ChatTemplate(tokenizer, student["system_prompt"], student["prompt"])
    for note in template.check().notes:
        stage.log(note)
    selected = rows.read(stage.input("selection") / select.SELECTED, Trace)
    given = [training_rows.TrainingRow(trace.id, trace.question, trace.text) for trace in selected]
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
        checkpoint_steps=stage.runtime.checkpoint_steps,
        emit=emit,
        base_name=stage.local["model"],
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
        },
    )
