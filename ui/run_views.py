"""What the Runs page shows, as text: pure functions from the store's facts to HTML, everything foreign escaped."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .follow import Progress, Story
from .run_list import Entry

NONE_YET = '<p class="muted">No runs yet. <a class="plain-link" href="./">Choose a recipe</a> to start one.</p>'
UNKNOWN = '<p class="notice bad" role="status">There is no such run in this workspace.</p>'
SHOWN = {"queued": "waiting in line", "lost": "lost"}
LOST = "Its process ended without saying why: the machine went down, or it was killed. Resume goes on with it."


def pill(state: str) -> str:
    """A state as a word in a frame."""
    return f'<span class="pill {escape(state.replace(" ", "-"))}">{escape(state)}</span>'


def clock(seconds: float | None) -> str:
    """Seconds as 0:07, 12:30 or 1:02:30; a dash for none."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def moment(seconds: float | None) -> str:
    """A time of this machine's clock."""
    return "-" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def address(entry: Entry) -> str:
    """Where the Runs page shows this run, from the folder of all pages (Gradio's `<base>`)."""
    return f"runs?run={entry.run}" if entry.run else f"runs?job={entry.job}"


def run_table(entries: Sequence[Entry], shown: Entry | None) -> str:
    """Every run as a line with a link; the one shown is marked."""
    if not entries:
        return NONE_YET
    rows = []
    for entry in entries:
        here = entry == shown
        name = entry.run or f"job {entry.job}"
        place = f" ({entry.ahead} before it)" if entry.ahead is not None else ""
        label = f'<br><span class="muted">{escape(entry.label)}</span>' if entry.label else ""
        rows.append(
            f"<tr{' aria-current=true' if here else ''}>"
            f'<td><a href="{address(entry)}"{" aria-current=true" if here else ""}>{escape(name)}</a></td>'
            f"<td>{pill(entry.state)}{place}</td><td>{escape(entry.recipe)}{label}</td>"
            f'<td>{escape(entry.selector)}</td><td class="number">{"" if entry.seed is None else entry.seed}</td>'
            f"<td>{moment(entry.started)}</td></tr>"
        )
    head = "<th>Run</th><th>State</th><th>Recipe</th><th>Selector</th><th class=number>Seed</th><th>Begun</th>"
    return _scrolling("All runs", f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>")


def headline(entry: Entry, story: Story, ended: Mapping[str, Any] | None) -> str:
    """The run's name and state, what it is at, how far, and what went wrong."""
    name = entry.run or f"job {entry.job}"
    parts = [
        f'<h2 class="page-title">{escape(entry.recipe)} <span class="muted">{escape(name)}</span> '
        f"{pill(entry.state)}</h2>",
        f'<p class="muted">Selector {escape(entry.selector)}, seed {entry.seed}'
        + (f", {escape(entry.label)}" if entry.label else "")
        + f". Begun {moment(entry.started)}.</p>",
        f"<p{'' if entry.state == 'running' else ' role=status'}>{_status(entry, story)}</p>",
    ]
    if entry.state == "running" and story.progress:
        progress = story.progress
        parts.append(
            f'<progress aria-label="{escape(progress.stage)}" max="{progress.total}" value="{progress.done}">'
            "</progress>"
        )
    if entry.state == "failed" and story.failure:
        parts.append(f'<p class="notice bad">{escape(story.failure)}</p>')
    elif entry.state == "failed" and not entry.run:
        parts.append('<p class="notice bad">The command ended before the run began; its output below says why.</p>')
    if entry.state == "lost":
        parts.append(f'<p class="notice bad">{LOST}</p>')
    if ended and ended["how"] == "killed" and entry.state in ("interrupted", "lost", "stopped"):
        parts.append('<p class="notice">It did not end when asked to, and was killed. Finished work is kept.</p>')
    if entry.run:
        parts.append(f"<p>{_links(entry)}</p>")
    return "".join(parts)


def _status(entry: Entry, story: Story) -> str:
    if entry.state == "queued":
        many = f"{entry.ahead} run{'s come' if entry.ahead != 1 else ' comes'} before it" if entry.ahead else "next"
        return f"Waiting in line: {many}."
    if entry.state != "running":
        done = sum(stage.state in ("cached", "finished") for stage in story.stages.values())
        seconds = sum(stage.seconds or 0 for stage in story.stages.values())
        return f"{done} of {len(story.stages)} stages are done, {clock(seconds)} of work." if story.stages else ""
    if story.now is None:
        return "Between two stages."
    if story.progress is None:
        return f"{escape(story.now)}: starting."
    return f"{escape(story.now)}: {figures(story.progress)}"


def figures(progress: Progress) -> str:
    """ "12 of 40 steps, 2.5 a second, 0:11 left"; rate and time left once they are known."""
    text = f"{progress.done} of {progress.total} {escape(progress.unit)}"
    if progress.rate is None:
        return text
    rate = f"{progress.rate:.1f} a second" if progress.rate >= 1 else f"{1 / progress.rate:.1f} seconds each"
    return f"{text}, {rate}, {clock(progress.seconds_left)} left"


def _links(entry: Entry) -> str:
    run = escape(entry.run or "")
    links = [f'<a class="plain-link" href="./?from={run}">Open its recipe</a>']
    if entry.state == "finished":
        links += [
            f'<a class="plain-link" href="inspect?run={run}">Inspect</a>',
            f'<a class="plain-link" href="results?runs={run}">Leaderboard</a>',
        ]
    return " &middot; ".join(links)


def stage_track(story: Story) -> str:
    """Every stage with its state in words."""
    if not story.stages:
        return ""
    items = []
    for name, stage in story.stages.items():
        kind = "now" if stage.state == "running" else "failed" if stage.state == "failed" else ""
        took = f", {clock(stage.seconds)}" if stage.state == "finished" and stage.seconds is not None else ""
        items.append(
            f'<li class="{kind}"{" aria-current=step" if kind == "now" else ""}>{escape(name)} '
            f'<span class="what">{escape(stage.state)}{took}</span></li>'
        )
    return f'<ol class="stages" aria-label="Stages">{"".join(items)}</ol>'


def epoch_table(story: Story) -> str:
    """Each epoch's mean loss, and what dynamic selection chose before it; the numbers behind the curves."""
    import math

    by_epoch: dict[int, list[float]] = {}
    for epoch, loss in story.losses.values():
        by_epoch.setdefault(max(0, math.ceil(epoch - 1e-9) - 1), []).append(loss)
    if not by_epoch and not story.selections:
        return '<p class="muted">Training has not begun.</p>'
    rows = []
    for epoch in sorted({*by_epoch, *story.selections}):
        losses = by_epoch.get(epoch, [])
        chosen = story.selections.get(epoch, {})
        mean = f"{sum(losses) / len(losses):.4f}" if losses else "-"
        rows.append(
            f'<tr><td class="number">{epoch + 1}</td><td class="number">{len(losses)}</td>'
            f'<td class="number">{mean}</td><td class="number">{_number(chosen.get("rows"))}</td>'
            f'<td class="number">{_number(chosen.get("capability"))}</td>'
            f'<td class="number">{_number(chosen.get("overlap"))}</td></tr>'
        )
    names = ("Epoch", "Steps", "Mean loss (nats a token)", "Rows chosen", "Capability", "Overlap with epoch before")
    head = "".join(f'<th class="number">{name}</th>' for name in names)
    return _scrolling("Numbers of each epoch", f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def event_table(story: Story) -> str:
    """The last events, newest first."""
    if not story.last:
        return '<p class="muted">Nothing has happened yet.</p>'
    rows = "".join(
        f"<tr><td>{time.strftime('%H:%M:%S', time.localtime(event['time']))}</td>"
        f"<td>{escape(event['type'].replace('_', ' '))}</td><td>{escape(event.get('stage', ''))}</td>"
        f"<td>{escape(_told(event))}</td></tr>"
        for event in reversed(story.last)
    )
    head = "<th>Time</th><th>Event</th><th>Stage</th><th>What came of it</th>"
    return _scrolling("Last events", f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>")


def _told(event: Mapping[str, Any]) -> str:
    if event["type"] == "log":
        return str(event["message"])
    if event["type"] == "run_failed":
        return f"{event['message']} {event['hint']}"
    if event["type"] == "selection":
        return f"epoch {event['epoch'] + 1}: {event['rows']} rows"
    return ", ".join(f"{name} {count}" for name, count in (event.get("counts") or {}).items())


def output(command: str, models: str) -> str:
    """The ends of what the command and the processes of its model stages printed."""
    if not command and not models:
        return '<p class="muted">Nothing has been printed.</p>'
    parts = [("What the command printed", command), ("What the models' processes printed", models)]
    return "".join(
        f'<p class="muted">{title}</p><pre class="tail" tabindex="0">{escape(text)}</pre>'
        for title, text in parts
        if text
    )


def environment(record: Mapping[str, Any], folder: str) -> str:
    """What the run was made with, as its lock.json has it."""
    if not record:
        return '<p class="muted">Not known before the run begins.</p>'
    facts = {
        "distill-app": record.get("distill_app"),
        "Python": record.get("python"),
        **(record.get("packages") or {}),
        "Recipe file": record.get("file"),
        "Seed": record.get("seed"),
        "Plan": record.get("plan"),
        "Folder": folder,
    }
    rows = "".join(
        f"<tr><th scope=row>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>" for name, value in facts.items()
    )
    return _scrolling("Environment", f"<tbody>{rows}</tbody>")


def _scrolling(name: str, table: str) -> str:
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{name}"><table class="plain">{table}</table></div>'
    )
