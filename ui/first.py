"""The first visit: one sentence, and a button that runs the quickstart."""

from __future__ import annotations

from html import escape
from pathlib import Path

import gradio as gr

from distill_app.errors import DistillError
from distill_app.recipe import bundled
from distill_app.store import runs

from . import jobs

SENTENCE = (
    "Nothing has been run here yet: the quickstart makes a pool, selects from it, trains a small student and measures "
    "it, all on this machine, in a few minutes."
)
GO_TO_JOB = "(number) => { if (number) location.href = new URL(`runs?job=${number}`, location.href); }"
"""Takes a page to the run that its button has started."""


def offer(root: Path) -> None:
    """The sentence and the button, seen while the workspace holds no run."""
    with gr.Column(visible=False, elem_id="first") as group:
        gr.HTML(f'<p class="notice" role="status">{SENTENCE}</p>', apply_default_css=False)
        with gr.Row():
            button = gr.Button("Run the quickstart", variant="primary", elem_id="first-run", scale=0, min_width=220)
        started = gr.Textbox(visible="hidden", elem_id="first-job")

    def look() -> gr.Column:
        return gr.Column(visible=not runs.all_runs(root) and not jobs.all_jobs(root))

    def start() -> str:
        return start_ready_made(root, "quickstart")

    gr.on(None, look, None, group, queue=False, show_progress="hidden", api_visibility="private")
    button.click(start, None, started, api_visibility="private").success(
        None, started, None, js=GO_TO_JOB, api_visibility="private"
    )


def start_ready_made(root: Path, name: str) -> str:
    """Start a ready-made recipe; the number of its job. What a person must read comes as `gr.Error`."""
    path = bundled.find(name)
    assert path is not None
    try:
        return str(jobs.start(root, path.read_bytes().decode()).number)
    except DistillError as error:
        raise gr.Error(escape(str(error)), duration=None) from error
