"""What a command is given in place of a recipe or a run: a bundle, a lock file, or a run of the workspace.

Bundles and lock files come from other people. What they hold is checked against `schemas/`, and their recipes may read
what a recipe file in their place might; paths in them count from the folder they lie in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from distill_app import resources
from distill_app.errors import UsageError
from distill_app.recipe import allowed, load, nodes, resolve, save, schema, versions
from distill_app.recipe.paths import FILE_KINDS
from distill_app.recipe.resolve import Arm
from distill_app.reproduce import archive
from distill_app.reproduce.portable import flat, path_slots, portable
from distill_app.store import runs as store
from distill_app.store.runs import Run

INDEX, RECIPE, RESOLVED, LOCK, RESULT, RUN, SELECTION, REPORT = (
    "bundle.json", "recipe.yaml", "resolved.yaml", "lock.json", "result.json", "run.json", "selection.json",
    "report.md",
)  # fmt: skip
NEEDED = frozenset({INDEX, RECIPE, RESOLVED, LOCK, RESULT, RUN})
KNOWN = NEEDED | {SELECTION, REPORT}
_LARGEST_LOCK_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Opened:
    """`name` is what the user called it. `recipe` is the resolved recipe's text, and `file` what positions in it name.

    `result` and `details` (the shape of `show --json`) are None where it is a lock file alone; `run` is set where it is
    a run of this workspace.
    """

    name: str
    lock: dict[str, Any]
    recipe: str
    file: str
    result: dict[str, Any] | None = None
    details: dict[str, Any] | None = None
    run: Run | None = None


def is_bundle(name: str) -> bool:
    """Whether this is a bundle by its ending or its first bytes."""
    if name.endswith(archive.SUFFIX):
        return True
    try:
        with open(name, "rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except (OSError, ValueError):
        return False


def bundle(name: str) -> Opened:
    """The bundle at this path. Raises `UsageError` where there is none, or it is not one that can be trusted."""
    path = Path(name)
    if not path.is_file():
        raise UsageError(f"There is no bundle {name}.", "distill-app bundle RUN writes one of a finished run.")
    return from_bytes(name, archive.read(path))


def from_bytes(name: str, content: bytes) -> Opened:
    """The bundle that these bytes are, said to be the file `name`. Raises `UsageError` as `bundle` does."""
    path = Path(name)
    raw = archive.unpack(path, content, KNOWN)
    if lacking := sorted(NEEDED - raw.keys()):
        raise UsageError(f"{name} lacks {', '.join(lacking)}, and is not opened.", "Ask for the file again.")
    texts = {entry: archive.text(path, entry, raw[entry]) for entry in raw if not entry.endswith(".json")}
    values = {entry: archive.value(path, entry, raw[entry]) for entry in raw if entry.endswith(".json")}
    _valid(name, "bundle", {**texts, **values})
    lock, result = values[LOCK], values[RESULT]
    _sound(name, result)
    if "resolved" in lock and texts[RESOLVED] != save.dump(lock["resolved"]):
        raise UsageError(f"{name} holds another recipe than its lock, and is not opened.", "Ask for the file again.")
    return Opened(
        name,
        _with_recipe(lock, texts[RESOLVED], f"{name}:{RESOLVED}"),
        texts[RESOLVED],
        f"{name}:{RESOLVED}",
        result,
        {**values[RUN], "result": result, "folder": name},
    )


def lock_file(name: str) -> Opened:
    """The lock file at this path; one in the folder of a run comes with the run's own paths.

    Raises `UsageError` where it cannot be read, is no lock, or is of a version that nothing can be held to.
    """
    path = Path(name)
    if path.stat().st_size > _LARGEST_LOCK_BYTES:
        raise UsageError(f"{name} is larger than {_LARGEST_LOCK_BYTES >> 20} MiB, so it is hardly a lock.")
    lock = archive.value(path, path.name, path.read_bytes())
    _valid(name, "lock", lock)
    beside = path.with_name(RESOLVED)
    if "run" in lock and beside.is_file() and path.absolute().parent.name == lock["run"]:
        text = load.read(beside).text
        return Opened(name, _with_recipe(lock, text, str(beside)), text, str(beside))
    return Opened(name, lock, save.dump(lock["resolved"]) if "resolved" in lock else "", f"{name}:resolved")


def run(root: Path, name: str) -> Opened:
    """The run of this workspace that `show` would find by this name."""
    from distill_app.reports import runs as listing

    found = store.find(root, name)
    lock = found.lock_record()
    if not lock:
        raise UsageError(f"Run {found.id} died before its lock was written.", "Issue its `run` command again.")
    beside = found.folder / RESOLVED
    text = load.read(beside).text
    lock = _with_recipe(lock, text, str(beside))
    return Opened(found.id, lock, text, str(beside), found.result(), listing.details(found), found)


def open_(root: Path, name: str) -> Opened:
    """Whatever `name` is: a bundle, a lock file (any other file), a run. Raises `UsageError` where it is none."""
    if is_bundle(name):
        return bundle(name)
    return lock_file(name) if os.path.isfile(name) else run(root, name)


def load_arms(name: str, sets: Sequence[str] = ()) -> list[Arm]:
    """The arms of a recipe, as `resolve.load_arms` gives them, or those of a bundle's recipe."""
    return arms(bundle(name), sets) if is_bundle(name) else resolve.load_arms(name, sets)


