"""One prompt a problem: reason step by step, then answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distill_app.augmentations import Finished, ask
from distill_app.records import Problem, Request, Trace

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    prompt: str


def requests(problems: Sequence[Problem], options: Options, *, samples: int, seed: int, teacher: str) -> list[Request]:
    """`samples` requests for each problem, at the teacher's own temperature."""
    return ask(
        problems,
        options.prompt,
        samples=samples,
        seed=seed,
        teacher=teacher,
        augmentation="chain_of_thought",
    )


def finish(traces: Sequence[Trace]) -> Finished:
    """All traces stay."""
    return Finished(list(traces), [])
