"""Arms as a table for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from distill_app.reports.leaderboard import (
    WIDTH,
    finding,
    interval_text,
    percent,
    points_text,
    printed,
    problems_text,
)

if TYPE_CHECKING:
    from rich.table import Table

    from distill_app.reports.arms import ArmRow


def render(rows: Sequence[ArmRow]) -> Table:
    """A table of `arms(...)` that fits 100 columns: scores in percent, gains and differences in points.

    A section for each benchmark, headed by the untrained student of each kind. A difference is called better or worse
    only where its interval leaves 0 out.
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD,
        title="Arms: seeds averaged problem by problem. Percent and points, 95 % intervals over problems",
        caption="seeds: lowest..highest score and standard deviation over training seeds, which no interval covers."
        " within noise of the best: not distinguishable from it, with Holm's correction over the arms."
        " n: problems (clusters, where some share a source)."
        " minus random: all else equal; a dynamic arm against random drawn afresh each epoch, where there is one."
        " cut/none/time: % of samples cut at the token limit, without an answer, timed out in grading",
        pad_edge=False,
        show_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("arm\ncut/none/time", overflow="fold", width=24)
    table.add_column("score", width=17)
    table.add_column("seeds", width=10)
    table.add_column("over untrained", width=20)
    table.add_column("minus random", width=20)
    section: tuple[str, str, int] | None = None
    shown: set[tuple[object, ...]] = set()
    for row in rows:
        here = (row["benchmark"], row["metric"], row["n_problems"])
        if here != section:
            table.add_section()
            table.add_row(f"[bold]{escape(row['benchmark'])}\n{row['metric']}, n {problems_text(row)}[/bold]")
            section = here
        base = (here, row["student"], row["base_score"], row["base_ci_low"], row["base_ci_high"])
        if row["base_score"] is not None and base not in shown:
            shown.add(base)
            text = interval_text(row["base_score"], row["base_ci_low"], row["base_ci_high"])
            table.add_row(escape(f"Untrained\n{row['student'] or ''}".strip()), escape(text))
        table.add_row(*(escape("\n".join(lines)) for lines in (_arm(row), _score(row), _seeds(row), *_against(row))))
    return table


def as_text(rows: Sequence[ArmRow]) -> str:
    """The table of `render` as plain text, 100 columns wide."""
    return printed(render(rows), WIDTH)


def _arm(row: ArmRow) -> list[str]:
    shares = "/".join(percent(share) for share in (row["truncated"], row["no_answer"], row["timed_out"]))
    differs = [f"{name} {value}" for name, value in row["differs"].items()]
    return [row["label"], row["recipe"], *differs, shares]


def _score(row: ArmRow) -> list[str]:
    return [interval_text(row["score"], row["ci_low"], row["ci_high"]), row["standing"]]


def _seeds(row: ArmRow) -> list[str]:
    scores = row["seed_scores"]
    if row["seed_sd"] is None:
        return ["1 seed", "no spread"]
    spread = f"{percent(min(scores))}..{percent(max(scores))}"
    return [f"{len(scores)} seeds", spread, f"SD {row['seed_sd'] * 100:.1f}"]


def _against(row: ArmRow) -> tuple[list[str], list[str]]:
    gain = row["gain"], row["gain_ci_low"], row["gain_ci_high"]
    random = row["minus_random"], row["minus_random_ci_low"], row["minus_random_ci_high"]
    return (
        [points_text(*gain), finding(*gain, row["gain_p"])],
        [points_text(*random), finding(*random, row["minus_random_p"])],
    )
