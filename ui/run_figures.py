"""The curves of a run: plotly figures whose greys read on a light and on a dark ground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .follow import Story

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

GREY = "#808791"
GRID = "rgba(128,135,145,.3)"
BLUE, ORANGE = "#2f86c8", "#d9772b"
MOST_POINTS = 1000


def loss(story: Story) -> Figure:
    """Mean training loss of each step; above `MOST_POINTS` steps, means of neighbours."""
    import plotly.graph_objects as go

    steps = thin([(step, value) for step, (_, value) in sorted(story.losses.items())])
    figure = go.Figure(
        go.Scatter(
            x=[step for step, _ in steps],
            y=[value for _, value in steps],
            mode="lines+markers" if len(steps) <= 60 else "lines",
            line={"color": BLUE},
            hovertemplate="step %{x}<br>loss %{y:.4f}<extra></extra>",
        )
    )
    return styled(figure, "Training loss", "step", "nats a target token")


def selection(story: Story) -> Figure:
    """Before each epoch, the student's capability (where it is measured) and the overlap with the epoch before."""
    import plotly.graph_objects as go

    chosen = [story.selections[epoch] for epoch in sorted(story.selections)]
    figure = go.Figure()
    for name, key, color, dash in (
        ("capability", "capability", BLUE, "solid"),
        ("overlap with the epoch before", "overlap", ORANGE, "dot"),
    ):
        points = [(one["epoch"] + 1, one[key]) for one in chosen if one[key] is not None]
        if points:
            figure.add_scatter(
                x=[epoch for epoch, _ in points],
                y=[value for _, value in points],
                name=name,
                mode="lines+markers",
                line={"color": color, "dash": dash},
                hovertemplate=f"epoch %{{x}}<br>{name} %{{y:.3f}}<extra></extra>",
            )
    figure.update_yaxes(range=[0, 1.05])
    figure.update_xaxes(dtick=1 if len(chosen) <= 20 else None)
    # One curve alone needs its name as well.
    return styled(figure, "Dynamic selection", "epoch", "share").update_layout(showlegend=True)


def styled(figure: Figure, title: str, x: str, y: str) -> Figure:
    """The house's look: no ground of its own, neutral greys, the legend below."""
    axis: dict[str, Any] = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GREY, "automargin": True}
    figure.update_layout(
        title={"text": title, "font": {"size": 15}},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": GREY, "family": "system-ui, sans-serif"},
        margin={"l": 50, "r": 10, "t": 40, "b": 40},
        height=320,
        showlegend=len(figure.data) > 1,
        legend={"orientation": "h", "y": -0.25},
    )
    figure.update_xaxes(title=x, **axis)
    figure.update_yaxes(title=y, **axis)
    return figure


def thin(points: list[tuple[int, float]], most: int = MOST_POINTS) -> list[tuple[int, float]]:
    """At most `most` points: the means of equally long stretches, each at its last step."""
    if len(points) <= most:
        return points
    length = -(-len(points) // most)
    found = []
    for start in range(0, len(points), length):
        part = points[start : start + length]
        found.append((part[-1][0], sum(value for _, value in part) / len(part)))
    return found
