"""The sides of a comparison: runs, arms over their seeds, and the untrained students they started from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from distill_app.errors import UsageError
from distill_app.reports import arms, columns
from distill_app.reports.result import UNTRAINED, UNTRAINED_LABEL

BASE = "base"
"""`RUN:base` is the untrained student that RUN measured, and `base` alone that of the first run named."""

_OF_EVERY_STUDENT = ("student", "template", "evaluation.")
"""Settings that the untrained student has too, by how their names begin."""
_NO_MEASUREMENT = frozenset({"evaluation.k", "evaluation.benchmarks", "evaluation.seed"})
"""Settings of the evaluation that leave avg@k of a benchmark the same measurement."""


@dataclass(frozen=True, slots=True)
class Operand:
    """One side of a comparison: a run, an arm averaged over its seeds by problem, or the untrained student of one."""

    name: str
    results: tuple[Mapping[str, Any], ...]
    untrained: bool = False

    @property
    def first(self) -> Mapping[str, Any]:
        return self.results[0]

    def scores(self) -> dict[str, Scores]:
        """By benchmark, the score at each problem. Raises `UsageError` where they were not kept or not measured."""
        found = columns.of(self.results)
        if not found:
            raise UsageError(
                f"{self.name} was reported by an earlier version, without its scores by problem.",
                "Issue its `run` command again: what is finished is kept, only the report is made anew.",
            )
        scores = {}
        for name, column in found.items():
            values = column.untrained if self.untrained else column.trained
            if values is None:
                raise UsageError(f"{self.name} has no measurement of the untrained student on {name}.")
            questions = column.questions or (None,) * len(values)
            clusters = column.clusters or (None,) * len(values)
            scores[name] = Scores(
                column.metric,
                dict(zip(column.problems, values, strict=True)),
                dict(zip(column.problems, questions, strict=True)),
                dict(zip(column.problems, clusters, strict=True)),
            )
        return scores


class Scores(NamedTuple):
    """One operand on one benchmark, by problem id."""

    metric: str
    values: dict[str, float]
    questions: dict[str, str | None]
    clusters: dict[str, str | None]


def runs(root: Path, names: Sequence[str]) -> list[Operand]:
    """The operands of `distill-app compare NAMES`: runs as `show` takes them, bundles, `RUN:base`, and `base`."""
    return _operands(root, names, by_arm=False)


def whole_arms(root: Path, names: Sequence[str]) -> list[Operand]:
    """The operands of `distill-app compare --arms NAMES`: the arm of each run named, every arm where none is named."""
    if names:
        return _operands(root, names, by_arm=True)
    return [_operand(group) for group in arms.grouped(_results(root))]


def described(number: int, operand: Operand) -> dict[str, Any]:
    return {
        "number": number,
        "name": operand.name,
        "recipe": operand.first["recipe"],
        "selector": UNTRAINED if operand.untrained else operand.first["selector"],
        "runs": [result["run"] for result in operand.results],
        "seeds": [result["seed"] for result in operand.results],
    }


def _settings(operand: Operand) -> dict[str, Any]:
    """The settings by dotted name; of the untrained student those that it has."""
    found = columns.flat(operand.first["settings"])
    found.pop("label", None)
    if "training_dtype" in found:
        # What follows is how it was measured, which no two runs have in common.
        found["training_dtype"] = found["training_dtype"].split(" (")[0]
    if not operand.untrained:
        return found
    return {name: value for name, value in found.items() if name.startswith(_OF_EVERY_STUDENT)}


def differing(operands: Sequence[Operand]) -> list[dict[str, Any]]:
    """Settings in which operands that have them differ: name, and the value of each operand, null where it has none."""
    settings = [_settings(operand) for operand in operands]
    if any(str(one.get("student")).startswith("./") for one in settings):
        # A bundle calls a student's folder by its last part: where it lies is no difference.
        for one in settings:
            if str(one.get("student")).startswith(("./", "/")):
                one["student"] = f"./{Path(one['student']).name}"
    trained = [one for one, operand in zip(settings, operands, strict=True) if not operand.untrained]
    found = []
    for name in dict.fromkeys(name for one in settings for name in one):
        asked = settings if name.startswith(_OF_EVERY_STUDENT) else trained
        if len({json.dumps(one.get(name), sort_keys=True) for one in asked}) > 1:
            found.append({"name": name, "values": [one.get(name) for one in settings]})
    return found


def other_settings(operands: Sequence[Operand]) -> list[str]:
    found = []
    for entry in differing(operands):
        name, values = entry["name"], entry["values"]
        if name == "template" or (name.startswith("evaluation.") and name not in _NO_MEASUREMENT):
            shown = "" if name == "template" else f" ({', '.join(json.dumps(value) for value in values)})"
            found.append(
                f"{name} differs{shown}: this is not the same measurement, and a difference may come from it alone."
            )
    return found


def _operands(root: Path, names: Sequence[str], *, by_arm: bool) -> list[Operand]:
    found: list[Operand] = []
    own = [_result_of(root, name.removesuffix(f":{BASE}")) for name in names if name != BASE]
    here = _results(root) if by_arm else []
    known = {result["run"] for result in here}
    groups = {
        result["run"]: group
        for group in (arms.grouped([*here, *(one for one in own if one["run"] not in known)]) if by_arm else [])
        for result in group
    }
    given = iter(own)
    for name in names:
        if name == BASE:
            if not found:
                raise UsageError("`base` is the untrained student of the first run named.", "Name a run before it.")
            found.append(_operand(found[0].results, untrained=True))
            continue
        result = next(given)
        found.append(_operand(groups.get(result["run"], [result]), untrained=name.endswith(f":{BASE}")))
    if by_arm:
        _refuse_one_arm_twice(found)
    return found


def _result_of(root: Path, name: str) -> dict[str, Any]:
    """The result of a finished run of the workspace, or of the run in a bundle."""
    from distill_app.reproduce import opened
    from distill_app.store import runs as store

    if opened.is_bundle(name):
        found = opened.bundle(name).result
        assert found is not None
        return found
    run = store.find(root, name)
    result = run.result()
    if result is None:
        raise UsageError(
            " ".join([f"Run {run.id} has no result yet: it is {run.state()}.", *run.damage()]),
            "Issue its `run` command again to go on with it.",
        )
    return result


def _refuse_one_arm_twice(operands: Sequence[Operand]) -> None:
    seen: dict[tuple[str, bool], Operand] = {}
    for operand in operands:
        other = seen.setdefault((operand.first["run"], operand.untrained), operand)
        if other is not operand:
            raise UsageError(
                f"Two of the runs named are of one arm: {operand.name}.",
                "Name one run of each arm, or leave --arms out to compare the runs by themselves.",
            )


def _operand(group: Sequence[Mapping[str, Any]], *, untrained: bool = False) -> Operand:
    first = group[0]
    label = UNTRAINED_LABEL if untrained else first.get("label", first["selector"])
    seeds = ", ".join(str(result["seed"]) for result in group)
    which = f"of {first['run'][-6:]}" if untrained else f"seed{'s' if len(group) > 1 else ''} {seeds}"
    return Operand(f"{label}, {which}", tuple(group[:1] if untrained else group), untrained)


def _results(root: Path) -> list[dict[str, Any]]:
    from distill_app.store import runs as store

    return store.results(root, lambda _: None)
