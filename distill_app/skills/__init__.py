"""Skills: the tree, which skills a trace needs, how well the student does at them, and building a tree.

Nothing here loads a language model: what asks one takes `ask`, a function from requests to completions, so that the
caller can log completions and go on from them. The same input makes the same requests, with the same ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from distill_app.records import Completion, Request, TraceSkills

Ask = Callable[[list[Request]], Iterable[Completion]]
"""Answers every request given, in any order, each once."""


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A label or name that is not in the tree: how often it stood there, and the nearest leaf or name, if any."""

    times: int
    nearest: str | None


@dataclass(frozen=True, slots=True)
class Attributed:
    """One row of skills for each trace given, in their order, and what was counted on the way.

    `unmatched` holds the labels (or the teacher's names) that the tree does not know.
    """

    rows: list[TraceSkills]
    counts: Mapping[str, int]
    unmatched: Mapping[str, Unmatched] = field(default_factory=dict)
