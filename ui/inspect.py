"""The Inspect page: the pool a run selected from, one row of it, and what the students answered.

The address says which run (`?run=ID`), and may name a row of the pool (`&row=ID`) or a problem
(`&benchmark=NAME&problem=ID`, and `&with=ID` another run whose answer is set beside). Whatever the address says is
looked up, never trusted.
"""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from distill_app.errors import DistillError
from distill_app.reports.selections import label_of
from distill_app.store.runs import Run

from . import figures, inspect_answers, inspect_pool, inspect_rows, inspect_views, pool, run_list
from .inspect_asked import of_address, of_id, warm
from .listening import QUIET

EMPTY = (
    '<p class="notice" role="status">There is no run to look into yet. '
    '<a class="plain-link" href="./">Choose a recipe</a> and run it.</p>'
)
UNKNOWN = (
    '<p class="notice bad" role="alert">There is no such run in this workspace. Choose one below, or see '
    '<a class="plain-link" href="./runs">all runs</a>.</p>'
)
GO = """(run) => {
  const here = new URL(location.href);
  if (!run || here.searchParams.get("run") === run) return;
  here.search = "";
  here.searchParams.set("run", run);
  location.href = here;
}"""


def page(root: Path) -> None:
    """The page's components and what moves them."""
    warm(root)
    gr.HTML('<h1 class="page-title">Inspect</h1>', apply_default_css=False)
    said = gr.HTML(elem_id="inspect-said", visible=False, apply_default_css=False)
    wanted = gr.Textbox(visible="hidden", elem_id="inspect-shown")
    with gr.Column(visible=False, elem_id="inspect") as picker:
        run = gr.Dropdown([], label="Run", elem_id="inspect-run")
        headline = _html("inspect-headline")
    with gr.Tabs(elem_id="inspect-tabs", visible=False) as tabs:
        with gr.Tab("Pool", id="pool"):
            inspect_pool.tab(root, wanted)
        with gr.Tab("Skills", id="skills") as skills_tab:
            skills = [
                _html("inspect-skills-said"),
                gr.Plot(show_label=False, elem_id="inspect-skills", min_width=320, visible=False),
                _html("inspect-skills-numbers"),
            ]
        with gr.Tab("Epochs", id="epochs") as epochs_tab:
            epochs = [
                gr.Plot(show_label=False, elem_id="inspect-flows", min_width=320, visible=False),
                _html("inspect-epochs"),
            ]
        with gr.Tab("Row", id="row") as row_tab:
            inspect_rows.tab(root, wanted, row_tab)
        with gr.Tab("Answers", id="answers") as answers_tab:
            inspect_answers.tab(root, wanted, answers_tab)

    def load(request: gr.Request) -> list[Any]:
        return head(root, dict(request.query_params))

    gr.on(None, load, None, [said, wanted, picker, run, headline, tabs], **QUIET)
    run.input(None, run, None, js=GO, api_visibility="private")
    skills_tab.select(lambda shown: _skills(root, shown), wanted, skills, **QUIET)
    epochs_tab.select(lambda shown: _epochs(root, shown), wanted, epochs, **QUIET)


def head(root: Path, query: dict[str, Any]) -> list[Any]:
    """Values for the sentence on top, the run shown, the choice of runs, the headline, and which tab is open."""
    known = run_list.known(root)
    if not known:
        return [gr.HTML(EMPTY, visible=True), "", gr.Column(visible=False), gr.skip(), "", gr.Tabs(visible=False)]
    run = of_address(root, query)
    choices = [(_named(one), one.id) for one in reversed(known)]
    picker = gr.Dropdown(choices, value=run.id if run else None)
    if run is None:
        return [gr.HTML(UNKNOWN, visible=True), "", gr.Column(visible=True), picker, "", gr.Tabs(visible=False)]
    asked = "row" if "row" in query else "answers" if "problem" in query else "pool"
    shown = [gr.Column(visible=True), picker]
    try:
        headline = inspect_views.headline(pool.of_run(root, run), run_list.record(run).get("recipe") or "?")
    except DistillError as error:
        said = f'<p class="notice" role="status">{escape(str(error))} {RUN_LINK.format(run.id)}</p>'
        return [gr.HTML(visible=False), run.id, *shown, said, gr.Tabs(visible=False)]
    return [gr.HTML(visible=False), run.id, *shown, headline, gr.Tabs(visible=True, selected=asked)]


RUN_LINK = '<a class="plain-link" href="./runs?run={}">How far the run has come</a>'


def _named(run: Run) -> str:
    lock = run_list.record(run)
    label = _label(lock["selector"]) if lock.get("selector") else "?"
    return f"{label}, seed {lock.get('seed')}, {lock.get('recipe') or '?'}, {run.id}"


_label = cache(label_of)


def _html(name: str) -> gr.HTML:
    return gr.HTML(elem_id=name, apply_default_css=False)


def _skills(root: Path, shown: str) -> list[Any]:
    run = of_id(root, shown)
    if run is None:
        return ["", gr.Plot(visible=False), ""]
    tree = pool.of_run(root, run).tree
    plot = gr.Plot(figures.skills(tree), visible=True) if tree else gr.Plot(visible=False)
    return [inspect_views.skills_said(tree), plot, inspect_views.skills(tree)]


def _epochs(root: Path, shown: str) -> list[Any]:
    run = of_id(root, shown)
    if run is None:
        return [gr.Plot(visible=False), ""]
    found = pool.of_run(root, run)
    flows = found.flows()
    plot = gr.Plot(figures.epochs(flows), visible=True) if flows else gr.Plot(visible=False)
    return [plot, inspect_views.epochs(found)]
