"""What a trace must satisfy by itself to be a candidate: the recipe's `pool.keep`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distill_app.hygiene import Removed
from distill_app.recipe.model import Keep
from distill_app.records import Trace
from distill_app.thinking import split

_ANSWERS = {"wrong": "wrong answer", "no_answer": "no answer", "timeout": "grading timed out"}


def check(
    traces: Sequence[Trace], verdicts: Mapping[str, str], tokens: Mapping[str, int], keep: Keep
) -> dict[str, Removed]:
    """The traces that fail, by id, each with the first rule that it fails.

    `verdicts` holds every trace's; `tokens` its length in tokens of the student, think block and all, and is read where
    `keep` sets a limit. A trace that has no gold answer (`ungraded`) is no wrong one: its augmentation has judged it.
    """
    counted = keep.max_tokens is not None or keep.min_tokens is not None
    found = {}
    for trace in traces:
        failed = _failed(trace, verdicts[trace.id], tokens[trace.id] if counted else 0, keep)
        if failed:
            found[trace.id] = Removed(trace.id, *failed)
    return found


def _failed(trace: Trace, verdict: str, length: int, keep: Keep) -> tuple[str, str] | None:
    """The rule that a trace fails and the reason in few words, which are counted; None where it fails none."""
    if not trace.text.strip():
        return "empty", "empty"
    if keep.correct and verdict in _ANSWERS:
        return "correct", _ANSWERS[verdict]
    if keep.finished and trace.finish_reason == "length":
        return "finished", "cut at the token limit"
    if keep.max_tokens is not None and length > keep.max_tokens:
        return "max_tokens", f"longer than {keep.max_tokens} tokens"
    if keep.min_tokens is not None and length < keep.min_tokens:
        return "min_tokens", f"shorter than {keep.min_tokens} tokens"
    state = split(trace.text).state
    if keep.think == "required" and state != "closed":
        return "think", "no think block" if state == "none" else "the think block never ends"
    if keep.think == "forbidden" and state != "none":
        return "think", "has a think block"
    return None
