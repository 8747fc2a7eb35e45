"""The Leaderboard page: runs and arms by benchmark, a forest plot, and ticked runs compared.

A row of the table ticks its run, and so does the list beside the comparison, which keys reach; the address keeps what
is ticked (`?runs=ID,ID`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from distill_app.errors import DistillError
from distill_app.reports.compare_operands import BASE
from distill_app.reports.result import UNTRAINED, VERSION
from distill_app.store.runs import RUN_ID

from . import board, comparison, figures, tables
from .listening import LATEST, QUIET

LINK = [column.kind for column in tables.RUNS].index("markdown")
"""The column that leads to the Inspect page."""
RUNS, ARMS = "Single runs", "Arms over seeds"
BEST, ALL, TICKED = f"the best {figures.FOREST}", "all", "the ticked runs"
EMPTY = (
    '<p class="notice" role="status">No run has finished yet. '
    '<a class="plain-link" href="./">Choose a recipe</a> and run it, or see how far '
    '<a class="plain-link" href="./runs">the runs</a> have come.</p>'
)
ASK = "Tick two runs or more: click their rows, or choose them here."
NOTE = (
    "Percent, gains in points over the untrained student of the same run; intervals of 95 % over problems. Best, or "
    "within noise of it: not distinguishable from the best of those that answered the same problems under the same "
    "settings, paired by problem, with Holm's correction over the runs. Click a row to tick its run."
)
NOTE_ARMS = (
    "Runs that differ in the seed alone, averaged problem by problem, under avg@k. Intervals are over problems; the "
    "spread over seeds is a figure of its own, which no interval covers. Minus random: all else equal."
)
KEEP = """(ticked) => {
  const here = new URL(location.href);
  const runs = (ticked || []).filter((name) => name !== "base");
  if (runs.length) here.searchParams.set("runs", runs.join(",")); else here.searchParams.delete("runs");
  history.replaceState(history.state, "", here);
}"""
SAVE = """(name, text) => {
  if (!name) return;
  const kinds = {csv: "text/csv", md: "text/markdown", json: "application/json"};
  const made = new Blob([text], {type: kinds[name.split(".").pop()] + ";charset=utf-8"});
  const link = document.createElement("a");
  link.href = URL.createObjectURL(made);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}"""
"""Hands the browser a file that the server never wrote."""


def page(root: Path) -> None:
    """The page's components and what moves them."""
    board.warm(root)
    gr.HTML('<h1 class="page-title">Leaderboard</h1>', apply_default_css=False)
    empty = gr.HTML(elem_id="results-empty", visible=False, apply_default_css=False)
    with gr.Column(visible=False, elem_id="results") as content:
        with gr.Row():
            view = gr.Radio([RUNS, ARMS], value=RUNS, label="Show", elem_id="results-view", min_width=240)
            benchmark = gr.Dropdown([], label="Benchmark", elem_id="results-benchmark", min_width=140)
            metric = gr.Dropdown([], label="Metric", elem_id="results-metric", min_width=120)
            sort = gr.Dropdown(list(tables.SORTS), value=tables.SORT, label="Sort by", elem_id="results-sort")
            words = gr.Textbox(label="Filter", placeholder="any words", elem_id="results-filter")
        runs = _table(tables.RUNS, "results-runs", "Runs")
        arms = _table(tables.ARMS, "results-arms", "Arms", visible=False)
        note = gr.HTML(elem_id="results-note", apply_default_css=False)
        with gr.Row():
            saves = [
                gr.Button(f"Save as {name}", size="sm", elem_id=f"results-{kind}", min_width=120)
                for name, kind in (("CSV", "csv"), ("Markdown", "md"), ("JSON", "json"))
            ]
        file_name = gr.Textbox(visible="hidden", elem_id="results-file-name")
        file_text = gr.Textbox(visible="hidden", elem_id="results-file")
        gr.HTML(comparison.heading("Scores with their intervals", 2), apply_default_css=False)
        drawn = gr.Dropdown([BEST, ALL, TICKED], value=BEST, label="Draw", elem_id="results-drawn")
        forest = gr.Plot(show_label=False, elem_id="results-forest", min_width=320)
        gr.HTML(comparison.heading("Compare", 2), apply_default_css=False)
        ticked = gr.Dropdown([], multiselect=True, label="Ticked runs", info=ASK, elem_id="results-ticked")
        compared = gr.HTML(elem_id="results-compared", apply_default_css=False)
        pair = gr.Dropdown(
            [], label="Wins and losses by problem: pair and benchmark", elem_id="results-pair", visible=False
        )
        problems = gr.HTML(elem_id="results-problems", apply_default_css=False)

    asked: list[Any] = [view, benchmark, metric, sort, words, drawn, ticked]
    shown = [runs, arms, note, forest]
    comparing = [compared, pair, problems]

    def load(request: gr.Request) -> list[Any]:
        return first(root, str(request.query_params.get("runs", "")))

    def change(*values: Any) -> list[Any]:
        return frame(board.of(root), *values)

    def tick(given: list[str] | None, event: gr.SelectData) -> list[Any]:
        found = toggled(given or [], event.row_value, event.index[1])
        return [gr.skip()] * 4 if found is None else [found, *_compared(root, found)]

    def compare(given: list[str] | None) -> list[Any]:
        return _compared(root, given or [])

    def by_problem(given: list[str] | None, name: str | None) -> str:
        return _problems(root, given or [], name or "")

    gr.on(None, load, None, [empty, content, benchmark, metric, ticked, *shown, *comparing], **QUIET)
    gr.on([one.input for one in asked[:-1]], change, asked, shown, **LATEST)
    runs.select(tick, ticked, [ticked, *comparing], **LATEST).then(
        None, ticked, None, js=KEEP, api_visibility="private"
    )
    ticked.input(compare, ticked, comparing, **LATEST).then(None, ticked, None, js=KEEP, api_visibility="private")
    pair.input(by_problem, [ticked, pair], problems, **LATEST)
    for button, kind in zip(saves, ("csv", "md", "json"), strict=True):
        button.click(_saver(root, kind), asked[:5], [file_name, file_text], **QUIET).then(
            None, [file_name, file_text], None, js=SAVE, api_visibility="private"
        )


