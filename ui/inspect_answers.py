"""The Inspect page's tab of answers: what the student answered before and after training, side by side and graded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr

from distill_app.store.runs import Run

from . import answers, inspect_views, mathtext
from .answers import BASE, TRAINED, Problem
from .inspect_asked import ADDRESS, KEEP, of_address, of_id
from .listening import LATEST, QUIET

LISTED = 2000
"""Problems listed at once."""
NONE = (
    '<p class="notice" role="status">No student of this run has been measured and graded yet. '
    '<a class="plain-link" href="./runs?run={}">How far the run has come</a>.</p>'
)
NOTE_PROBLEM = KEEP % ('["row"]', "problem")
NOTE_BENCHMARK = KEEP % ('["row", "problem"]', "benchmark")


def tab(root: Path, wanted: gr.Textbox, opened: gr.Tab) -> None:
    """Its components and what moves them; `wanted` holds the run's id, `opened` is the tab they stand in."""
    other = gr.Textbox(visible="hidden", elem_id="inspect-with")
    address = gr.Textbox(visible="hidden", elem_id="inspect-address")
    said = gr.HTML(elem_id="inspect-answers-said", visible=False, apply_default_css=False)
    with gr.Row():
        benchmark = gr.Dropdown([], label="Benchmark", elem_id="inspect-benchmark", min_width=140)
        which = gr.Dropdown(
            list(answers.FILTERS), value=answers.FILTERS[0], label="Show", elem_id="inspect-filter", min_width=220
        )
        problem = gr.Dropdown([], label="Problem", elem_id="inspect-problem", min_width=200)
        sample = gr.Dropdown([], label="Answer number", elem_id="inspect-sample", min_width=100)
    asked = _markdown("inspect-asked")
    with gr.Row():
        sides = []
        for name in ("inspect-base", "inspect-trained", "inspect-other"):
            with gr.Column(min_width=320, visible=name != "inspect-other") as column:
                sides.append(_markdown(name))
    problems = gr.Dataframe(
        headers=["problem", "untrained right", "trained right", "question"],
        datatype="str",
        type="array",
        interactive=False,
        label="Problems: click one to read its answers",
        elem_id="inspect-problems",
        max_height=360,
        latex_delimiters=[],
    )
    texts = [asked, *sides, column]
    everything = [said, other, benchmark, which, problem, sample, problems, *texts]

    def load(request: gr.Request) -> list[Any]:
        query = dict(request.query_params)
        run = of_address(root, query) if "problem" in query else None
        return [gr.skip()] * len(everything) if run is None else first(root, run, query)

    def open_tab(shown: str, before: str | None, address: str) -> list[Any]:
        # An address that names a problem opens this tab itself, while `load` is at work: both must show the same.
        run = of_id(root, shown)
        return [gr.skip()] * len(everything) if run is None or before else first(root, run, dict(parse_qsl(address)))

    def choose(shown: str, name: str | None, wanted_only: str | None, beside: str) -> list[Any]:
        run = of_id(root, shown)
        return [gr.skip()] * 8 if run is None else _listed(root, run, name or "", wanted_only or "", "", beside)

    def pick(shown: str, name: str | None, one: str | None, beside: str) -> list[Any]:
        run = of_id(root, shown)
        return [gr.skip()] * 6 if run is None else _read(root, run, name or "", one or "", 0, beside)

    def number(shown: str, name: str | None, one: str | None, at: int | None, beside: str) -> list[Any]:
        run = of_id(root, shown)
        return [gr.skip()] * 6 if run is None else _read(root, run, name or "", one or "", at or 0, beside)

    def click(shown: str, name: str | None, beside: str, event: gr.SelectData) -> list[Any]:
        run = of_id(root, shown)
        one = str(event.row_value[0]) if event.row_value else ""
        return [gr.skip()] * 7 if run is None else [one, *_read(root, run, name or "", one, 0, beside)]

    gr.on(None, load, None, everything, **QUIET)
    opened.select(open_tab, [wanted, benchmark, address], everything, js=ADDRESS, **QUIET)
    gr.on(
        [benchmark.input, which.input],
        choose,
        [wanted, benchmark, which, other],
        [problem, problems, sample, *texts],
        **QUIET,
    ).then(None, benchmark, None, js=NOTE_BENCHMARK, api_visibility="private")
    problem.input(pick, [wanted, benchmark, problem, other], [sample, *texts], **LATEST).then(
        None, problem, None, js=NOTE_PROBLEM, api_visibility="private"
    )
    sample.input(number, [wanted, benchmark, problem, sample, other], [sample, *texts], **LATEST)
    problems.select(click, [wanted, benchmark, other], [problem, sample, *texts], **QUIET).then(
        None, problem, None, js=NOTE_PROBLEM, api_visibility="private"
    )


