"""Runs side by side: rows of several results, sorted, and as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from distill_app.reports.result import Row

WIDTH = 100
METRICS = ("avg", "pass", "maj")
UNTRAINED = "untrained"


def rows(results: Iterable[Mapping[str, Any]]) -> list[Row]:
    """The rows of all results, untrained ones included once, in the order they are shown.

    By benchmark, then metric (avg, pass, maj; k ascending), then the untrained student, then score from high to
    low, then run. Runs that measured an identical untrained student share one line for it; students that differ,
    or were measured differently, keep a line each. A row of an earlier version, which has no label, gets its selector.
    """
    trained: list[Row] = []
    bases: dict[tuple[Any, ...], Row] = {}
    for result in results:
        trained += [_labelled(row) for row in result["rows"]]
        for row in map(_labelled, result["base_rows"]):
            key = tuple(value for name, value in row.items() if name not in {"run", "recipe", "seed", "seconds"})
            bases.setdefault(key, row)
    return sorted([*bases.values(), *trained], key=_place)


def _labelled(row: Mapping[str, Any]) -> Row:
    return cast("Row", {**row, "label": row.get("label", row["selector"])})


def _place(row: Row) -> tuple[Any, ...]:
    name = row["metric"].split("@")[0]
    untrained = row["selector"] == UNTRAINED
    return (row["benchmark"], METRICS.index(name), row["k"], not untrained, -row["score"], row["run"])


def verdict(row: Mapping[str, Any]) -> str:
    """The gain in words: "better than base", "worse than base", or "not distinguishable from base"; empty without."""
    words = finding(row["gain"], row.get("gain_ci_low"), row.get("gain_ci_high"))
    return words and f"{words} {'than' if words in ('better', 'worse') else 'from'} base"


def finding(difference: float | None, low: float | None, high: float | None) -> str:
    """A difference in words: "better", "worse" or "not distinguishable"; empty where there is none.

    A difference whose 95 % interval covers 0, or that has no interval (one problem), is not distinguishable.
    """
    if difference is None:
        return ""
    if low is None or high is None or low <= 0.0 <= high:
        return "not distinguishable"
    return "better" if low > 0.0 else "worse"


def percent(value: float | None) -> str:
    """A fraction as percent with one decimal, without the sign for it: 0.305 is "30.5"; None is "-"."""
    return "-" if value is None else f"{value * 100:.1f}"


def score_text(row: Mapping[str, Any]) -> str:
    """The score with its interval, in percent: "41.2 [35.0, 47.5]"."""
    return interval_text(row["score"], row["ci_low"], row["ci_high"])


def interval_text(score: float, low: float | None, high: float | None) -> str:
    """A score with its interval, in percent; one problem has none."""
    if low is None:
        return f"{percent(score)} (1 problem)"
    return f"{percent(score)} [{percent(low)}, {percent(high)}]"


def gain_text(row: Mapping[str, Any]) -> str:
    """The gain with its interval, in points: "+3.1 [-0.8, +7.0]"; "-" without a base."""
    return points_text(row["gain"], row.get("gain_ci_low"), row.get("gain_ci_high"))


def points_text(difference: float | None, low: float | None, high: float | None) -> str:
    """A difference with its interval, in points; "-" for none."""
    if difference is None:
        return "-"
    text = f"{difference * 100:+.1f}"
    return text if low is None or high is None else f"{text} [{low * 100:+.1f}, {high * 100:+.1f}]"


def render(board: Sequence[Row]) -> Table:
    """A table of `rows(...)` that fits 100 columns, a section for each benchmark and metric, percent everywhere.

    A run is named by its recipe and the end of its id, which `show` takes too. The last column holds the shares of
    samples cut at the token limit / without an answer / timed out in grading.
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        title="Scores in percent, gains over the untrained student in points, 95 % intervals over problems",
        caption="cut/none/time: % of samples cut at the token limit, without an answer, timed out in grading",
    )
    table.add_column("run", overflow="fold", max_width=24)
    table.add_column("score", justify="right", max_width=19)
    table.add_column("gain", max_width=29)
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("cut/none/time", justify="right", max_width=17)
    previous: tuple[str, str] | None = None
    for row in board:
        group = (row["benchmark"], row["metric"])
        if group != previous:
            table.add_section()
            table.add_row(f"[bold]{escape(row['benchmark'])}\n{row['metric']}[/bold]")
            previous = group
        untrained = row["selector"] == UNTRAINED
        table.add_row(
            row["label"]
            if untrained
            else escape(f"{row['label']}, seed {row['seed']}\n{row['recipe']} {row['run'][-6:]}"),
            escape(score_text(row)),
            "" if untrained else escape(f"{gain_text(row)}\n{verdict(row)}"),
            str(row["n_problems"]),
            "/".join(percent(share) for share in (row["truncated"], row["no_answer"], row["timed_out"])),
        )
    return table


def as_text(board: Sequence[Row]) -> str:
    """The table of `render` as plain text, 100 columns wide."""
    return printed(render(board), WIDTH) if board else "No finished runs yet. Start one: distill-app run quickstart"


def printed(shown: RenderableType, width: int) -> str:
    """Something of rich's as plain text."""
    from rich.console import Console

    console = Console(width=width, highlight=False, force_terminal=False, no_color=True)
    with console.capture() as capture:
        console.print(shown)
    return capture.get()