def _table(columns: Sequence[tables.Column], name: str, label: str, *, visible: bool = True) -> gr.Dataframe:
    return gr.Dataframe(
        headers=[column.name for column in columns],
        datatype=tables.kinds(columns),
        type="array",
        interactive=False,
        label=label,
        elem_id=name,
        visible=visible,
        max_height=460,
        buttons=["fullscreen", "copy"],
        latex_delimiters=[],
    )


def first(root: Path, ticked: str) -> list[Any]:
    """What the page shows when it is opened, `ticked` being what its address ticks."""
    found = board.of(root)
    if not found.rows:
        return [gr.HTML(EMPTY, visible=True), gr.Column(visible=False), *[gr.skip()] * 10]
    names, kinds = tables.benchmarks(found.rows), tables.metrics(found.rows)
    given = ticked_in(ticked, found.rows)
    return [
        gr.HTML(visible=False),
        gr.Column(visible=True),
        gr.Dropdown([("every benchmark", tables.ALL), *_named(names)], value=names[0]),
        gr.Dropdown([("every metric", tables.ALL), *((name, name) for name in kinds)], value=kinds[0]),
        gr.Dropdown(choices(found.rows), value=given),
        *frame(found, RUNS, names[0], kinds[0], tables.SORT, "", BEST, given),
        *_compared(root, given),
    ]


def _named(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(figures.benchmark_name(name), name) for name in names]


def frame(
    found: board.Board,
    view: str,
    benchmark: str | None,
    metric: str | None,
    sort: str | None,
    words: str | None,
    drawn: str | None,
    ticked: Sequence[str] | None,
) -> list[Any]:
    """Values for both tables, the note below them, and the forest plot."""
    is_arms = view == ARMS
    rows = _rows(found, view, benchmark, metric, sort, words)
    plot = _drawn(rows, is_arms=is_arms, drawn=drawn or BEST, ticked=ticked or [])
    columns = tables.columns(tables.ARMS if is_arms else tables.RUNS, rows)
    shown = gr.Dataframe(tables.styled(rows, columns), datatype=tables.kinds(columns), visible=True)
    hidden = gr.Dataframe(visible=False)
    return [
        hidden if is_arms else shown,
        shown if is_arms else hidden,
        _note(found, is_arms=is_arms, rows=len(rows)),
        plot,
    ]


