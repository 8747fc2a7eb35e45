"""Several reasoning paths for each problem, sampled hotter (answer augmentation of MetaMath, arXiv 2309.12284)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distill_app.augmentations import Finished, ask
from distill_app.records import Problem, Request, Trace

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    prompt: str
    samples: int
    temperature: float


def requests(
    problems: Sequence[Problem],
    options: Options,
    *,
    samples: int,  # noqa: ARG001
    seed: int,
    teacher: str,
) -> list[Request]:
    """`options.samples` requests for each problem (the pool's own count does not matter), at its temperature."""
    return ask(
        problems,
        options.prompt,
        samples=options.samples,
        seed=seed,
        teacher=teacher,
        augmentation="resample",
        temperature=options.temperature,
    )


def finish(traces: Sequence[Trace]) -> Finished:
    """Drops a trace that repeats, white space aside, another trace of the same problem.

    Of equal texts the one with the lowest (sample, teacher) stays, whatever the order of `traces`. Traces without
    text repeat nothing: what is missing is not this function's to count.
    """
    first: dict[tuple[str, str], Trace] = {}
    for trace in sorted(traces, key=lambda trace: (trace.sample, trace.teacher, trace.id)):
        first.setdefault(_key(trace), trace)
    kept: list[Trace] = []
    rejected: list[tuple[Trace, str]] = []
    for trace in traces:
        original = first[_key(trace)]
        if original is trace or not trace.text.strip():
            kept.append(trace)
        else:
            rejected.append((trace, f"repeats {original.id} word for word"))
    return Finished(kept, rejected)


def _key(trace: Trace) -> tuple[str, str]:
    return trace.problem_id, " ".join(trace.text.split())
