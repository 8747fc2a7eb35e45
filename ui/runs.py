"""The Runs page: every run with its state, and one of them as it goes on.

The page holds nothing: its address says which run it shows (`?run=ID`, or `?job=N` for one whose turn is yet to come),
and once a second it is told what has changed on disk since. When the run is over, and none waits, it asks no more.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from distill_app.errors import DistillError, UsageError
from distill_app.store.runs import RUN_ID, Run

from . import follow, jobs, run_figures, run_list, run_views
from .follow import Story
from .jobs import GOING, Job
from .run_list import LIVE, Entry

TICK_SECONDS = 1
PIECES = ("list", "headline", "stages", "loss", "selection", "epochs", "events", "output", "environment")
"""What a tick may change, each sent only when it has changed."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The run that the page is about."""

    entry: Entry
    run: Run | None
    job: Job | None

    def story(self) -> Story:
        return follow.story(self.run.events_path) if self.run else Story()


def page(root: Path) -> None:
    """The page's components and what moves them."""
    with gr.Row():
        gr.HTML('<h1 class="page-title">Runs</h1>', apply_default_css=False)
        refresh = gr.Button("Refresh", elem_id="refresh", size="sm", scale=0, min_width=100)
    wanted = gr.Textbox(visible="hidden", elem_id="runs-shown")
    seen = gr.Textbox(visible="hidden", elem_id="runs-seen")
    timer = gr.Timer(TICK_SECONDS, active=False)
    html = {"list": _html("runs-list"), "headline": _html("run-headline")}
    with gr.Column(visible=False, elem_id="run-details") as details:
        with gr.Row():
            stop = gr.Button("Stop", variant="stop", elem_id="run-stop", visible=False, size="sm", scale=0)
            resume = gr.Button("Resume", variant="primary", elem_id="run-resume", visible=False, size="sm", scale=0)
        html["stages"] = _html("run-stages")
        with gr.Row():
            loss = gr.Plot(show_label=False, visible=False, elem_id="run-loss", min_width=320)
            selection = gr.Plot(show_label=False, visible=False, elem_id="run-selection", min_width=320)
        for key, title, opened in (
            ("epochs", "Numbers of each epoch", False),
            ("events", "Last events", True),
            ("output", "Output", False),
            ("environment", "Environment", False),
        ):
            with gr.Accordion(title, open=opened):
                html[key] = _html(f"run-{key}")
    plots = {"loss": loss, "selection": selection}
    outputs = [wanted, seen, timer, details, stop, resume, *(html.get(key) or plots[key] for key in PIECES)]
    hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

    def load(request: gr.Request) -> list[Any]:
        return frame(root, asked_for(dict(request.query_params)), "")

    def tick(shown: str, before: str) -> list[Any]:
        return frame(root, shown, before)

    def press_stop(shown: str) -> None:
        found = _found(root, shown)
        if found is None or found.job is None:
            raise gr.Error("This run was not started from the page: press Ctrl-C where it was started.")
        jobs.stop(found.job)

    def press_resume(shown: str) -> str:
        found = _found(root, shown)
        if found is None:
            raise gr.Error("There is no such run.")
        try:
            if found.run is not None:
                jobs.resume(root, found.run)
            elif found.job is not None:
                return str(jobs.again(root, found.job).number)
        except DistillError as error:
            raise gr.Error(escape(str(error)), duration=None) from error
        return shown

    gr.on(None, load, None, outputs, queue=False, **hidden)
    for trigger in (timer.tick, refresh.click):
        gr.on(trigger, tick, [wanted, seen], outputs, queue=False, trigger_mode="once", **hidden)
    stop.click(press_stop, wanted, None, api_visibility="private").then(
        tick, [wanted, seen], outputs, queue=False, **hidden
    )
    resume.click(press_resume, wanted, wanted, api_visibility="private").then(
        tick, [wanted, seen], outputs, queue=False, **hidden
    )


def _html(name: str) -> gr.HTML:
    return gr.HTML(elem_id=name, apply_default_css=False)


def asked_for(query: dict[str, Any]) -> str:
    """What an address asks to see: a run's id or a job's number; empty for anything else."""
    run, job = str(query.get("run", "")), str(query.get("job", ""))
    if RUN_ID.match(run):
        return run
    return str(int(job)) if job.isascii() and job.isdecimal() and len(job) <= 9 else run and "unknown"


