"""The Inspect page's tab of one row: question, trace, signals, rank and reason."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr

from distill_app.errors import DistillError
from distill_app.reports import inspect_row

from . import inspect_views, mathtext
from .inspect_asked import ADDRESS, KEEP, of_address, of_id, selection
from .listening import QUIET
from .pool import Pool

LISTED = 100
"""Rows that the box offers, of the best kept and of the best left each; any other can be typed."""
NOTE_ROW = KEEP % ('["problem", "benchmark", "with"]', "row")


def tab(root: Path, wanted: gr.Textbox, opened: gr.Tab) -> None:
    """Its components and what moves them; `wanted` holds the run's id, `opened` is the tab they stand in."""
    address = gr.Textbox(visible="hidden", elem_id="inspect-row-address")
    with gr.Row():
        row = gr.Dropdown(
            [],
            label="Row",
            info=f"The {LISTED} best kept and the {LISTED} best left; any other by its id, or by a part of it.",
            allow_custom_value=True,
            elem_id="inspect-row",
            scale=4,
            min_width=280,
        )
        before = gr.Button("Better ranked", size="sm", elem_id="inspect-before", min_width=120)
        after = gr.Button("Worse ranked", size="sm", elem_id="inspect-after", min_width=120)
    with gr.Row():
        with gr.Column(min_width=320, scale=2):
            facts = gr.HTML(elem_id="inspect-facts", apply_default_css=False)
        with gr.Column(min_width=320, scale=3):
            trace = gr.Markdown(
                latex_delimiters=mathtext.DELIMITERS, line_breaks=True, elem_id="inspect-trace", container=False
            )

    def first(pool: Pool | None, query: Mapping[str, Any]) -> list[Any]:
        if pool is None:
            return [gr.skip()] * 3
        listed = pool.first(LISTED)
        name = str(query["row"]) if "row" in query else (listed or pool.candidates or [""])[0]
        found, html, markdown = shown(pool, name)
        return [gr.Dropdown(listed, value=found), html, markdown]

    def load(request: gr.Request) -> list[Any]:
        query = dict(request.query_params)
        return first(selection(root, of_address(root, query)), query) if "row" in query else [gr.skip()] * 3

    def open_tab(run: str, before: str | None, address: str) -> list[Any]:
        # An address that names a row opens this tab itself, while `load` is at work: both must show the same.
        return [gr.skip()] * 3 if before else first(selection(root, of_id(root, run)), dict(parse_qsl(address)))

    def pick(run: str, name: str | None) -> list[Any]:
        pool = selection(root, of_id(root, run))
        return [gr.skip()] * 3 if pool is None else shown(pool, name or "")

    def step(by: int) -> Any:
        def go(run: str, name: str | None) -> list[Any]:
            pool = selection(root, of_id(root, run))
            other = None if pool is None else beside(pool, name or "", by)
            return [gr.skip()] * 3 if pool is None or other is None else shown(pool, other)

        return go

    outputs = [row, facts, trace]
    gr.on(None, load, None, outputs, **QUIET)
    opened.select(open_tab, [wanted, row, address], outputs, js=ADDRESS, **QUIET)
    for trigger, listener in ((row.input, pick), (before.click, step(-1)), (after.click, step(1))):
        trigger(listener, [wanted, row], outputs, **QUIET).then(None, row, None, js=NOTE_ROW, api_visibility="private")


def shown(pool: Pool, name: str) -> list[Any]:
    """The row's full id, the decision and signals as HTML, and question and trace as Markdown."""
    if not name:
        return ["", '<p class="notice">Choose a row, or type its id.</p>', ""]
    try:
        found = inspect_row.row(pool, name)
    except DistillError as error:
        return [name, f'<p class="notice" role="status">{escape(str(error))}</p>', ""]
    return [found["id"], inspect_views.row(found), inspect_views.trace(found)]


def beside(pool: Pool, name: str, by: int) -> str | None:
    """The candidate whose rank is `by` more; None for a row without a rank, and at either end."""
    import numpy as np

    if name not in pool.places:
        return None
    found = np.flatnonzero(pool.ranks == pool.ranks[pool.places[name]] + by)
    return pool.candidates[int(found[0])] if len(found) else None
