"""What is wrong with a recipe's text, as the page shows it: a list in which each fault leads to its line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from distill_app.errors import DistillError, Fault, Position, RecipeError
from distill_app.plan import view
from distill_app.plan.estimate import Estimate
from distill_app.recipe import allowed, bundled, extends, nodes, schema
from distill_app.recipe.load import LARGEST_BYTES
from distill_app.recipe.parse import parse
from distill_app.recipe.resolve import Arm, load_arms

from . import jobs, plan_table
from .form import Said

WITHOUT_MATRIX = "matrix=null"

GO_TO_LINE = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('button.goto');
  const content = document.querySelector('#recipe-text .cm-content');
  if (!button || !content) return;
  const view = content.cmTile?.view ?? content.cmView?.view;
  if (!view) return;
  const line = view.state.doc.line(Math.min(Number(button.dataset.line), view.state.doc.lines));
  const at = Math.min(line.from + Number(button.dataset.column) - 1, line.to);
  view.dispatch({selection: {anchor: at}, scrollIntoView: true});
  view.focus();
});
"""
"""For gr.HTML's js_on_load. The editor's own object hangs on a private name, of which two are known."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A text as checked: its faults, else its arms.

    `alone` is the recipe without its matrix, None where that is not a whole recipe; `matrix` tells whether it has one.
    `said` is None where the text is not YAML or does not begin a recipe. `plan` is None where there are faults, and
    where planning would take long or ask a hub for `slow`, and was not wanted.
    """

    said: Said | None
    faults: tuple[Fault, ...] = ()
    arms: tuple[Arm, ...] = ()
    alone: Arm | None = None
    matrix: bool = False
    plan: tuple[Estimate, ...] | None = None
    slow: tuple[str, ...] = ()

    @property
    def base(self) -> str:
        """The recipe that this one extends, or ""."""
        base: Any = self.said.own.get("extends") if self.said else None
        return base if isinstance(base, str) else ""


def check(root: Path, text: str, *, wait: bool = False) -> Checked:
    """The text checked as if it lay among the workspace's recipes, and planned where that is quick or `wait` is set.

    Raises nothing that a recipe can cause.
    """
    said = read(root, text)
    try:
        if len(text.encode()) > LARGEST_BYTES:
            raise RecipeError([_too_large()])
        with jobs.on_disk(root, text) as file:
            arms = tuple(load_arms(file))
            slow = tuple(plan_table.slow_to_plan(arms))
            plan = tuple(view.estimates(arms, root)) if wait or not slow else None
            matrix = len(arms) > 1 or bool(arms[0].label)
            alone = _alone(file) if matrix else arms[0]
    except RecipeError as error:
        return Checked(said, error.faults)
    except DistillError as error:
        return Checked(said, (Fault(Position(jobs.SHOWN_FILE, 1, 1), "", error.message, error.hint),))
    return Checked(said, (), arms, alone, matrix, plan, slow)


def _alone(file: str) -> Arm | None:
    try:
        return load_arms(file, [WITHOUT_MATRIX])[0]
    except RecipeError:
        return None


def read(root: Path, text: str) -> Said | None:
    """What the text says, and what holds with the recipes it extends; None where it is not a recipe's kind of YAML."""
    if len(text.encode()) > LARGEST_BYTES:
        return None
    try:
        own = nodes.plain(parse(text, jobs.SHOWN_FILE))
    except RecipeError:
        return None
    if not isinstance(own, dict):
        return None
    if not own.get("extends"):
        return Said(own, own)
    try:
        with jobs.on_disk(root, text) as file:
            place = str(bundled.find(file) or file)
            _, merged = extends.read(schema.installed(), place, allowed.roots(place))
    except DistillError:
        return Said(own, own)
    return Said(own, nodes.plain(merged))


def _too_large() -> Fault:
    message = f"the text is larger than {LARGEST_BYTES // 1024} KB, so it is hardly a recipe."
    return Fault(Position(jobs.SHOWN_FILE, 1, 1), "", message, "Data sets are named in a recipe by path.")


def as_html(faults: Sequence[Fault], notes: Sequence[str] = (), arms: int = 1) -> str:
    """The faults with their places as buttons, in the order of the lines; else that there are none.

    `notes` are what a form could not write. All text is escaped: it comes from recipes.
    """
    said = "".join(f'<p class="notice bad">{escape(note)}</p>' for note in notes)
    if not faults:
        runs = "1 run" if arms == 1 else f"{arms} runs"
        return f'<div role="status">{said}<p class="notice" id="fine">No problems ({runs}).</p></div>'
    count = "1 problem" if len(faults) == 1 else f"{len(faults)} problems"
    items = "".join(f"<li>{_fault(fault)}</li>" for fault in faults)
    return (
        f'<div role="status">{said}<p class="notice bad"><strong>{count}.</strong> This recipe cannot run.</p>'
        f'<ol class="problems">{items}</ol></div>'
    )


def _fault(fault: Fault) -> str:
    line, column = fault.position.line, fault.position.column
    place = f"line {line}, column {column}"
    if fault.position.file == jobs.SHOWN_FILE:
        place = f'<button type="button" class="goto" data-line="{line}" data-column="{column}">{place}</button>'
    else:
        place = f"{escape(Path(fault.position.file).name)}, {place}"
    path = f" <code>{escape(fault.path)}</code>" if fault.path else ""
    hint = f' <span class="muted">{escape(fault.suggestion)}</span>' if fault.suggestion else ""
    return f"{place}{path}: {escape(fault.message)}{hint}"
