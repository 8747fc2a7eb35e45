"""Augmentations: how problems become the prompts a teacher answers. A name in a recipe is the module here.

Each module holds

- `VERSION`: raised when the same options would now give another output;
- `Options`: a frozen dataclass that mirrors `schemas/augmentations/<name>.json` without `name`;
- `requests(problems, options, *, samples, seed, teacher) -> list[Request]`: the requests to this teacher, with ids
  `<problem id>/<teacher>/<augmentation>/<sample>` and a seed of each one's own, from its id alone. `samples` and
  `seed` are the pool's;
- `finish(traces) -> Finished`: what of the augmentation's own traces is kept once all are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distill_app.records import Problem, Request, Trace
from distill_app.seeds import derive


@dataclass(frozen=True, slots=True)
class Finished:
    """The traces that stay, and each that does not with its reason; together all that came in."""

    kept: list[Trace]
    rejected: list[tuple[Trace, str]]


def ask(
    problems: Sequence[Problem],
    prompt: str,
    *,
    samples: int,
    seed: int,
    teacher: str,
    augmentation: str,
    temperature: float | None = None,
) -> list[Request]:
    """`samples` requests for each problem with the question in the prompt's `{question}`; problems in order."""
    return [
        Request(
            id=f"{problem.id}/{teacher}/{augmentation}/{sample}",
            problem=problem,
            # Not str.format: a template may hold other braces, as \\boxed{} does.
            prompt=prompt.replace("{question}", problem.question),
            sample=sample,
            seed=derive(seed, problem.id, teacher, augmentation, sample),
            temperature=temperature,
        )
        for problem in problems
        for sample in range(samples)
    ]