def arms(opened: Opened, sets: Sequence[str] = ()) -> list[Arm]:
    """The arms of an opened recipe with `sets` applied; one, unless these make a matrix of it.

    Raises `RecipeError` where it is no valid recipe on this machine, or names a file that it may not read (`allowed`).
    """
    tree = load.decoded(opened.file, opened.recipe.encode())
    versions.check(tree.root)
    roots = None if allowed.is_remembered(opened.recipe) else allowed.roots(opened.name)
    found = resolve.arms_of(schema.installed(), tree, nodes.without(tree.root, "extends"), roots, sets)
    label = opened.lock["label"]
    return [replace(arm, label=label) if label and not arm.label else arm for arm in found]


def _with_recipe(lock: dict[str, Any], text: str, file: str) -> dict[str, Any]:
    """The lock with the recipe that lies beside it, where it is of the version that did not hold one."""
    if "resolved" in lock:
        return lock
    tree = load.decoded(file, text.encode())
    return {**lock, "resolved": portable(tree.root, tree.data, os.path.dirname(file), {}).recipe}


@cache
def _validator(name: str) -> Any:
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    folder = resources.folder("schemas")
    schemas = {
        one: json.loads((folder / f"{one}.schema.json").read_text(encoding="utf-8"))
        for one in ("bundle", "lock", "result", "runs")
    }
    registry: Any = Registry().with_resources((spec["$id"], Resource.from_contents(spec)) for spec in schemas.values())
    return Draft202012Validator(schemas[name], registry=registry)


def _valid(name: str, schema: str, value: Any) -> None:
    """Refuse what is not of its schema's shape, with the first place where it is not."""
    from jsonschema.exceptions import best_match

    fault = best_match(_validator(schema).iter_errors(value))
    if fault is not None:
        at = ".".join(map(str, fault.absolute_path)) or "the whole"
        said = fault.message if len(fault.message) < 200 else f"{fault.message[:200]}..."
        raise UsageError(
            f"{name} is not a {schema} of this version of distill-app: {at}: {said}.",
            "It is of another version, or damaged: ask for it again, or open it with the version that wrote it.",
        )


def _sound(name: str, result: dict[str, Any]) -> None:
    """Refuse a result whose columns by problem do not fit together, which no schema can say."""
    for benchmark, column in result["per_problem"].items():
        count = len(column["problems"])
        columns = [
            column[key] for key in ("trained", "untrained", "questions", "clusters") if column.get(key) is not None
        ]
        if len(set(column["problems"])) != count or any(len(values) != count for values in columns):
            raise UsageError(f"{name}: the scores of {benchmark} do not fit its problems.", "Ask for the file again.")


def portable_of(run: Run) -> tuple[str, dict[str, str]]:
    """A run's resolved recipe as text for other machines, and what each path of this machine is called in it."""
    lock = run.lock_record()
    tree = load.read(run.folder / RESOLVED)
    if "resolved" not in lock:
        found = portable(tree.root, tree.data, os.path.dirname(os.path.abspath(lock["file"])), {})
        return save.dump(found.recipe), dict(found.names)
    told = dict(flat(lock["resolved"]))
    names = {}
    for place in path_slots(tree.root, tree.data):
        name = told[".".join(map(str, place.path))]
        kind, colon, rest = name.partition(":")
        names[place.target] = rest if f"{kind}{colon}" in FILE_KINDS else name
    return save.dump(lock["resolved"]), names


def details(root: Path, name: str) -> dict[str, Any]:
    """What `show` says of a run of the workspace, or of the run in a bundle."""
    from distill_app.reports import runs as listing

    if is_bundle(name):
        found = bundle(name).details
        assert found is not None
        return found
    return listing.details(store.find(root, name))
