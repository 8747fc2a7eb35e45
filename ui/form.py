"""The recipe form as a view of the text: what each field shows for a text, and what a changed field writes into it.

Nothing here knows of widgets but their values: a text, or the label of a choice. Numbers are text as well: an empty
number field of Gradio's says 0 when it is first shown, which nobody asked for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from distill_app.errors import RecipeError
from distill_app.problems import benchmarks
from distill_app.recipe import nodes, schema
from distill_app.recipe.nodes import Path
from distill_app.recipe.parse import parse
from distill_app.recipe.save import flow
from distill_app.recipe.schema import FAMILIES

from . import edit
from .edit import EditError
from .fields import BORROWED, ENTRY, LISTS, NOT_GIVEN, Field, all_fields, label

WidgetValue = str | None
HINT_CHARACTERS = 60


class _Absent:
    """Stands for a value that nobody gave."""


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class At:
    """Which entries of the lists the form shows, counted from 0, and whose teacher ("teacher", "quality.teacher")."""

    teacher_of: str = "teacher"
    teacher: int = 0
    augmentation: int = 0
    benchmarks: int = 0

    def index(self, place: tuple[str, ...]) -> int:
        """The entry of the list at `place` that is shown."""
        found: int = getattr(self, place[-1])
        return found


@dataclass(frozen=True, slots=True)
class Said:
    """What a text says (`own`), and what holds with the recipes it extends (`merged`). Plain data."""

    own: Any
    merged: Any


@dataclass(frozen=True, slots=True)
class Shown:
    """What a field shows: its value, what holds where it says nothing, and whether it is there at all."""

    value: WidgetValue
    hint: str
    visible: bool


def remembered(text: str | None, at: At) -> str:
    """What the page keeps of what its form shows, as text."""
    return json.dumps({"text": text, "at": asdict(at)})


def recalled(kept: str) -> tuple[str | None, At]:
    """The text and the entries that the form shows; no text where it shows none (any more)."""
    try:
        found = json.loads(kept)
        return found["text"], At(**found["at"])
    except (ValueError, KeyError, TypeError):
        return None, At()


def entries(data: Any, place: tuple[str, ...]) -> int:
    """How many entries the list at `place` has; a single map counts as one."""
    value = _get(data, place)
    return len(value) if isinstance(value, list) else int(isinstance(value, dict))


def within(at: At, said: Said) -> At:
    """`at` with every entry one that is there, and a teacher's map that is there."""
    kept = {place[-1]: min(at.index(place), max(entries(said.merged, place) - 1, 0)) for place in LISTS}
    borrowed = tuple(at.teacher_of.split("."))
    there = borrowed in BORROWED and isinstance(_get(said.merged, borrowed), dict)
    return At(at.teacher_of if there else "teacher", **kept)


def place_of(path: tuple[str, ...], at: At, data: Any) -> Path:
    """A field's path with the entry that is shown in the place of `*`."""
    if ENTRY not in path:
        return path
    star = path.index(ENTRY)
    place, below = path[:star], path[star + 1 :]
    if place == ("teacher",):
        if at.teacher_of != "teacher":
            return (*at.teacher_of.split("."), *below)
        if not isinstance(_get(data, place), list):
            return (*place, *below)
    return (*place, at.index(place), *below)


def state(said: Said, at: At, base: str = "") -> tuple[Shown, ...]:
    """What every field of `all_fields` shows; `base` is the recipe that this one extends, for the hints."""
    return tuple(_shown(item, said, at, base) for item in all_fields())


def _shown(item: Field, said: Said, at: At, base: str) -> Shown:
    visible = True
    if item.members is not None and item.family is not None:
        family = place_of(item.family, at, said.merged)
        member = _get(said.merged, (*family, _key(item)))
        visible = isinstance(member, str) and member in item.members
    elif item.inside is not None:
        visible = isinstance(_get(said.merged, item.inside), dict)
    value = widget_value(item, _get(said.own, place_of(item.path, at, said.own)))
    return Shown(value, _hint(item, _get(said.merged, place_of(item.path, at, said.merged)), base), visible)


def _key(item: Field) -> str:
    assert item.family is not None
    return FAMILIES[item.family[-1] if item.family[-1] != ENTRY else item.family[-2]].key


def _hint(item: Field, holds: Any, base: str) -> str:
    if holds is not ABSENT and base:
        return f"{_short(holds)} (in force; see {base})"
    if "default" in item.spec:
        return f"{_short(item.spec['default'])} (default)"
    return "not given"


def _short(value: Any) -> str:
    written = flow(value)
    return written if len(written) <= HINT_CHARACTERS else written[: HINT_CHARACTERS - 3] + "..."


def widget_value(item: Field, value: Any) -> WidgetValue:
    """What the widget of a field shows for a value of the recipe; nothing for one of the wrong kind."""
    if value is ABSENT:
        return NOT_GIVEN
    if item.kind in ("choice", "switch"):
        if item.kind == "switch":
            return label({}) if isinstance(value, dict) else label(None) if value is None else None
        return next((name for name, choice in item.choices if edit.same(choice, value)), None)
    if item.kind == "yaml":
        return flow(value)
    if value is None:
        return NOT_GIVEN
    if item.kind == "number":
        return NOT_GIVEN if isinstance(value, dict | list) else value if isinstance(value, str) else flow(value)
    if item.kind == "list":
        return ", ".join(map(flow, value)) if isinstance(value, list) else flow(value)
    if isinstance(value, str):
        return value or '""'
    return NOT_GIVEN