def _rows(
    found: board.Board,
    view: str,
    benchmark: str | None,
    metric: str | None,
    sort: str | None,
    words: str | None,
) -> list[tables.Row]:
    # Arms are under avg@k alone.
    rows, every = (found.arms, tables.ARMS) if view == ARMS else (found.rows, tables.RUNS)
    chosen = tables.chosen(rows, benchmark or tables.ALL, tables.ALL if view == ARMS else metric or tables.ALL)
    return tables.in_order(tables.matching(chosen, every, words or ""), sort or tables.SORT)


def _drawn(rows: Sequence[tables.Row], *, is_arms: bool, drawn: str, ticked: Sequence[str]) -> Any:
    """One benchmark and metric is drawn: the first of those shown."""
    if not rows:
        return None
    one = tables.chosen(rows, rows[0]["benchmark"], rows[0]["metric"])
    if drawn == TICKED:
        chosen = [row for row in one if set(row["runs"] if is_arms else [row["run"]]) & set(ticked)]
        one = [row for row in one if row["selector"] == UNTRAINED or row in chosen]
    return figures.forest(one, None if drawn == ALL else figures.FOREST)


def _note(found: board.Board, *, is_arms: bool, rows: int) -> str:
    said = [NOTE_ARMS if is_arms else NOTE]
    if is_arms and not rows:
        said = ["No arm on this benchmark: results of earlier versions are in none."]
    apart = sum(result["version"] < VERSION for result in found.results)
    if 0 < apart < len(found.results):
        said.append(
            f"{apart} of {len(found.results)} results were reported by an earlier version, and stand apart from the "
            "others; issuing their recipe again makes the report anew."
        )
    return f'<p class="muted">{escape(" ".join(said))}</p>'


def choices(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """What can be ticked: every run, newest first, and the untrained student."""
    runs = {row["run"]: row for row in rows if row["selector"] != UNTRAINED}
    named = [
        (f"{runs[name]['label']}, seed {runs[name]['seed']}, {runs[name]['recipe']}, {name}", name)
        for name in sorted(runs, reverse=True)
    ]
    return [*named, ("Untrained student of the first", BASE)] if named else []


def ticked_in(query: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The runs that an address ticks, those that are there."""
    known = {row["run"] for row in rows if row["selector"] != UNTRAINED}
    return [name for name in dict.fromkeys(query.split(",")) if RUN_ID.match(name) and name in known]


def toggled(ticked: Sequence[str], row: Sequence[Any] | None, column: int) -> list[str] | None:
    """What is ticked after a click on a row; None where the click was on the link, or the row is no run."""
    name = str(row[0]) if row else ""
    if not RUN_ID.match(name) or column == LINK:
        return None
    return [other for other in ticked if other != name] if name in ticked else [*ticked, name]


def _compared(root: Path, names: Sequence[str]) -> list[Any]:
    """Values for the comparison, the box of pairs, and the problems of the first."""
    nothing = gr.Dropdown([], value=None, visible=False)
    if len(names) < 2:
        return ["", nothing, ""]
    if len(names) > comparison.MOST:
        return [_sentence(f"{len(names)} runs are ticked; compare at most {comparison.MOST}."), nothing, ""]
    try:
        sides = comparison.operands(root, names)
        found = comparison.found(sides)
    except DistillError as error:
        return [_sentence(str(error)), nothing, ""]
    pairs = comparison.pairs(found)
    first = pairs[0]
    return [
        comparison.html(found),
        gr.Dropdown(pairs, value=first, visible=True),
        comparison.problems(sides, found, first),
    ]


def _problems(root: Path, names: Sequence[str], pair: str) -> str:
    try:
        sides = comparison.operands(root, names)
        return comparison.problems(sides, comparison.found(sides), pair)
    except DistillError as error:
        return _sentence(str(error))


def _sentence(text: str) -> str:
    return f'<p class="notice" role="status">{escape(text)}</p>'


def _saver(root: Path, kind: str) -> Any:
    def made(view: str, *given: Any) -> tuple[str, str]:
        rows = _rows(board.of(root), view, *given)
        columns = tables.columns(tables.ARMS if view == ARMS else tables.RUNS, rows)
        text = {
            "csv": lambda: tables.as_csv(rows),
            "md": lambda: tables.as_markdown(rows, columns),
            "json": lambda: tables.as_json(rows),
        }[kind]()
        return f"{'arms' if view == ARMS else 'leaderboard'}.{kind}", text

    return made
