"""What of a result pairs with another's: the scores by problem, and the settings under which they were measured."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from distill_app.evaluation import statistics
from distill_app.problems.benchmarks import MACRO

_NOT_ASKED = ("k", "benchmarks", "agreement")
"""Settings of the evaluation that change no avg@k of a benchmark."""


@dataclass(frozen=True, slots=True)
class Column:
    """avg@k at each problem of a benchmark, problems sorted by id: of one run, or the mean of several.

    `clusters` is None where no problem has one; `questions`, a fingerprint of each problem's question and gold answer,
    where the result is of an earlier version that did not keep them.
    """

    benchmark: str
    metric: str
    problems: tuple[str, ...]
    trained: tuple[float, ...]
    untrained: tuple[float, ...] | None
    clusters: tuple[str | None, ...] | None
    questions: tuple[str, ...] | None


class Section(NamedTuple):
    """What runs must share to stand side by side; sorts benchmark by benchmark, the macro average last."""

    several: bool
    benchmarks: tuple[str, ...]
    asked: str
    metrics: tuple[str, ...]
    problems: tuple[tuple[str, ...], ...]
    rest: tuple[tuple[str, ...], ...]

    @property
    def name(self) -> str:
        """The benchmark, or `MACRO`."""
        return MACRO if self.several else self.benchmarks[0]


def of(results: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    """By benchmark, what these runs (one, or the seeds of an arm) scored at each problem, averaged over the runs.

    Empty for results of the version before scores by problem were kept.
    """
    runs = [{name: _column(name, entry) for name, entry in result.get("per_problem", {}).items()} for result in results]
    if len(runs) == 1:
        return runs[0]
    return {
        name: replace(
            first,
            trained=tuple(
                math.fsum(values) / len(runs) for values in zip(*(run[name].trained for run in runs), strict=True)
            ),
        )
        for name, first in runs[0].items()
    }


def sections(result: Mapping[str, Any], found: Mapping[str, Column]) -> list[tuple[Section, list[Column]]]:
    """The lines avg@k makes of a run or an arm: each benchmark by itself, then the macro average of two or more."""
    settings = result["settings"].get("evaluation", {})
    asked = json.dumps({key: value for key, value in settings.items() if key not in _NOT_ASKED}, sort_keys=True)
    alone = [[column] for column in found.values()]
    return [
        (_section(asked, measured), measured)
        for measured in [*alone, *([list(found.values())] if len(found) > 1 else [])]
    ]


def strata(
    lines: Sequence[Sequence[Column]], others: Sequence[Sequence[Sequence[float]]] = ()
) -> list[statistics.Stratum]:
    """The trained scores of runs of one section, a stratum a benchmark, a line a run; `others` are further lines."""
    import numpy as np

    return [
        statistics.Stratum(
            first.benchmark,
            np.array([*(measured[place].trained for measured in lines), *(other[place] for other in others)]),
            first.clusters,
        )
        for place, first in enumerate(lines[0])
    ]


def flat(settings: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Nested settings by dotted names."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{path}{name}.")
        else:
            found[f"{path}{name}"] = value
    return found


def _column(benchmark: str, entry: Mapping[str, Any]) -> Column:
    untrained, clusters, questions = (
        None if entry.get(key) is None else tuple(entry[key]) for key in ("untrained", "clusters", "questions")
    )
    return Column(
        benchmark, entry["metric"], tuple(entry["problems"]), tuple(entry["trained"]), untrained, clusters, questions
    )


def _section(asked: str, measured: Sequence[Column]) -> Section:
    return Section(
        len(measured) > 1,
        tuple(column.benchmark for column in measured),
        asked,
        tuple(column.metric for column in measured),
        tuple(column.problems for column in measured),
        tuple(part for column in measured for part in (column.questions or ("-",), _names(column.clusters))),
    )


def _names(clusters: tuple[str | None, ...] | None) -> tuple[str, ...]:
    return ("-",) if clusters is None else tuple(name or "" for name in clusters)
