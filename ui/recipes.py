"""The Recipes page: a recipe as text and as a form, what is wrong with it, what it will cost, and the buttons."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from distill_app.errors import DistillError, RecipeError
from distill_app.plan import view

from . import first, form, form_widgets, jobs, plan_table, problems, recipe_files
from .fields import LISTS, all_fields
from .form import At
from .listening import LATEST
from .problems import Checked
from .recipe_files import Opened

Updates = dict[Any, Any]

NOT_YAML = "The form writes nothing while the text cannot be read: correct the text first."
NO_PLAN = '<p class="muted">A plan needs a recipe without problems.</p>'
LEFT = "What was in the editor was not saved: Ctrl-Z there brings it back."
STYLE = """
@media (min-width: 900px) { #recipe-text { position: sticky; top: 0; } }
ol.problems { list-style: decimal; padding-left: 1.4rem; margin: .25rem 0; }
ol.problems code { font-family: var(--font-mono); }
#recipe-plan-table .scroll { max-height: 37rem; }
#recipe-plan-table table.plain { font-size: .85rem; margin: .25rem 0; }
#recipe-plan-table table.plain th, #recipe-plan-table table.plain td { padding: .25rem .4rem; }
ol.problems li { margin: .3rem 0; overflow-wrap: anywhere; color: var(--body-text-color); }
button.goto { color: var(--link-text-color); text-decoration: underline; background: none; border: 0; padding: 0;
  cursor: pointer; font: inherit; }
"""
DOWNLOAD = """
(text, name, kept) => {
  const opened = {crlf: false, head: '', tail: '\\n', ...JSON.parse(kept || '{}')};
  let whole = /^\\s/.test(text) ? text : opened.head + text;
  whole = /\\s$/.test(whole) ? whole : whole + opened.tail;
  whole = opened.crlf ? whole.replaceAll('\\n', '\\r\\n') : whole;
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([whole], {type: 'application/yaml'}));
  link.download = (name || 'recipe') + '.yaml';
  link.click();
  URL.revokeObjectURL(link.href);
}
"""
"""As `recipe_files.restored`, in the browser: what is downloaded need not travel."""
EVERY_INPUT = """
document.addEventListener('input', (event) => {
  const field = event.target.closest('#recipe-form [id^="f-"]');
  if (field && event.target.matches('textarea, input[type=text]'))
    event.target.dispatchEvent(new KeyboardEvent('keypress', {key: 'Unidentified', bubbles: true}));
});
"""
"""Gradio 6.31's text boxes notice a key that writes, and neither deletion, pasting nor a phone's keyboard."""


def page(root: Path) -> None:
    """Build the page inside the Blocks that the caller has opened."""
    Page(root)


class Page:
    """The page's widgets, and what each event sends to them. It holds nothing of a visitor: that is in `kept`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.built_with = recipe_files.open_recipe(root, recipe_files.FIRST)[0]
        said = problems.read(root, self.built_with)
        assert said is not None
        gr.HTML(
            f'<style>{STYLE}</style><h1 class="page-title">Recipes</h1>',
            js_on_load=EVERY_INPUT,
            apply_default_css=False,
        )
        with gr.Row():
            self.picker = gr.Dropdown(
                [],
                label="Recipe",
                info="Choosing one opens it.",
                allow_custom_value=True,
                elem_id="recipe",
                scale=3,
                min_width=260,
            )
            self.name = gr.Textbox(
                label="Save as", info="Its name in this workspace.", elem_id="recipe-name", scale=2, min_width=260
            )
        with gr.Row():
            self.save = gr.Button("Save", elem_id="recipe-save", min_width=100)
            self.duplicate = gr.Button("Duplicate", elem_id="recipe-duplicate", min_width=100)
            self.load = gr.UploadButton("Import", file_types=[".yaml", ".yml"], elem_id="recipe-import", min_width=100)
            self.download = gr.Button("Download", elem_id="recipe-download", min_width=100)
        self.status = gr.HTML(elem_id="recipe-status", apply_default_css=False)
        with gr.Row():
            with gr.Column(scale=6, min_width=320):
                self.text = gr.Code(
                    language="yaml",
                    label="Recipe (Esc, then Tab leaves the editor)",
                    lines=28,
                    max_lines=44,
                    elem_id="recipe-text",
                    interactive=True,
                )
            with gr.Column(scale=5, min_width=320):
                with gr.Row():
                    self.run = gr.Button("Run", variant="primary", elem_id="recipe-run", interactive=False)
                    self.run_matrix = gr.Button("Run matrix", elem_id="recipe-run-matrix", visible=False)
                self.problems = gr.HTML(
                    elem_id="recipe-problems", js_on_load=problems.GO_TO_LINE, apply_default_css=False
                )
                with gr.Accordion("Plan", open=True, elem_id="recipe-plan"):
                    self.plan = gr.HTML(elem_id="recipe-plan-table", apply_default_css=False)
                    self.plan_now = gr.Button("Work out the plan", size="sm", elem_id="recipe-plan-now", visible=False)
                gr.HTML('<h2 class="page-title">Form</h2>', apply_default_css=False)
                with gr.Column(elem_id="recipe-form"):
                    self.form = form_widgets.Form(form.state(said, At()))
        self.shown = gr.Textbox(visible="hidden", elem_id="form-shown")
        self.opened = gr.Textbox(visible="hidden", elem_id="recipe-opened")
        self.job = gr.Textbox(visible="hidden", elem_id="recipe-job")
        self._listen()

    def _listen(self) -> None:
        entries = [self.form.teacher_of, *self.form.entries.values()]
        checks = [self.problems, self.run, self.run_matrix, self.plan, self.plan_now]
        groups = [accordion for accordion, _ in self.form.groups]
        view = [self.text, self.shown, *checks, *entries, *groups, *self.form.fields]
        everything = [*view, self.picker, self.name, self.opened, self.status]
        once: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}

        gr.on(None, self.first_look, None, everything, queue=False, **once)
        self.picker.input(self.open_one, [self.picker, self.text, self.opened], everything, queue=False, **once)
        self.load.upload(self.import_one, self.load, everything, **once)
        saved = [self.picker, self.name, self.opened, self.status]
        self.save.click(self.save_it, [self.text, self.opened, self.name], saved, **once)
        self.duplicate.click(self.copy_it, [self.text, self.opened, self.name], everything, **once)
        self.download.click(None, [self.text, self.name, self.opened], None, js=DOWNLOAD, api_visibility="private")

        self.text.input(self.from_text, [self.text, self.shown], view, **LATEST)
        gr.on(
            [widget.input for widget in self.form.fields],
            self.from_form,
            [self.text, self.shown, *self.form.fields],
            view,
            **LATEST,
        )
        gr.on([widget.input for widget in entries], self.other_entry, [self.text, self.shown, *entries], view, **LATEST)
        for place in LISTS:
            self.form.adders[place].click(self._adder(place), [self.text, self.shown], view, queue=False, **once)
            self.form.removers[place].click(self._remover(place), [self.text, self.shown], view, queue=False, **once)
        self.plan_now.click(self.plan_it, self.text, checks, **once)
        for button, start in ((self.run, self.start_alone), (self.run_matrix, self.start_all)):
            button.click(start, [self.text, self.opened], self.job, **once).success(
                None, self.job, None, js=first.GO_TO_JOB, api_visibility="private"
            )

    # What is opened, saved, started

    def first_look(self, request: gr.Request) -> Updates:
        """`?recipe=NAME` opens a recipe, `?from=RUN` the copy a run keeps; else the quickstart."""
        asked = request.query_params.get("recipe") or recipe_files.FIRST
        if run := request.query_params.get("from"):
            asked = f"run/{run}"
        try:
            return self._opened(*recipe_files.open_recipe(self.root, asked), showed=self.built_with)
        except DistillError as error:
            first_one = recipe_files.open_recipe(self.root, recipe_files.FIRST)
            return self._opened(*first_one, bad=str(error), showed=self.built_with)

    def open_one(self, asked: str, before: str, kept: str) -> Updates:
        try:
            text, opened = recipe_files.open_recipe(self.root, asked or "")
        except DistillError as error:
            return {self.status: _notice(str(error), bad=True)}
        return self._opened(text, opened, said=LEFT if self._unsaved(before, recipe_files.recalled(kept)) else "")

    def import_one(self, file: str) -> Updates:
        try:
            text, opened = recipe_files.imported(self.root, Path(file))
        except DistillError as error:
            return {self.status: _notice(str(error), bad=True)}
        return self._opened(text, opened, said="Imported. It is in the workspace once you save it.")

    def save_it(self, text: str, kept: str, name: str) -> Updates:
        try:
            opened = recipe_files.save(self.root, text, recipe_files.recalled(kept), name.strip())
        except DistillError as error:
            return {self.status: _notice(str(error), bad=True)}
        return {
            self.picker: gr.Dropdown(choices=recipe_files.choices(self.root), value=f"workspace/{opened.name}"),
            self.name: opened.name,
            self.opened: opened.as_text(),
            self.status: _notice(f"Saved as {opened.name}."),
        }

    def copy_it(self, text: str, kept: str, name: str) -> Updates:
        opened = recipe_files.recalled(kept)
        wanted = recipe_files.free_name(self.root, name.strip() or opened.name)
        try:
            text, copied = recipe_files.duplicate(self.root, text, opened, wanted)
        except RecipeError:
            return {self.status: _notice(NOT_YAML, bad=True)}
        except DistillError as error:
            return {self.status: _notice(str(error), bad=True)}
        return self._opened(text, copied, said=f"This is the copy, saved as {copied.name}.")

    def start_alone(self, text: str, kept: str) -> str:
        matrix = problems.check(self.root, text).matrix
        return self._start(text, kept, [problems.WITHOUT_MATRIX] if matrix else [])

    def start_all(self, text: str, kept: str) -> str:
        return self._start(text, kept, [])

    def _start(self, text: str, kept: str, sets: list[str]) -> str:
        whole = recipe_files.restored(text, recipe_files.recalled(kept))
        try:
            return str(jobs.start(self.root, whole, sets).number)
        except DistillError as error:
            raise gr.Error(escape(str(error)), duration=None) from error

    def plan_it(self, text: str) -> Updates:
        return self._checks(problems.check(self.root, text, wait=True), [])

    # Text and form in step

    def from_text(self, text: str, kept: str) -> Updates:
        """The text was edited: what it says into the form."""
        showed, at = form.recalled(kept)
        return self._view(text, problems.check(self.root, text), showed, at, at, frozenset(), [])

    def from_form(self, text: str, kept: str, *values: Any) -> Updates:
        """A field was edited: into the text what differs from what the form showed."""
        showed, at = form.recalled(kept)
        said = problems.read(self.root, text)
        if said is None:
            return self._view(text, problems.check(self.root, text), None, at, at, frozenset(), [NOT_YAML])
        seen = (problems.read(self.root, showed) if showed is not None else None) or said
        written, changed, notes = form.write(text, said, at, form.state(seen, at), values)
        checked = problems.check(self.root, written)
        found = self._view(written, checked, showed, at, at, frozenset(changed), notes)
        return {**found, self.text: written} if written != text else found

    def other_entry(self, text: str, kept: str, teacher_of: str, *numbers: float | None) -> Updates:
        """Another entry of a list is to be shown."""
        showed, before = form.recalled(kept)
        wanted = [max(int(number or 1), 1) - 1 for number in numbers]
        at = At(teacher_of or "teacher", *wanted)
        return self._view(text, problems.check(self.root, text), showed, before, at, frozenset(), [])

    def _adder(self, place: tuple[str, ...]) -> Any:
        def add(text: str, kept: str) -> Updates:
            return self._changed_list(text, kept, place, lambda _: form.add_entry(text, place), last=True)

        return add

    def _remover(self, place: tuple[str, ...]) -> Any:
        def remove(text: str, kept: str) -> Updates:
            return self._changed_list(text, kept, place, lambda at: form.remove_entry(text, place, at.index(place)))

        return remove

    def _changed_list(
        self, text: str, kept: str, place: tuple[str, ...], change: Any, *, last: bool = False
    ) -> Updates:
        showed, before = form.recalled(kept)
        at, notes, written = before, [], text
        try:
            written = change(before)
        except RecipeError:
            notes = [NOT_YAML]
        except DistillError as error:
            notes = [str(error)]
        if last and not notes:
            at = At("teacher", **{item[-1]: 10**6 if item == place else before.index(item) for item in LISTS})
        found = self._view(written, problems.check(self.root, written), showed, before, at, frozenset(), notes)
        return {**found, self.text: written} if written != text else found

    # What the page is sent

    def _opened(
        self, text: str, opened: Opened, *, said: str = "", bad: str = "", showed: str | None = None
    ) -> Updates:
        found = self._view(text, problems.check(self.root, text), showed, At(), At(), frozenset(), [])
        label = f"{opened.kind}/{opened.name}"
        name = opened.name
        if opened.kind != "workspace":
            checked = problems.read(self.root, text)
            wanted = (checked.own.get("name") if checked else None) if opened.kind == "run" else opened.name
            name = recipe_files.free_name(self.root, str(wanted or "recipe"))
        return {
            **found,
            self.text: text,
            self.opened: opened.as_text(),
            self.picker: gr.Dropdown(choices=recipe_files.choices(self.root), value=label if opened.name else None),
            self.name: name,
            self.status: _notice(bad or said, bad=bool(bad)) if bad or said else "",
        }

    def _unsaved(self, text: str, opened: Opened) -> bool:
        try:
            there, _ = recipe_files.open_recipe(self.root, f"{opened.kind}/{opened.name}")
        except DistillError:
            return bool(text.strip())
        return there != text

    def _checks(self, checked: Checked, notes: list[str]) -> Updates:
        arms = len(checked.arms)
        plan = _slow(checked)
        if checked.plan is not None:
            plan = plan_table.as_html(checked.plan, view.sent(checked.arms))
        return {
            self.problems: problems.as_html(checked.faults, notes, arms),
            self.run: gr.update(
                interactive=checked.alone is not None, value="Run without the matrix" if checked.matrix else "Run"
            ),
            self.run_matrix: gr.update(
                visible=checked.matrix, interactive=checked.matrix, value=f"Run matrix ({arms} runs)"
            ),
            self.plan: NO_PLAN if checked.faults else plan,
            self.plan_now: gr.update(visible=checked.plan is None and not checked.faults),
        }

    def _view(
        self,
        text: str,
        checked: Checked,
        showed: str | None,
        before: At,
        at: At,
        changed: frozenset[int],
        notes: list[str],
    ) -> Updates:
        """Problems, plan and buttons; and of the form what differs from what it showed, but for `changed` values."""
        found = self._checks(checked, notes)
        if checked.said is None:
            return {**found, self.shown: form.remembered(None, before)}
        at = form.within(at, checked.said)
        now = form.state(checked.said, at, checked.base)
        seen = problems.read(self.root, showed) if showed is not None else None
        old = form.state(seen, before, _base(seen.own)) if seen else [None] * len(now)
        for index, (item, widget) in enumerate(zip(all_fields(), self.form.fields, strict=True)):
            update = form_widgets.update(item, old[index], now[index], value=index not in changed)
            if update is not None:
                found[widget] = update
        for accordion, places in self.form.groups:
            visible = any(now[index].visible for index in places)
            if not seen or visible != any(one is not None and one.visible for one in (old[index] for index in places)):
                found[accordion] = gr.update(visible=visible)
        for place, widget in self.form.entries.items():
            count = form.entries(checked.said.merged, place)
            found[widget] = gr.update(value=at.index(place) + 1, info=f"of {count}", maximum=max(count, 1))
        found[self.form.teacher_of] = at.teacher_of
        return {**found, self.shown: form.remembered(text, at)}


def _base(own: dict[str, Any]) -> str:
    base = own.get("extends")
    return base if isinstance(base, str) else ""


def _slow(checked: Checked) -> str:
    names = ", ".join(escape(name) for name in checked.slow)
    return f"<p>Planning looks closely at {names}: it is worked out when you ask for it.</p>"


def _notice(text: str, *, bad: bool = False) -> str:
    return f'<p class="notice{" bad" if bad else ""}" role="status">{escape(text)}</p>'
