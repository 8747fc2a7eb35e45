"""Plotly figures out of plain data, with neutral greys and no ground of their own, to read in light and in dark.

Nothing here computes a statistic: counts per bin apart, every figure draws numbers that it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, cast

from distill_app.problems.benchmarks import MACRO
from distill_app.reports.result import UNTRAINED
from distill_app.skills.tree import ARROW

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from .pool import Floats, Pool, Skill

INK = "#7b828c"
"""Text and axes: 3.9 to 1 on white and 4.6 on the dark ground."""
GRID = "rgba(128, 134, 145, 0.25)"
BAND = "rgba(128, 134, 145, 0.18)"
BLUE, ORANGE = "#3b8fd4", "#d9822b"
COLOURS = (BLUE, ORANGE, "#3f9d63", "#b765c9", "#c65353", "#8d8f3a", "#3aa5a5", "#8a7bd8")
"""Told apart on both grounds; what comes after the eighth is drawn as one group."""
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "pentagon", "star")
OTHERS = "others"
DRAWN = 3000
"""Points of a scatter; of more rows a sample is drawn."""
BINS = 50
FOREST = 25
"""Runs in the forest plot unless all are asked for."""


def plain(height: int, **layout: Any) -> go.Figure:
    """An empty figure in the house's style."""
    import plotly.graph_objects as go

    axis = {
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "linecolor": GRID,
        "tickcolor": GRID,
        "automargin": True,
        "title": {"font": {"size": 13}},
    }
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 13, "family": "system-ui, sans-serif"},
        margin={"l": 8, "r": 12, "t": 36, "b": 8},
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0.0},
        hoverlabel={"align": "left"},
        modebar={"orientation": "v", "bgcolor": "rgba(0,0,0,0)", "color": INK, "activecolor": BLUE},
    )
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    figure.update_layout(**layout)
    return figure


def text(words: object, most: int = 60) -> str:
    """Text that plotly shows as it stands: it reads a few tags and entities. Longer text is cut."""
    shown = str(words)
    shown = shown if len(shown) <= most else f"{shown[: most - 1]}…"
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("$", "&#36;")


def forest(rows: Sequence[Mapping[str, Any]], most: int | None = FOREST) -> go.Figure:
    """Scores with their 95 % intervals, best first, in percent: rows of the leaderboard, or arms, of one benchmark.

    The interval of the best of each group that can be compared is shaded; filled marks are the best or within noise
    of it, open ones below. Untrained students come first, in grey. `most` bounds the trained ones.
    """
    untrained = [row for row in rows if row["selector"] == UNTRAINED]
    trained = sorted((row for row in rows if row["selector"] != UNTRAINED), key=lambda row: -row["score"])[:most]
    shown = [*untrained, *trained]
    figure = plain(110 + 36 * max(3, len(shown)), showlegend=True)
    names = [_name(row) for row in shown]
    if trained and trained[0]["ci_low"] is not None:
        best = trained[0]
        figure.add_vrect(best["ci_low"] * 100, best["ci_high"] * 100, fillcolor=BAND, line_width=0, layer="below")
    groups = {
        "untrained": (INK, "diamond", [(at, row) for at, row in enumerate(shown) if row["selector"] == UNTRAINED]),
        "best, or within noise of it": (BLUE, "circle", _those(shown, near=True)),
        "below the best": (ORANGE, "circle-open", _those(shown, near=False)),
        "stands alone": (BLUE, "square-open", _those(shown, near=None)),
    }
    for name, (colour, symbol, members) in groups.items():
        if members:
            figure.add_scatter(
                x=[row["score"] * 100 for _, row in members],
                y=[at for at, _ in members],
                error_x=_bars([row for _, row in members], colour),
                mode="markers",
                name=name,
                marker={"color": colour, "symbol": symbol, "size": 10, "line": {"width": 2, "color": colour}},
                text=[_hover(row) for _, row in members],
                hovertemplate="%{text}<extra></extra>",
            )
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(shown))),
        ticktext=names,
        range=[len(shown) - 0.5, -0.8],
        showticklabels=False,
        showgrid=False,
        zeroline=False,
    )
    # Names stand above their lines: beside them they would leave no room for the lines on a phone.
    for at, name in enumerate(names):
        figure.add_annotation(
            x=0,
            xref="paper",
            xanchor="left",
            y=at,
            yanchor="bottom",
            yshift=5,
            text=name,
            showarrow=False,
            font_size=12,
        )
    figure.update_xaxes(title_text="percent, with 95 % intervals over problems", rangemode="tozero")
    return figure


def _near(row: Mapping[str, Any]) -> bool | None:
    if "standing" in row:
        return bool(row["standing"] != "below the best")
    return cast("bool | None", row["within_noise"])


def _those(rows: Sequence[Mapping[str, Any]], *, near: bool | None) -> list[tuple[int, Mapping[str, Any]]]:
    return [(at, row) for at, row in enumerate(rows) if row["selector"] != UNTRAINED and _near(row) is near]


