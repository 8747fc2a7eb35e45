"""The form's widgets: one for each field, in accordions as the schema nests, made once and never again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from .fields import ENTRY, NOT_GIVEN, Field, all_fields, sections
from .form import Shown

ENTRY_LABELS = {
    ("teacher",): "Teacher",
    ("augmentation",): "Augmentation",
    ("evaluation", "benchmarks"): "Benchmark",
}
TEACHERS_OF = (
    ("Teachers of the pool", "teacher"),
    ("The judge (quality.teacher)", "quality.teacher"),
    ("Who attributes skills (skills.teacher)", "skills.teacher"),
)


class Form:
    """The widgets in the order of `all_fields`, and those that choose which entry of a list is shown."""

    def __init__(self, showed: Sequence[Shown]) -> None:
        self.fields: list[Any] = []
        self.entries: dict[tuple[str, ...], Any] = {}
        self.adders: dict[tuple[str, ...], Any] = {}
        self.removers: dict[tuple[str, ...], Any] = {}
        self.teacher_of: Any = None
        self.groups: list[tuple[Any, tuple[int, ...]]] = []
        """Accordions within sections, with the places of their fields: shown while one of those is."""
        made: dict[str, Any] = {}
        known = list(zip(all_fields(), showed, strict=True))
        for section, (title, help_text) in sections().items():
            with gr.Accordion(title, open=False, elem_id=f"s-{section or 'general'}"):
                if help_text:
                    gr.HTML(f'<p class="muted">{escape(help_text)}</p>', apply_default_css=False)
                self._section([pair for pair in known if pair[0].section == section], 1, made)
        self.fields = [made[item.id] for item in all_fields()]

    def _section(self, known: Sequence[tuple[Field, Shown]], depth: int, made: dict[str, Any]) -> None:
        """Fields of one map; maps within it in accordions of their own, lists with the choice of an entry above."""
        groups: dict[tuple[str, ...], list[tuple[Field, Shown]]] = {}
        for item, shown in known:
            groups.setdefault(_group(item, depth), []).append((item, shown))
        # Maps within come last, but for those of a list's entry, which stay with it.
        for group, members in sorted(groups.items(), key=lambda one: ENTRY not in one[0] and len(one[0]) > depth):
            if ENTRY in group and group[: group.index(ENTRY)] not in self.entries:
                self._entry(group[: group.index(ENTRY)])
            if len(group) <= depth or group[-1] == ENTRY:
                for item, shown in members:
                    made[item.id] = widget(item, shown)
            else:
                title, slug = group[-1].replace("_", " "), "-".join(part for part in group if part != ENTRY)
                visible = any(shown.visible for _, shown in members)
                with gr.Accordion(title, open=False, elem_id=f"s-{slug}", visible=visible) as accordion:
                    for item, shown in members:
                        made[item.id] = widget(item, shown)
                places = tuple(all_fields().index(item) for item, _ in members)
                self.groups.append((accordion, places))

    def _entry(self, place: tuple[str, ...]) -> None:
        name = ENTRY_LABELS[place]
        slug = place[-1]
        if place == ("teacher",):
            self.teacher_of = gr.Dropdown(
                list(TEACHERS_OF), value="teacher", label="Show", elem_id="e-teacher-of", filterable=False
            )
        with gr.Row():
            self.entries[place] = gr.Number(
                1, label=f"{name} number", minimum=1, precision=0, elem_id=f"e-{slug}", min_width=120
            )
            self.adders[place] = gr.Button(f"Add: {name.lower()}", size="sm", elem_id=f"e-{slug}-add", min_width=120)
            self.removers[place] = gr.Button(
                f"Remove this {name.lower()}", size="sm", elem_id=f"e-{slug}-remove", min_width=120
            )


def _group(item: Field, depth: int) -> tuple[str, ...]:
    """The map that the field belongs to: with its accordion, below the section's own."""
    above = item.path[:-1]
    if ENTRY in above:
        star = above.index(ENTRY)
        rest = above[star + 1 :]
        return above[: star + 1] if not rest else above
    return above if len(above) >= depth else above[:depth]


def widget(item: Field, shown: Shown) -> Any:
    """The widget of one field, as it looks at first."""
    common: dict[str, Any] = {
        "label": f"{item.title} ({'.'.join(part for part in item.path if part != ENTRY)})",
        "info": _plain(item.help),
        "elem_id": item.id,
        "visible": shown.visible,
        "interactive": True,
    }
    if item.kind in ("choice", "switch"):
        return gr.Dropdown(choices(item, shown.hint), value=shown.value, filterable=False, **common)
    lines = 1 if item.kind == "number" else 8
    return gr.Textbox(shown.value, placeholder=shown.hint, lines=1, max_lines=lines, **common)


def choices(item: Field, hint: str) -> list[tuple[str, str]]:
    """What a field of choices offers: nothing (with what holds then), and its values."""
    return [(hint, NOT_GIVEN), *((name, name) for name, _ in item.choices)]


def update(item: Field, before: Shown | None, now: Shown, *, value: bool) -> Any:
    """What to send for a field that shows something else than before; None when nothing. `value`: may it be set?"""
    changes: dict[str, Any] = {}
    if value and (before is None or before.value != now.value):
        changes["value"] = now.value
    if before is None or before.visible != now.visible:
        changes["visible"] = now.visible
    if before is None or before.hint != now.hint:
        if item.kind in ("choice", "switch"):
            changes["choices"] = choices(item, now.hint)
        else:
            changes["placeholder"] = now.hint
    return gr.update(**changes) if changes else None


def _plain(text: str) -> str:
    """A help text for where Gradio reads Markdown, which knows no escapes: formulas keep their asterisks as code.

    Gradio escapes tags there itself.
    """
    parts = text.split("`")
    parts[::2] = [re.sub(r"\S*\*\S*", r"`\g<0>`", part) for part in parts[::2]]
    return "`".join(parts)