def recipe_value(item: Field, value: WidgetValue) -> Any:
    """What a widget's value says in the recipe; `ABSENT` for nothing. What cannot be read is text, for the checks."""
    if value is None or value == NOT_GIVEN:
        return ABSENT
    if item.kind in ("choice", "switch"):
        return next((choice for name, choice in item.choices if name == value), value)
    if item.kind == "text":
        return "" if value == '""' else value
    written = value.strip()
    if item.kind == "list" and not written.startswith("["):
        written = f"[{written}]"
    try:
        return nodes.plain(parse(written, "field"))
    except RecipeError:
        return value


def write(
    text: str, said: Said, at: At, showed: Sequence[Shown], values: Sequence[WidgetValue]
) -> tuple[str, set[int], list[str]]:
    """The text with every changed field written into it; which fields those were; what could not be written.

    A field is written only where its value differs from what the form showed (`showed`): a field that is blank
    because the text holds something else there leaves the text alone. `said` is of `text`.
    """
    changed: set[int] = set()
    notes = []
    for index, (item, before, value) in enumerate(zip(all_fields(), showed, values, strict=True)):
        if not before.visible or _alike(item, value, before.value):
            continue
        changed.add(index)
        try:
            text = _written(text, said, at, item, recipe_value(item, value))
        except EditError as error:
            notes.append(f"{item.title}: {error}")
    return text, changed, notes


def _alike(item: Field, one: WidgetValue, other: WidgetValue) -> bool:
    """Whether two values of a widget are one; a choice of nothing is not the blank that an illegal value shows."""
    return one == other or (item.kind not in ("choice", "switch") and not one and not other)


def _written(text: str, said: Said, at: At, item: Field, value: Any) -> str:
    if ENTRY in item.path:
        text = _with_inherited(text, said, at, item)
    own = nodes.plain(parse(text, "recipe"))
    path = place_of(item.path, at, own)
    above, key = path[:-1], path[-1]
    holder = _raw(own, above)
    if isinstance(holder, str) and above and isinstance(above[-1], int):
        # An entry given by its name alone.
        if key == "name" and isinstance(value, str):
            return edit.set_value(text, above, value)
        return text if value is ABSENT else edit.set_value(text, above, {"name": holder, key: value})
    if isinstance(value, _Absent):
        return edit.remove(text, path)
    if item.kind == "switch" and value == {} and isinstance(_raw(own, path), dict):
        return text
    before = _get(said.merged, path)
    text = edit.set_value(text, path, value, _order(own, path))
    if item.members is None and item.kind == "choice" and isinstance(value, str) and before != value:
        text = _without_strangers(text, path, value)
    return text


def _with_inherited(text: str, said: Said, at: At, item: Field) -> str:
    """The text with the list it inherits written out, where one entry of that list is to change."""
    place = item.path[: item.path.index(ENTRY)]
    if place == ("teacher",) and at.teacher_of != "teacher":
        return text
    inherited = _get(said.merged, place)
    if isinstance(_get(said.own, place), _Absent) and isinstance(inherited, list):
        return edit.set_value(text, place, inherited, _order(said.own, place))
    return text


def _without_strangers(text: str, path: Path, member: str) -> str:
    """The text without the options that belong to another selector, teacher, augmentation or scorer than `member`."""
    parts = [part for part in path[:-1] if isinstance(part, str)]
    if not parts or parts[-1] not in FAMILIES or path[-1] != FAMILIES[parts[-1]].key:
        return text
    known = schema.installed().members[parts[-1]].get(member)
    holder = _raw(nodes.plain(parse(text, "recipe")), path[:-1])
    if known is not None and isinstance(holder, dict):
        for key in holder:
            if key not in known["properties"]:
                text = edit.remove(text, (*path[:-1], key))
    return text


def _order(data: Any, path: Path) -> list[str]:
    """The names that the schema lists for the map in which `path` begins to be new."""
    schemas = schema.installed()
    depth = 0
    while depth < len(path) - 1 and isinstance(_raw(data, path[: depth + 1]), dict | list):
        depth += 1
    found = schema.at(schemas, data, path[:depth])
    if found is None:
        return []
    return list(schema.effective(schemas, found, _raw(data, path[:depth])).get("properties", ()))


def add_entry(text: str, place: tuple[str, ...]) -> str:
    """The text with one more entry in one of `LISTS`: a teacher, or the first other one that is not there yet."""
    data = nodes.plain(parse(text, "recipe"))
    count = entries(data, place)
    value: Any = {"name": f"teacher-{count + 1}", "backend": "worked"}
    if place != ("teacher",):
        names = benchmarks.names() if place[-1] == "benchmarks" else sorted(schema.installed().members["augmentation"])
        taken = [item.get("name") if isinstance(item, dict) else item for item in _list(data, place)]
        value = next((name for name in names if name not in taken), names[0])
    if isinstance(_get(data, place), dict):
        text = edit.into_list(text, place)
    return edit.set_value(text, (*place, count), value, _order(data, place))


def remove_entry(text: str, place: tuple[str, ...], index: int) -> str:
    """The text without one entry; a teacher that is no list stays. Raises `EditError` for the last one."""
    data = nodes.plain(parse(text, "recipe"))
    if len(_list(data, place)) < 2:
        raise EditError("The last entry stays: a recipe needs one.")
    return edit.remove(text, (*place, index))


def _list(data: Any, place: tuple[str, ...]) -> list[Any]:
    value = _get(data, place)
    return value if isinstance(value, list) else []


def _get(data: Any, path: Path) -> Any:
    """The value at a path, an entry given by its name alone read as a map; `ABSENT` where there is none."""
    for part in path:
        if isinstance(data, str) and part == "name":
            return data
        if isinstance(data, str):
            return ABSENT
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return ABSENT
    return data


def _raw(data: Any, path: Path) -> Any:
    """The value at a path as it stands; None where there is none."""
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data