def _name(row: Mapping[str, Any]) -> str:
    if row["selector"] == UNTRAINED:
        return text(row["label"])
    if "seeds" in row:
        differs = "".join(f", {name} {value}" for name, value in row["differs"].items())
        return text(f"{row['label']}{differs} ({len(row['seeds'])} seeds)", 48)
    return f"{text(row['label'], 44)}, seed {row['seed']} · {row['run'][-6:]}"


def _hover(row: Mapping[str, Any]) -> str:
    ends = "no interval" if row["ci_low"] is None else f"{row['ci_low'] * 100:.1f} to {row['ci_high'] * 100:.1f}"
    return f"{_name(row)}<br>{text(row['recipe'])}<br>{row['score'] * 100:.1f} %, {ends}, n {row['n_problems']}"


def _bars(rows: Sequence[Mapping[str, Any]], colour: str) -> dict[str, Any]:
    above = [0.0 if row["ci_high"] is None else (row["ci_high"] - row["score"]) * 100 for row in rows]
    below = [0.0 if row["ci_low"] is None else (row["score"] - row["ci_low"]) * 100 for row in rows]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": colour, "thickness": 2}


def pool_scatter(pool: Pool, x: str, y: str, colour: str) -> tuple[go.Figure, str]:
    """The candidates by two of their columns, coloured by words, kept rows larger; and a sentence that says what is
    drawn: a sample, the same at every visit, where there are more than `DRAWN`.
    """
    import numpy as np

    words = pool.words(colour)
    across, up = pool.columns[x], pool.columns[y]
    there = np.flatnonzero(~(np.isnan(across) | np.isnan(up)))
    places = sample(there, pool.is_kept[there])
    figure = plain(460, hovermode="closest")
    for at, name in enumerate([*words.names[: len(COLOURS)], *([OTHERS] if len(words.names) > len(COLOURS) else [])]):
        found = places[(words.codes[places] if name != OTHERS else np.minimum(words.codes[places], len(COLOURS))) == at]
        tint = INK if at >= len(COLOURS) else COLOURS[at]
        if colour == "kept or left":
            tint = BLUE if name == "kept" else INK
        if len(found):
            figure.add_scatter(**_points(pool, found, across, up, name, tint, SYMBOLS[at % len(SYMBOLS)]))
    figure.update_xaxes(title_text=text(x))
    figure.update_yaxes(title_text=text(y))
    return figure, _drawn(pool, len(there), len(places))


