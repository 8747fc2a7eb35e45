"""The Inspect page's tab of the pool: scatter, histogram, and what was kept of what there was."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from distill_app.reports.inspect import SCORE

from . import figures, inspect_views
from .inspect_asked import of_address, of_id, selection
from .inspect_rows import LISTED
from .listening import LATEST, QUIET
from .pool import COLOURS, DRAWN, Pool

FIRST = ("quality", "nll", "tokens")
"""Signals that a person asks for first, where the run has them."""

OPEN = """(row) => {
  if (!row) return;
  const here = new URL(location.href);
  here.searchParams.set("row", row);
  location.href = here;
}"""
CLICK = """() => {
  const look = (left) => {
    const plot = document.querySelector("#inspect-scatter .js-plotly-plot");
    if (!plot || !plot.on) { if (left) setTimeout(look, 200, left - 1); return; }
    if (plot.dataset.opens) return;
    plot.dataset.opens = "yes";
    plot.on("plotly_click", (event) => {
      const here = new URL(location.href);
      here.searchParams.set("row", event.points[0].customdata);
      location.href = here;
    });
  };
  look(50);
}"""
"""A click on a point opens its row."""


def tab(root: Path, wanted: gr.Textbox) -> None:
    """Its components and what moves them; `wanted` holds the run's id."""
    with gr.Row():
        x = gr.Dropdown([], label="Across", elem_id="inspect-x", min_width=140)
        y = gr.Dropdown([], label="Up", elem_id="inspect-y", min_width=140)
        colour = gr.Dropdown(list(COLOURS), value=COLOURS[0], label="Coloured by", elem_id="inspect-colour")
    scatter = gr.Plot(show_label=False, elem_id="inspect-scatter", min_width=320)
    drawn = gr.HTML(elem_id="inspect-drawn", apply_default_css=False)
    row = gr.Dropdown(
        [],
        label="Open a row",
        info=f"Or click its point. Listed are the {LISTED} best kept and the {LISTED} best left; any id can be typed.",
        allow_custom_value=True,
        elem_id="inspect-open",
    )
    signal = gr.Dropdown([], label="Spread of", elem_id="inspect-signal")
    spread = gr.Plot(show_label=False, elem_id="inspect-spread", min_width=320)
    spread_said = gr.HTML(elem_id="inspect-spread-said", apply_default_css=False)
    with gr.Accordion("What was kept of what there was, in numbers", open=False) as more:
        numbers = gr.HTML(elem_id="inspect-composition", apply_default_css=False)

    def load(request: gr.Request) -> list[Any]:
        pool = selection(root, of_address(root, dict(request.query_params)))
        return [gr.skip()] * 8 if pool is None else first(pool)

    def draw(shown: str, across: str | None, up: str | None, by: str | None) -> tuple[Any, Any]:
        pool = selection(root, of_id(root, shown))
        return (gr.skip(), gr.skip()) if pool is None else _scatter(pool, across, up, by)

    def spread_of(shown: str, name: str | None) -> tuple[Any, Any]:
        pool = selection(root, of_id(root, shown))
        return (gr.skip(), gr.skip()) if pool is None else _spread(pool, name)

    def count(shown: str) -> str:
        pool = selection(root, of_id(root, shown))
        return "" if pool is None else inspect_views.composition(pool)

    hook: dict[str, Any] = {"fn": None, "js": CLICK, "api_visibility": "private"}
    gr.on(None, load, None, [x, y, scatter, drawn, row, signal, spread, spread_said], **QUIET).then(**hook)
    gr.on([x.input, y.input, colour.input], draw, [wanted, x, y, colour], [scatter, drawn], **LATEST).then(**hook)
    row.input(None, row, None, js=OPEN, api_visibility="private")
    signal.input(spread_of, [wanted, signal], [spread, spread_said], **LATEST)
    more.expand(count, wanted, numbers, **QUIET)


def first(pool: Pool) -> list[Any]:
    """What the tab shows unasked: two signals that the selector read, coloured by the decision, and the score."""
    names = list(pool.columns)
    liked = [name for name in (*pool.facts["reads"], *FIRST, *names) if name in names and name != SCORE]
    across, up = ([*dict.fromkeys(liked), SCORE, SCORE])[:2]
    return [
        gr.Dropdown(names, value=across),
        gr.Dropdown(names, value=up),
        *_scatter(pool, across, up, COLOURS[0]),
        gr.Dropdown(pool.first(LISTED), value=None),
        gr.Dropdown(names, value=SCORE),
        *_spread(pool, SCORE),
    ]


def _scatter(pool: Pool, x: str | None, y: str | None, colour: str | None) -> tuple[Any, Any]:
    if x not in pool.columns or y not in pool.columns or colour not in COLOURS:
        return gr.skip(), gr.skip()
    return _drawn(pool, (x, y, colour), lambda: figures.pool_scatter(pool, x, y, colour))


def _spread(pool: Pool, name: str | None) -> tuple[Any, Any]:
    if name not in pool.columns:
        return gr.skip(), gr.skip()
    return _drawn(pool, (name,), lambda: figures.histogram(pool, name))


def _drawn(pool: Pool, asked: tuple[str, ...], make: Callable[[], tuple[Any, str]]) -> tuple[Any, str]:
    """A figure and the sentence below it, made once for all who ask for the same."""
    found = pool.drawn.pop(asked, None) or make()
    pool.drawn[asked] = found
    while len(pool.drawn) > DRAWN:
        pool.drawn.popitem(last=False)
    figure, said = found
    return figure, _muted(said)


def _muted(said: str) -> str:
    return f'<p class="muted">{escape(said)}</p>'
