"""Draws the placement test from the candidates that are best by quality. Its rows are held out of training for good."""

from __future__ import annotations

from distill_app.selection import placement
from distill_app.stages import Context, Summary, _candidates
from distill_app.store.files import write_json

VERSION = 1
MODEL = False
FILE = "placement.json"


def run(stage: Context) -> Summary:
    """Write placement.json: the ids of the rows of the test, sorted."""
    pool = _candidates.read(stage)
    settings = stage.options["placement"]
    ids = placement.draw(
        [trace.id for trace in pool.traces],
        pool.columns["quality"].tolist(),
        rows=settings["rows"],
        from_top=settings["from_top"],
        seed=settings["seed"],
    )
    write_json(stage.folder / FILE, ids)
    return Summary(len(ids), counts={"candidates": len(pool.traces), "held out": len(ids)})