def sample(there: Any, kept: Any, most: int = DRAWN) -> Any:
    """At most `most` of the places `there`, in order: all that were kept if they are at most half of it, else a sample
    of them, and a sample of the others. Drawn with a fixed seed.
    """
    import numpy as np

    if len(there) <= most:
        return there
    draw = np.random.default_rng(0)
    chosen, others = there[kept], there[~kept]
    chosen = draw.permutation(chosen)[: max(most // 2, most - len(others))]
    return np.sort(np.concatenate([chosen, draw.permutation(others)[: most - len(chosen)]]))


def _points(pool: Pool, at: Any, x: Floats, y: Floats, name: str, colour: str, symbol: str) -> dict[str, Any]:
    import numpy as np

    kept = pool.is_kept[at]
    return {
        "x": x[at].tolist(),
        "y": y[at].tolist(),
        "mode": "markers",
        "name": text(name, 40),
        "text": [f"{text(pool.candidates[place])}<br>{_decision(one)}" for place, one in zip(at, kept, strict=True)],
        "customdata": [pool.candidates[place] for place in at],
        "hovertemplate": "%{text}<br>%{xaxis.title.text} %{x:.4g}<br>%{yaxis.title.text} %{y:.4g}"
        "<extra>%{fullData.name}</extra>",
        "marker": {
            "color": colour,
            "symbol": symbol,
            "size": np.where(kept, 9, 5).tolist(),
            "opacity": np.where(kept, 0.95, 0.65).tolist(),
            "line": {"width": np.where(kept, 1, 0).tolist(), "color": INK},
        },
    }


def _decision(kept: bool) -> str:
    return "kept" if kept else "left"


def _drawn(pool: Pool, there: int, drawn: int) -> str:
    rows = len(pool.candidates)
    said = [f"{rows:,} candidates of {pool.size:,} rows in the pool."]
    if pool.size > rows:
        said.append(f"{pool.size - rows:,} rows are no candidates and have no signals.")
    if there < rows:
        said.append(f"{rows - there:,} lack one of the two values.")
    if drawn < there:
        said.append(f"Drawn is a sample of {drawn:,}, kept rows favoured; counts and tables are of all.")
    said.append("Kept rows are larger and outlined.")
    return " ".join(said)


def histogram(pool: Pool, name: str) -> tuple[go.Figure, str]:
    """How a column is spread over the candidates, kept on left, and for the score the cut; and a sentence on it."""
    import numpy as np

    values = pool.columns[name]
    there = ~np.isnan(values)
    figure = plain(340, barmode="stack", bargap=0.02)
    figure.update_xaxes(title_text=text(name))
    figure.update_yaxes(title_text="rows")
    if not there.any():
        return figure, f"No candidate has a value of {name}."
    edges = np.histogram_bin_edges(values[there], bins=BINS)
    for word, which, colour in (("kept", pool.is_kept, BLUE), ("left", ~pool.is_kept, INK)):
        counts = np.histogram(values[there & which], bins=edges)[0]
        figure.add_bar(
            x=((edges[1:] + edges[:-1]) / 2).tolist(),
            y=counts.tolist(),
            width=np.diff(edges).tolist(),
            name=word,
            marker={"color": colour},
            customdata=[f"{low:.4g} to {high:.4g}" for low, high in pairwise(edges.tolist())],
            hovertemplate=f"{word}: %{{y:,}}<br>%{{customdata}}<extra></extra>",
        )
    said = [f"{int(there.sum()):,} of {len(values):,} candidates have a value."]
    found = cut(pool) if name == "score" else None
    if found:
        figure.add_vline(found[0], line={"color": ORANGE, "width": 2, "dash": "dash"}, annotation_text="cut")
        said.append(found[1])
    return figure, " ".join(said)


def cut(pool: Pool) -> tuple[float, str] | None:
    """The score of the last row kept by rank, and a sentence on it; None where nothing kept has rank and score."""
    import numpy as np

    ranked = pool.is_kept & ~np.isnan(pool.ranks) & ~np.isnan(pool.scores)
    if not ranked.any():
        return None
    last = int(np.flatnonzero(ranked)[np.argmax(pool.ranks[ranked])])
    score, rank = float(pool.scores[last]), int(pool.ranks[last])
    passed = int(((pool.ranks < rank) & ~pool.is_kept).sum())
    also = f" {passed:,} ranked before it were left for other reasons." if passed else ""
    return score, f"The cut: the last row kept has rank {rank:,} and score {score:.4g}.{also}"


def skills(tree: Sequence[Skill], facts: Literal["share", "rows"] = "share") -> go.Figure:
    """The skill tree as lines, a branch above what hangs on it: how much of its candidates was selected, in percent,
    or how many rows; and the student's accuracy with its interval, where it was asked.
    """
    names = [_branch(node.chain) for node in tree]
    at = list(range(len(tree)))
    figure = plain(110 + 24 * max(3, len(tree)), barmode="overlay")
    share = [100 * node.kept / node.candidates if node.candidates else 0.0 for node in tree]
    shown = [f"{text(node.chain, 120)}<br>{node.kept:,} of {node.candidates:,} candidates selected" for node in tree]
    figure.add_bar(
        x=share if facts == "share" else [node.kept for node in tree],
        y=at,
        orientation="h",
        name="selected, % of its candidates" if facts == "share" else "rows selected",
        marker={"color": BLUE, "opacity": 0.75},
        text=shown,
        textposition="none",
        hovertemplate="%{text}<extra></extra>",
    )
    known = [(place, node) for place, node in enumerate(tree) if node.accuracy is not None]
    if known and facts == "share":
        rows = [{"score": node.accuracy, "ci_low": node.low, "ci_high": node.high} for _, node in known]
        figure.add_scatter(
            x=[row["score"] * 100 for row in rows if row["score"] is not None],
            y=[place for place, _ in known],
            error_x=_bars(rows, ORANGE),
            mode="markers",
            name="accuracy of the untrained student, %",
            marker={"color": ORANGE, "symbol": "diamond", "size": 10},
            text=[f"{text(node.chain, 120)}<br>{node.answers or 0:,} answers" for _, node in known],
            hovertemplate="%{text}<br>%{x:.1f} %<extra></extra>",
        )
    figure.update_yaxes(
        tickmode="array", tickvals=at, ticktext=names, range=[len(tree) - 0.4, -0.6], showgrid=False, zeroline=False
    )
    figure.update_xaxes(title_text="percent" if facts == "share" else "rows", rangemode="tozero")
    return figure


def _branch(chain: str) -> str:
    names = chain.split(ARROW)
    name = text(names[-1], 40)
    return f"└{'─' * (len(names) - 2)} {name}" if len(names) > 1 else f"<b>{name}</b>"


def epochs(flows: Sequence[Mapping[str, int]]) -> go.Figure:
    """Rows that stayed, came in and went out before each epoch: `{epoch, stayed, came, went}`, epochs from 1."""
    figure = plain(320, barmode="relative")
    at = [f"epoch {flow['epoch']}" for flow in flows]
    for name, key, colour, sign in (
        ("stayed", "stayed", BLUE, 1),
        ("came in", "came", ORANGE, 1),
        ("went out", "went", INK, -1),
    ):
        figure.add_bar(
            x=at,
            y=[sign * flow[key] for flow in flows],
            name=name,
            marker={"color": colour},
            customdata=[flow[key] for flow in flows],
            hovertemplate=f"{name}: %{{customdata:,}}<extra></extra>",
        )
    figure.update_yaxes(title_text="rows")
    return figure


def benchmark_name(name: str) -> str:
    """What a person reads of a benchmark."""
    return "macro average" if name == MACRO else name
