"""Figures of a report: each function draws plain data and returns a matplotlib figure; `save` writes the PNG.

A white background is part of every picture, so that it reads the same in a light and a dark viewer. Figures
are made without pyplot: nothing global is touched and no window is opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_app.reports.leaderboard import percent, verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 200
INK = "#33373d"
GREY = "#8a9099"
BLUE = "#2a6fb0"


def scores(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Score before and after training with 95 % intervals, one line for each row of a result's `rows`.

    Expects the base rows' intervals under the keys `base_ci_low` and `base_ci_high` (see `with_base_intervals`);
    a missing interval draws the point alone. x is in percent.
    """
    figure, axes = _figure(1.4 + 0.55 * max(2, len(rows)))
    for place, row in enumerate(rows):
        _point(axes, place - 0.14, row["base_score"], row.get("base_ci_low"), row.get("base_ci_high"), GREY, "o")
        _point(axes, place + 0.14, row["score"], row["ci_low"], row["ci_high"], BLUE, "s")
    axes.set_yticks(
        range(len(rows)), [f"{row['benchmark']}\n{row['metric']} (n = {row['n_problems']})" for row in rows]
    )
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("score, percent, with 95 % interval over problems")
    axes.grid(axis="y", visible=False)
    for name, color, marker in (("untrained", GREY, "o"), ("trained", BLUE, "s")):
        axes.plot([], [], color=color, marker=marker, linewidth=2, label=name)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
    return figure


def with_base_intervals(
    rows: Sequence[Mapping[str, Any]], base_rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """`rows` with the interval of the base row of the same benchmark and metric as `base_ci_low`, `base_ci_high`."""
    bases = {(row["benchmark"], row["metric"]): row for row in base_rows}
    joined = []
    for row in rows:
        base = bases.get((row["benchmark"], row["metric"]), {})
        joined.append({**row, "base_ci_low": base.get("ci_low"), "base_ci_high": base.get("ci_high")})
    return joined


def scores_alt(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the figure of scores shows, in words."""
    parts = [
        f"{row['benchmark']} {row['metric']}: {percent(row['base_score'])} before and {percent(row['score'])} percent "
        f"after training" + (f", {verdict(row)}" if verdict(row) else "")
        for row in rows
    ]
    return "Scores with intervals. " + "; ".join(parts) + "."


def loss(steps: Sequence[int], losses: Sequence[float]) -> Figure:
    """Training loss (nats per target token) over optimizer steps, and its centred mean over a tenth of the steps."""
    figure, axes = _figure(3.2)
    width = max(1, len(losses) // 10)
    axes.plot(steps, losses, color=GREY, linewidth=0.8, marker="." if len(losses) < 40 else "", label="each step")
    if width > 1:
        running = [sum(losses[i - width + 1 : i + 1]) / width for i in range(width - 1, len(losses))]
        middle = steps[width // 2 : width // 2 + len(running)]
        axes.plot(middle, running, color=BLUE, linewidth=2, label=f"mean of {width} steps")
        axes.legend(frameon=False)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("loss, nats per target token")
    return figure


def loss_alt(steps: Sequence[int], losses: Sequence[float]) -> str:
    """What the loss curve shows, in words."""
    if not losses:
        return "Training loss: no steps were taken."
    return f"Training loss: {losses[0]:.3f} at step {steps[0]}, {losses[-1]:.3f} at step {steps[-1]}."


def quality(kept: Sequence[float], left: Sequence[float], bins: int = 20) -> Figure:
    """How many candidates have which quality: rows kept for training stacked on rows left."""
    figure, axes = _figure(3.2)
    values = [*kept, *left]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    axes.hist(
        [list(kept), list(left)],
        bins=bins,
        range=(low, high),
        stacked=True,
        color=[BLUE, "#c3c8cf"],
        edgecolor="white",
        linewidth=0.5,
        label=[f"kept ({len(kept)})", f"left ({len(left)})"],
    )
    axes.set_xlabel("quality")
    axes.set_ylabel("candidates")
    axes.legend(frameon=False)
    return figure


def quality_alt(kept: Sequence[float], left: Sequence[float]) -> str:
    """What the histogram shows, in words."""
    parts = [
        f"{len(values)} {name} with mean quality {sum(values) / len(values):.3f}" if values else f"0 {name}"
        for name, values in (("kept", kept), ("left", left))
    ]
    return f"Quality of the candidates: {parts[0]}, {parts[1]}."


def save(figure: Figure, path: Path) -> None:
    """Write the figure as PNG at `DPI`, without a transparent background or a date in it."""
    figure.savefig(path, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})


def _figure(height: float) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.tick_params(colors=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.grid(color="#e3e6ea", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def _point(
    axes: Axes, y: float, score: float | None, low: float | None, high: float | None, color: str, marker: str
) -> None:
    if score is None:
        return
    if low is not None and high is not None:
        axes.plot([low * 100, high * 100], [y, y], color=color, linewidth=2, solid_capstyle="butt")
    axes.plot([score * 100], [y], color=color, marker=marker, markersize=6, linestyle="none")
