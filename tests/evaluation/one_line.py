"""The statistics of one student on one benchmark, as tests ask for them."""

from __future__ import annotations

from collections.abc import Sequence

from distill_app.evaluation.statistics import Difference, Interval, Stratum, differences, estimates

Clusters = Sequence[str | None] | None


def standard_error(values: Sequence[float], clusters: Clusters = None) -> float | None:
    return estimates([Stratum("", [values], clusters)])[0].standard_error


def interval(values: Sequence[float], clusters: Clusters = None, *, name: str = "") -> Interval | None:
    return estimates([Stratum(name, [values], clusters)])[0].interval


def paired_difference(
    a: Sequence[float], b: Sequence[float], clusters: Clusters = None, *, name: str = ""
) -> Difference:
    return differences([Stratum(name, [a, b], clusters).less([(0, 1)])])[0]
