"""What a person, or a program, sees of a run while it goes on."""

from __future__ import annotations

import sys
import time
from typing import Any

from distill_app.terminal import line, printable, tell_json

PLAIN_SECONDS = 10


class JsonWatch:
    """Every event as a JSON line on standard output; the last line is `{"run", "status"}`."""

    def __call__(self, event: dict[str, Any]) -> None:
        if event["type"] == "end":
            event = {"run": event["run"], "status": event["status"]}
        tell_json(event, indent=None, flush=True)


class TerminalWatch:
    """A bar with rate and time left on a terminal; a line now and then where output goes to a file."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = Console(highlight=False)
        self._bars = Progress(
            TextColumn("{task.description:<34}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._task: Any = None
        self._stage = ""
        self._started = 0.0
        self._first = (0, 0.0)
        self._printed = 0.0
        self._ordinal = (0, 0)

    def __call__(self, event: dict[str, Any]) -> None:
        handler = getattr(self, f"_on_{event['type']}", None)
        if handler:
            handler(event)

    def _say(self, text: str, style: str | None = None) -> None:
        self._console.print(printable(text), style=style, markup=False, soft_wrap=True)

    def _on_run_started(self, event: dict[str, Any]) -> None:
        self._ordinal = (0, len(event["stages"]))
        self._say(f"Run {event['run']}: {len(event['stages'])} stages", "bold")

    def _on_tool_started(self, event: dict[str, Any]) -> None:
        self._ordinal = (0, len(event["stages"]))

    _on_regrade_started = _on_tool_started

    def _on_run_waiting(self, event: dict[str, Any]) -> None:
        self._say(f"Another process is carrying out run {event['run']}; waiting for it.")

    def _on_stage_started(self, event: dict[str, Any]) -> None:
        self._stage = event["stage"]
        self._started = self._printed = time.monotonic()
        self._first = (0, self._started)
        self._end_bar()
        if self._console.is_terminal:
            self._bars.start()
            self._task = self._bars.add_task(line(self._stage), total=None, figures="starting")
        else:
            self._say(f"{self._stage}: {'resumed' if event['resumed'] else 'started'}")

    def _on_stage_waiting(self, event: dict[str, Any]) -> None:
        self._say(f"{event['stage']}: another process is making it; waiting.")

    def _on_stage_damaged(self, event: dict[str, Any]) -> None:
        self._say(f"{event['stage']}: damaged ({event['why']})", "yellow")

    def _on_stage_stopping(self, event: dict[str, Any]) -> None:
        limit = f" (for at most {event['limit_seconds']} s)" if event["limit_seconds"] else ""
        self._say(f"{event['stage']}: finishing the batch{limit}; Ctrl-C again leaves at once.", "yellow")

    def _on_memory(self, event: dict[str, Any]) -> None:
        self._say(f"{event['stage']}: {event['message']}", "yellow")

    def _on_stage_cached(self, event: dict[str, Any]) -> None:
        self._line(event["stage"], "cached", event)

    def _on_stage_finished(self, event: dict[str, Any]) -> None:
        self._end_bar()
        self._line(event["stage"], f"{event['seconds']:.1f} s", event)

    def _line(self, stage: str, what: str, event: dict[str, Any]) -> None:
        self._ordinal = (self._ordinal[0] + 1, self._ordinal[1])
        counts = ", ".join(f"{name} {count}" for name, count in (event["counts"] or {}).items())
        self._say(f"[{self._ordinal[0]:>2}/{self._ordinal[1]}] {stage:<34} {what:>9}  {counts}")

    def _on_log(self, event: dict[str, Any]) -> None:
        self._say(f"{event['stage']}: {event['message']}")

    def _on_selection(self, event: dict[str, Any]) -> None:
        figures = [f"epoch {event['epoch'] + 1}: {event['rows']} rows"]
        if event["overlap"] is not None:
            figures.append(f"overlap with the epoch before {event['overlap']:.2f}")
        if event["capability"] is not None:
            figures.append(f"capability {event['capability']:.3f}")
        if event["scored"]:
            figures.append(f"{event['scored']} rows scored in {event['seconds']:.1f} s")
        self._say(f"{event['stage']}: {', '.join(figures)}")

    def _on_progress(self, event: dict[str, Any]) -> None:
        now = time.monotonic()
        done, total = event["done"], event["total"]
        if self._first[0] == 0:
            self._first = (done, now)
        figures = f"{done}/{total} {event['unit']}"
        gained, spent = done - self._first[0], now - self._first[1]
        if gained > 0 and spent > 0:
            rate = gained / spent
            figures += f", {rate:.1f}/s, {_clock((total - done) / rate)} left"
        if self._task is not None:
            self._bars.update(self._task, total=total, completed=done, figures=figures)
        elif now - self._printed > PLAIN_SECONDS:
            self._printed = now
            self._say(f"{event['stage']}: {figures}")

    def _on_run_failed(self, event: dict[str, Any]) -> None:  # noqa: ARG002 - the error itself is shown by the caller
        self._end_bar()

    _on_run_interrupted = _on_run_failed

    def _on_run_finished(self, event: dict[str, Any]) -> None:
        self._end_bar()
        self._say(f"Run {event['run']} finished.", "bold")
        sys.stdout.flush()

    def _end_bar(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._bars.stop()
            self._task = None


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes}:{seconds:02d}"
