"""Two locks side by side: every difference between them, and which stage is the first that it reaches."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from distill_app.reproduce.lock import REPORT, VERSION
from distill_app.reproduce.portable import flat

Part = Literal[
    "recipe", "runtime", "seed", "content", "template", "stage", "package", "python", "code", "hardware", "computed"
]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that two locks do not share: `first` and `second` are its values, None where one has no such thing.

    `why` is of a stage: what of it differs.
    """

    part: Part
    name: str
    first: Any
    second: Any
    why: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "part": self.part,
            "name": self.name,
            "first": self.first,
            "second": self.second,
            "why": list(self.why),
        }


def between(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Difference]:
    """Every difference, the recipe's first. What either lock, of an earlier version, does not say is left out."""
    found = [*_recipe(first, second), *_contents(first, second)]
    if first.get("template") and second.get("template") and first["template"] != second["template"]:
        found.append(Difference("template", "the student's chat template", first["template"], second["template"]))
    found += _stages(first, second)
    if first["python"] != second["python"]:
        found.append(Difference("python", "Python", first["python"], second["python"]))
    found += _maps("package", *_packages(first, second))
    found += _code(first, second)
    for part in ("hardware", "computed"):
        if part in first and part in second:
            found += _maps(part, first[part], second[part])
    return found


def first_stage(found: list[Difference]) -> Difference | None:
    """The first stage, in the order of the first lock, whose output is another; None where all are the same."""
    return next((one for one in found if one.part == "stage"), None)


def unsaid(lock: Mapping[str, Any]) -> list[str]:
    """What this lock, of an earlier version, does not say."""
    return [name for name in ("resolved", "contents", "code", "hardware") if name not in lock]


def _recipe(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    """Values of the resolved recipes; what names a model or a file is told by its content, and what pins it too."""
    if "resolved" not in first or "resolved" not in second:
        return
    named = {*first.get("contents", {}), *second.get("contents", {})}
    values = [
        {path: value for path, value in flat(lock["resolved"]) if not _names_content(path, named)}
        for lock in (first, second)
    ]
    yield from _maps("recipe", *values)


def _names_content(path: str, named: set[str]) -> bool:
    """Whether the value at this path is, or lies in a list of, what `contents` tells by content, or its revision."""
    holder, _, last = path.rpartition(".")
    return any(
        path == name or path.startswith(f"{name}.") or (last == "revision" and name.rpartition(".")[0] == holder)
        for name in named
    )


def _contents(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    if "contents" not in first or "contents" not in second:
        return
    for path in dict.fromkeys([*first["contents"], *second["contents"]]):
        one, other = first["contents"].get(path), second["contents"].get(path)
        if (one or {}).get("content") != (other or {}).get("content"):
            yield Difference("content", path, _told(one), _told(other))


def _told(entry: Mapping[str, Any] | None) -> str | None:
    return None if entry is None else f"{_name(entry['name'])} ({entry['content']})"


def _name(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _stages(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    """Stages by name, the report left out: what it is made from is compared stage by stage."""
    ones, others = (
        {stage["name"]: stage for stage in lock["stages"] if stage["kind"] != REPORT} for lock in (first, second)
    )
    names = {stage["fingerprint"]: stage["name"] for stage in [*first["stages"], *second["stages"]]}
    for name in dict.fromkeys([*ones, *others]):
        one, other = ones.get(name), others.get(name)
        if one is None or other is None:
            yield Difference("stage", name, one and one["fingerprint"], other and other["fingerprint"])
        elif one["fingerprint"] != other["fingerprint"]:
            why = tuple(_why(one, other, names))
            yield Difference("stage", name, one["fingerprint"], other["fingerprint"], why)


def _why(one: Mapping[str, Any], other: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    """What of a stage differs: its own version and options, else the stages it reads from."""
    if "options" not in one or "options" not in other:
        return
    if one["version"] != other["version"]:
        yield f"the stage itself: version {one['version']} and {other['version']}"
    for option in _maps("recipe", dict(flat(one["options"])), dict(flat(other["options"]))):
        yield f"{option.name}: {shown(option.first)} and {shown(option.second)}"
    for role in dict.fromkeys([*one["inputs"], *other["inputs"]]):
        read = [stage["inputs"].get(role, []) for stage in (one, other)]
        if read[0] != read[1]:
            apart = dict.fromkeys(
                names.get(print_, print_)
                for print_ in (*read[0], *read[1])
                if (print_ in read[0]) != (print_ in read[1])
            )
            yield f"reads {', '.join(apart) or role}"


def _packages(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[dict[str, str]]:
    """The packages of both; where one lock, of version 1, holds but some, those that both hold."""
    if {first["version"], second["version"]} == {VERSION}:
        return [dict(first["packages"]), dict(second["packages"])]
    both = [name for name in first["packages"] if name in second["packages"]]
    return [{name: lock["packages"][name] for name in both} for lock in (first, second)]


def _code(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    """The program: by its source where both locks say it, else by its version."""
    if "code" in first and "code" in second:
        if first["code"]["source"] != second["code"]["source"]:
            yield Difference("code", "distill-app", _program(first), _program(second))
    elif first["distill_app"] != second["distill_app"]:
        yield Difference("code", "distill-app", first["distill_app"], second["distill_app"])


def _program(lock: Mapping[str, Any]) -> str:
    code = lock["code"]
    told = [lock["distill_app"], f"source {code['source'].removeprefix('sha256:')[:12]}"]
    if code["commit"]:
        told.append(f"commit {code['commit'][:12]}" + (" with changes not committed" if code["changed"] else ""))
    return ", ".join(told)


def _maps(part: Part, first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    for name in dict.fromkeys([*first, *second]):
        one, other = first.get(name), second.get(name)
        if json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True):
            kind = part
            if part == "recipe" and name.startswith("runtime."):
                kind = "runtime"
            elif part == "recipe" and name.rpartition(".")[2] == "seed":
                kind = "seed"
            yield Difference(kind, name, one, other)


_HASH = re.compile(r"([0-9a-f]{12})[0-9a-f]{20,}")


def shown(value: Any, width: int = 60) -> str:
    """A value in few characters: hashes by their first twelve digits, text in quotes where it would else be lost."""
    if value is None:
        return "nothing"
    plain = isinstance(value, str) and value and value.strip() == value
    text = _HASH.sub(r"\1", value if plain else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= width else f"{text[: width - 3]}..."
