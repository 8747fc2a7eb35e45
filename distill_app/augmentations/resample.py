"""Several reasoning paths for each problem, sampled hotter (answer augmentation of MetaMath, arXiv 2309.12284)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distill_app.augmentations import Grade, Made, Refused, Rounds, rows
from distill_app.augmentations._rounds import answered
from distill_app.records import Problem, Trace

VERSION = 1
ASKS = "question"
ROWS = 1
PLACEHOLDERS = {"prompt": ("question",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    prompt: str
    samples: int
    temperature: float


def make(
    problems: Sequence[Problem],
    options: Options,
    *,
    samples: int,  # noqa: ARG001 - the options have a count of their own
    seed: int,
    teacher: str,
    grade: Grade,  # noqa: ARG001 - the contract: these answers are graded as candidates of the pool
) -> Rounds:
    """`options.samples` traces for each problem (the pool's own count does not matter), at its temperature.

    A trace that repeats, white space aside, an earlier sample of its problem is rejected. Traces without text repeat
    nothing: an empty answer is for the grading to find.
    """
    todo = rows(problems, samples=options.samples, seed=seed, teacher=teacher, augmentation="resample")
    made = yield from answered(todo, options.prompt, options.temperature)
    by_id = {row.id: row for row in todo}
    first: dict[tuple[str, str], str] = {}
    kept: list[Trace] = []
    rejected = list(made.rejected)
    for trace in made.kept:  # the samples of a problem are in order
        text = " ".join(trace.text.split())
        original = first.setdefault((trace.problem_id, text), trace.id)
        if original == trace.id or not text:
            kept.append(trace)
        else:
            fault = Refused("repeat", f"repeats {original} word for word")
            rejected.append(by_id[trace.id].rejected("answer", fault, trace.text))
    return Made(kept, rejected)
