"""Small pools for the selectors' tests."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import distill_app
from distill_app.recipe import schema
from distill_app.recipe.model import build
from distill_app.records import Decision
from distill_app.selectors import Accuracy, Candidates, _top

NAMES = sorted(
    path.stem
    for path in (Path(distill_app.__file__).parent / "selectors").glob("*.py")
    if not path.name.startswith("_")
)


def pool(rows: list[tuple[str, str, float]]) -> Candidates:
    """Candidates from (id, problem id, quality) rows."""
    ids, problems, quality = zip(*rows, strict=True) if rows else ((), (), ())
    return Candidates(list(ids), list(problems), {"quality": np.array(quality, dtype=np.float64)})


def candidates(ids: str | Sequence[str], problems: Sequence[str] = (), **columns: Any) -> Candidates:
    """Candidates by id, each with a problem of its own where none are given; `columns` are signals or fields."""
    fields = {key: columns.pop(key) for key in tuple(columns) if key in Candidates.__dataclass_fields__}
    signals = {name.replace("__", "."): np.array(values, dtype=np.float64) for name, values in columns.items()}
    return Candidates(list(ids), list(problems or [f"of {name}" for name in ids]), signals, **fields)


def module(name: str) -> ModuleType:
    return importlib.import_module(f"distill_app.selectors.{name}")


def options(name: str, **given: Any) -> Any:
    """The selector's options: the schema's defaults, but for those given."""
    schemas = schema.installed()
    properties = schemas.members["selector"][name]["properties"]
    defaults = {key: schema.resolve(schemas, spec)["default"] for key, spec in properties.items() if key != "name"}
    assert set(given) <= set(defaults)
    return build(module(name).Options, {**defaults, **given})


def ids(given: Candidates, name: str, seed: int = 0, **chosen: Any) -> list[str]:
    """Ids in the order of the selector `name`, eligible rows alone."""
    ranking = module(name).rank(given, options(name, **chosen), seed)
    ordered = [row for row in ranking.order.tolist() if ranking.eligible is None or ranking.eligible[row]]
    return [given.ids[row] for row in ordered]


def select(given: Candidates, name: str, seed: int = 0, **chosen: Any) -> set[str]:
    """The ids that the selector `name` keeps."""
    used = options(name, **chosen)
    ranking = module(name).rank(given, used, seed)
    return kept(_top.keep(given, ranking, used.top, used.per_problem, used.unit))


def accuracies(given: Mapping[str, tuple[float, int]]) -> dict[str, Accuracy]:
    return {chain: Accuracy(right, answers) for chain, (right, answers) in given.items()}


def kept(decisions: list[Decision]) -> set[str]:
    return {decision.id for decision in decisions if decision.kept}