def frame(root: Path, wanted: str, before: str) -> list[Any]:
    """What the page is to show of `wanted` (unasked: the run at work, or the newest), less what it shows already.

    `before` is what the last frame said about itself. Values for `wanted, seen, timer, details, Stop, Resume` and
    `PIECES`.
    """
    entries = run_list.entries(root)
    shown = _shown(root, entries, wanted)
    pieces = _pieces(entries, shown, wanted)
    prints = {key: _print(signature) for key, (signature, _) in pieces.items()}
    old = _prints(before)
    entry = shown.entry if shown else None
    job_at_it = shown is not None and shown.job is not None and shown.job.state() in GOING
    can_stop = entry is not None and entry.state in LIVE and job_at_it
    can_resume = entry is not None and entry.state not in (*LIVE, "finished")
    buttons = f"{can_stop} {can_resume} {entry.key if entry else None}"
    prints["buttons"] = _print(buttons)
    fresh = prints["buttons"] != old.get("buttons")
    active = any(one.state in LIVE for one in entries)
    prints["timer"] = str(active)
    return [
        (wanted or (entry.key if entry else "")) if not before else gr.skip(),
        json.dumps(prints) if prints != old else gr.skip(),
        gr.Timer(active=active) if prints["timer"] != old.get("timer") else gr.skip(),
        gr.Column(visible=shown is not None) if fresh else gr.skip(),
        gr.Button(visible=can_stop) if fresh else gr.skip(),
        gr.Button(visible=can_resume) if fresh else gr.skip(),
        *(pieces[key][1]() if prints[key] != old.get(key) else gr.skip() for key in PIECES),
    ]


def _pieces(entries: list[Entry], shown: Shown | None, wanted: str) -> dict[str, tuple[Any, Any]]:
    """Each piece's signature, which is the same while the piece is, and how to make it."""

    def text(value: str) -> tuple[Any, Any]:
        return value, lambda: value

    listed = text(run_views.run_table(entries, shown.entry if shown else None))
    if shown is None:
        unknown = run_views.UNKNOWN if wanted else ""
        empty: dict[str, tuple[Any, Any]] = {key: text("") for key in PIECES}
        plots = {key: ("", lambda: gr.Plot(visible=False)) for key in ("loss", "selection")}
        return {**empty, "list": listed, "headline": text(unknown), **plots}
    story, run, job = shown.story(), shown.run, shown.job
    chosen = sorted(story.selections)
    return {
        "list": listed,
        "headline": text(run_views.headline(shown.entry, story, job.ended() if job else None)),
        "stages": text(run_views.stage_track(story)),
        "loss": (
            [shown.entry.key, len(story.losses), story.losses.get(max(story.losses, default=0))],
            lambda: gr.Plot(run_figures.loss(story), visible=True) if story.losses else gr.Plot(visible=False),
        ),
        "selection": (
            [shown.entry.key, chosen],
            lambda: gr.Plot(run_figures.selection(story), visible=True) if chosen else gr.Plot(visible=False),
        ),
        "epochs": text(run_views.epoch_table(story)),
        "events": text(run_views.event_table(story)),
        "output": text(
            run_views.output(
                follow.tail(job.log_path) if job else "", follow.tail(run.folder / "out.log") if run else ""
            )
        ),
        "environment": text(run_views.environment(run.lock_record() if run else {}, str(run.folder) if run else "")),
    }


def _found(root: Path, wanted: str) -> Shown | None:
    return _shown(root, run_list.entries(root), wanted)


def _shown(root: Path, entries: list[Entry], wanted: str) -> Shown | None:
    """The run asked for. Of a job: the one at work, else one that is not finished, else its newest."""
    entry = _entry(root, entries, wanted)
    if entry is None:
        return None
    run = Run(root / "runs" / entry.run) if entry.run else None
    return Shown(entry, run, jobs.find(root, entry.job) if entry.job else None)


def _entry(root: Path, entries: list[Entry], wanted: str) -> Entry | None:
    if not wanted:
        return entries[0] if entries else None
    if RUN_ID.match(wanted):
        return next((entry for entry in entries if entry.run == wanted), None)
    if not wanted.isdecimal():
        return None
    try:
        job = jobs.find(root, int(wanted))
    except UsageError:
        return None
    ids = run_list.made_by(root, job)
    of_job = [entry for entry in entries if entry.run in ids or (entry.run is None and entry.job == job.number)]
    for state in ("running", "failed", "interrupted", "lost", "queued"):
        for entry in of_job:
            if entry.state == state:
                return entry
    return of_job[0] if of_job else None


def _prints(text: str) -> dict[str, str]:
    """What the page says it shows; a client may say anything, and then is sent everything."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _print(signature: Any) -> str:
    return hashlib.sha256(repr(signature).encode()).hexdigest()[:12]