def _markdown(name: str) -> gr.Markdown:
    return gr.Markdown(latex_delimiters=mathtext.DELIMITERS, line_breaks=True, elem_id=name)


def first(root: Path, run: Run, query: Mapping[str, Any]) -> list[Any]:
    """Values for everything in the tab, as an address asks for it; unasked the first problem of the first benchmark."""
    graded = answers.graded(root, run)
    if not graded:
        return [gr.HTML(NONE.format(run.id), visible=True), "", *[gr.skip()] * 10]
    names = list(graded)
    name = str(query.get("benchmark", names[0]))
    name = name if name in graded else names[0]
    beside = str(query.get("with", ""))
    beside = beside if of_id(root, beside) else ""
    problem, problems, sample, *texts = _listed(
        root, run, name, answers.FILTERS[0], str(query.get("problem", "")), beside
    )
    missing = [word for word, role in (("untrained", BASE), ("trained", TRAINED)) if role not in graded[name]]
    said = (
        f'<p class="notice">The {" and the ".join(missing)} student has no graded answers yet.</p>' if missing else ""
    )
    return [
        gr.HTML(said, visible=bool(said)),
        beside,
        gr.Dropdown(names, value=name),
        answers.FILTERS[0],
        problem,
        sample,
        problems,
        *texts,
    ]


def _listed(root: Path, run: Run, benchmark: str, wanted: str, problem: str, beside: str) -> list[Any]:
    """Values for the box of problems, their table, the box of answers, the texts, and whether there is a third."""
    students = answers.graded(root, run).get(benchmark)
    if students is None:
        return [gr.skip()] * 8
    found = [one for one in answers.problems(students) if one.fits(wanted)]
    listed = found[:LISTED]
    names = [
        (f"{one.id}: {answers.share(one, BASE)} right, then {answers.share(one, TRAINED)}", one.id) for one in listed
    ]
    chosen = next((one for one in found if one.id == problem), found[0] if found else None)
    if chosen is not None and chosen not in listed:
        names.insert(0, (chosen.id, chosen.id))
    return [
        gr.Dropdown(names, value=chosen.id if chosen else None),
        gr.Dataframe(answers.lines(listed), label=_title(len(found))),
        *_of(root, run, benchmark, chosen, 0, beside),
    ]


def _title(found: int) -> str:
    more = f", the first {LISTED:,} of which are listed" if found > LISTED else ""
    return f"{found:,} problems{more}: click one to read its answers"


def _read(root: Path, run: Run, benchmark: str, problem: str, number: int, beside: str) -> list[Any]:
    """Values for the box of answers the texts, and whether there is a third."""
    students = answers.graded(root, run).get(benchmark, {})
    found = next((one for one in answers.problems(students) if one.id == problem), None)
    return _of(root, run, benchmark, found, number, beside)


def _of(root: Path, run: Run, benchmark: str, problem: Problem | None, number: int, beside: str) -> list[Any]:
    if problem is None:
        return [gr.Dropdown([], value=None), "No problem is as asked for.", "", "", "", gr.Column(visible=False)]
    given = next(iter(problem.answers.values()))
    choices = [(_label(problem, at), at) for at in range(len(given))]
    number = number if number < len(given) else 0
    texts = [_side(root, run, benchmark, problem.id, number, role) for role in (BASE, TRAINED)]
    other = of_id(root, beside) if beside else None
    texts.append(_side(root, other, benchmark, problem.id, number, TRAINED, beside[-6:]) if other else "")
    return [
        gr.Dropdown(choices, value=number),
        inspect_views.asked(problem.question, problem.answer),
        *texts,
        gr.Column(visible=other is not None),
    ]


def _label(problem: Problem, at: int) -> str:
    verdicts = [
        problem.answers[role][at].verdict.replace("_", " ") if at < len(problem.answers.get(role, ())) else "-"
        for role in (BASE, TRAINED)
    ]
    return f"{at + 1}: {verdicts[0]}, then {verdicts[1]}"


def _side(root: Path, run: Run, benchmark: str, problem: str, number: int, role: str, name: str = "") -> str:
    """One student's answer as Markdown."""
    students = answers.graded(root, run).get(benchmark, {})
    title = ("Untrained" if role == BASE else "Trained") + (f", run {name}" if name else "")
    if role not in students:
        return f"### {title}\n\nNot measured yet."
    found = next((one for one in answers.problems(students) if one.id == problem), None)
    if found is None or number >= len(found.answers.get(role, ())):
        return f"### {mathtext.escaped(title)}\n\nNo such answer."
    return inspect_views.answer(title, *answers.read(students[role], found.answers[role][number].id))
