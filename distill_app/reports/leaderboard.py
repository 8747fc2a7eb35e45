"""Runs side by side: rows of several results, sorted, and as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from distill_app.evaluation import statistics
from distill_app.problems.benchmarks import MACRO
from distill_app.reports import columns
from distill_app.reports.result import UNTRAINED, Row

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

WIDTH = 100
METRICS = ("avg", "pass", "maj")
NEAR = "~ best"


class BoardRow(Row):
    """A row of a result with its standing, as `schemas/leaderboard.schema.json` describes it."""

    within_noise: bool | None


def rows(results: Iterable[Mapping[str, Any]]) -> list[BoardRow]:
    """The rows of all results, untrained ones included once, in the order they are shown.

    By benchmark (the macro average last), then metric (avg, pass, maj; k ascending), then the untrained student, then
    score from high to low, then run. Runs that measured an identical untrained student share one line for it; students
    that differ, or were measured differently, keep a line each. `within_noise`, see `standings`. A row of an earlier
    version, which has no label, gets its selector, and null for what was not measured then.
    """
    given = list(results)
    trained: list[BoardRow] = []
    bases: dict[tuple[Any, ...], BoardRow] = {}
    for result, standing in zip(given, standings(given), strict=True):
        trained += [_row(row, standing.get((row["benchmark"], row["metric"]))) for row in result["rows"]]
        for base in result["base_rows"]:
            row = _row(base, None)
            key = tuple(value for name, value in row.items() if name not in {"run", "recipe", "seed", "seconds"})
            bases.setdefault(key, row)
    return sorted([*bases.values(), *trained], key=_place)


def standings(results: Sequence[Mapping[str, Any]]) -> list[dict[tuple[str, str], bool]]:
    """For each result, by benchmark and metric, whether it is the best or within noise of the best it can stand with.

    Runs stand together where they answered the same problems under the same evaluation settings. Within noise is a
    paired difference from the best whose interval covers 0, or whose sign-flip p-value, adjusted after Holm over the
    runs beside the best, is 5 % or more. A run with none to compare with has no entry, nor has any metric but avg@k.
    """
    found: list[dict[tuple[str, str], bool]] = [{} for _ in results]
    together: dict[columns.Section, list[tuple[int, list[columns.Column]]]] = {}
    for place, result in enumerate(results):
        for section, measured in columns.sections(result, columns.of([result])):
            together.setdefault(section, []).append((place, measured))
    drawn = statistics.Drawn()
    for section, members in together.items():
        if len(members) == 1:
            continue
        strata = columns.strata([measured for _, measured in members])
        for (place, _), standing in zip(members, statistics.behind_best(strata, drawn), strict=True):
            found[place][section.name, section.metrics[0]] = standing.near
    return found


def _row(row: Mapping[str, Any], within_noise: bool | None) -> BoardRow:
    earlier = {"label": row["selector"], "n_clusters": None, "se": None, "gain_p": None}
    return cast("BoardRow", {**earlier, **row, "within_noise": within_noise})


def _place(row: Row) -> tuple[Any, ...]:
    name = row["metric"].split("@")[0]
    untrained = row["selector"] == UNTRAINED
    macro = row["benchmark"] == MACRO
    return (macro, row["benchmark"], METRICS.index(name), row["k"], not untrained, -row["score"], row["run"])


def verdict(row: Mapping[str, Any]) -> str:
    """The gain in words: "better than base", "worse than base", or "not distinguishable from base"; empty without."""
    words = finding(row["gain"], row.get("gain_ci_low"), row.get("gain_ci_high"), row.get("gain_p"))
    return words and f"{words} {'than' if words in ('better', 'worse') else 'from'} base"


def finding(difference: float | None, low: float | None, high: float | None, p_value: float | None = None) -> str:
    """A difference in words: "better", "worse" or "not distinguishable"; empty where there is none.

    A difference whose 95 % interval covers 0, that has no interval (one problem), or whose p-value, where one is
    given, is 5 % or more is not distinguishable.
    """
    if difference is None:
        return ""
    ends = None if low is None or high is None else statistics.Interval(low, high)
    if ends is None or not statistics.distinguishable(ends, p_value):
        return "not distinguishable"
    return "better" if ends.low > 0.0 else "worse"


def percent(value: float | None) -> str:
    """A fraction as percent with one decimal, without the sign for it: 0.305 is "30.5"; None is "-"."""
    return "-" if value is None else f"{value * 100:.1f}"


def score_text(row: Mapping[str, Any]) -> str:
    """The score with its interval, in percent: "41.2 [35.0, 47.5]"."""
    return interval_text(row["score"], row["ci_low"], row["ci_high"])


def interval_text(score: float, low: float | None, high: float | None) -> str:
    """A score with its interval, in percent; one problem, or one cluster of problems, has none."""
    if low is None:
        return f"{percent(score)} (no interval)"
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


def render(board: Sequence[BoardRow]) -> Table:
    """A table of `rows(...)` that fits 100 columns, a section for each benchmark and metric, percent everywhere.

    A run is named by its recipe and the end of its id, which `show` takes too. Under avg@k the best run and those
    within noise of it are marked. The last column holds the shares of samples cut at the token limit
    / without an answer / timed out in grading.
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        title="Scores in percent, gains over the untrained student in points, 95 % intervals over problems",
        caption="~ best: the best, or not distinguishable from it (paired by problem, Holm's correction over the runs)."
        " n: problems (clusters, where some share a source)."
        " cut/none/time: % of samples cut at the token limit, without an answer, timed out in grading",
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
            escape(f"{score_text(row)}\n{NEAR if row['within_noise'] else ''}".strip()),
            "" if untrained else escape(f"{gain_text(row)}\n{verdict(row)}"),
            problems_text(row),
            "/".join(percent(share) for share in (row["truncated"], row["no_answer"], row["timed_out"])),
        )
    return table


def problems_text(row: Mapping[str, Any]) -> str:
    """Problems, and the clusters they make where some share a source: "64" or "64 (12)"."""
    clusters = row.get("n_clusters")
    return str(row["n_problems"]) if clusters is None else f"{row['n_problems']} ({clusters})"


def as_text(board: Sequence[BoardRow]) -> str:
    """The table of `render` as plain text, 100 columns wide."""
    return printed(render(board), WIDTH) if board else "No finished runs yet. Start one: distill-app run quickstart"


def printed(shown: RenderableType, width: int) -> str:
    """Something of rich's as plain text."""
    from rich.console import Console

    console = Console(width=width, highlight=False, force_terminal=False, no_color=True)
    with console.capture() as capture:
        console.print(shown)
    return capture.get()
