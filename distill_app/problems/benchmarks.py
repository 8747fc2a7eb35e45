"""The benchmarks that a recipe can give by name: which data set each stands for, its commit, and its columns.

`benchmarks.json` beside this file is written by hand. An entry holds `title`, `problems` (how many there are; null for
the built-in ones), `licence`, `source` (where the commit was found), `notes`, `recipe` (the keys of the recipe that the
name stands for) and, where a file of its own has more columns than `id`, `question` and `answer`, `local`.

A benchmark of a hub can also come from a file of one's own (`{name: math500, dataset: jsonl:math500.jsonl}`). The
hub's columns do not apply there; the file has columns `id`, `question` and `answer`, with the answer itself in the
last, and those of `local`: `choices` (a list of the options; the answer is a letter) or `error` (the tolerance).
What the benchmark is, `kind` and `where`, stays: `math_l5` from a file needs its column `level`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from distill_app.recipe.model import ProblemSource

MACRO = "macro"
"""What the average over benchmarks is called on a leaderboard: no benchmark's name."""

_FILE = Path(__file__).with_name("benchmarks.json")
_FILE_KINDS = ("jsonl:", "parquet:")
_LOCAL = {"id": "id", "question": "question", "answer": "answer"}


def names() -> tuple[str, ...]:
    """The names, in the order of the file."""
    return tuple(_registry())


def entry(name: str) -> dict[str, Any]:
    """The recipe keys that `name` stands for, a copy. `KeyError` where there is no such benchmark."""
    recipe: dict[str, Any] = copy.deepcopy(_registry()[name]["recipe"])
    return recipe


def about(name: str) -> dict[str, Any]:
    """`title`, `problems`, `licence`, `source` and `notes` of a benchmark. `KeyError` where there is none."""
    return {key: value for key, value in _registry()[name].items() if key not in ("recipe", "local")}


def expand(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A benchmark as a recipe gives it (`given`, with or without its name), with what its name stands for filled in.

    What is given goes before what the name stands for; `fields` are merged one by one, `where` is taken whole.
    Names outside the registry, and built-in problems by another name or other problems by theirs, come back as they
    are. Which keys of the entry survive depends on `dataset`:

    - not given, or the entry's own: all of them;
    - a file (`jsonl:`, `parquet:`): `kind` and `where`; `fields` are those of a local file, see above;
    - another hub data set: `kind` and `where`.
    """
    given = {"name": name, **given}
    if name not in _registry():
        return given
    recipe = entry(name)
    dataset = given.get("dataset", recipe["dataset"])
    if dataset != recipe["dataset"]:
        if not isinstance(dataset, str) or "builtin:" in (dataset[:8], recipe["dataset"][:8]):
            return given
        recipe = {key: recipe[key] for key in ("kind", "where") if key in recipe}
        if dataset.startswith(_FILE_KINDS):
            recipe["fields"] = {**_LOCAL, **_registry()[name].get("local", {})}
    fields = given.get("fields", {})
    if "fields" in recipe and isinstance(fields, Mapping):
        given["fields"] = {**recipe["fields"], **fields}
    return {**recipe, **given}


def of(source: ProblemSource) -> str | None:
    """The benchmark whose hub data set, config, split and rows `source` asks for, whatever the commit; else None."""
    for name, known in _registry().items():
        recipe = known["recipe"]
        theirs = (recipe["dataset"], recipe.get("config"), recipe.get("split"), recipe.get("where", {}))
        if (source.dataset, source.config, source.split, dict(source.where)) == theirs:
            return name
    return None


def serves(source: ProblemSource) -> str | None:
    """What would do for `source` on a machine without a hub, where it is a registry benchmark; else None."""
    name = of(source)
    if name is None:
        return None
    columns = [*_LOCAL, *_registry()[name].get("local", {}).values(), *entry(name).get("where", {})]
    return (
        f"{{name: {name}, dataset: jsonl:FILE}}, where FILE has the columns {', '.join(columns[:-1])} and {columns[-1]}"
    )


def remark(name: str, source: ProblemSource, count: int) -> str | None:
    """What to tell a person where the benchmark `name` gave another number of problems than it has; else None.

    None too where the recipe asks for a part of it, by `limit` or by another `where`.
    """
    if name not in _registry() or source.limit is not None:
        return None
    expected, recipe = about(name)["problems"], entry(name)
    if expected in (None, count) or dict(source.where) != recipe.get("where", {}):
        return None
    return (
        f"{name} has {count} problems here, and {expected} as it was published: the scores are of these {count} and do"
        " not compare with published ones."
    )


@lru_cache(maxsize=1)
def _registry() -> dict[str, Any]:
    registry: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return registry
