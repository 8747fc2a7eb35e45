"""What a benchmark has measured, as a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple


class Figure(NamedTuple):
    """One measured value: of what, beside what, and what it was meant to be."""

    what: str
    against: str
    value: float
    unit: str
    goal: str
    conditions: str = ""


def show(figures: Sequence[Figure]) -> None:
    """Print the figures, a line each."""
    wide = max((len(f"{one.what} / {one.against}") for one in figures), default=0)
    for one in figures:
        name = f"{one.what} / {one.against}"
        print(f"{name:<{wide}}  {one.value:10.3g} {one.unit:<9} goal {one.goal:<14} {one.conditions}", flush=True)


def a_users_environment() -> dict[str, str]:
    """Ours, with compiled modules kept between commands, as they are for a user."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
