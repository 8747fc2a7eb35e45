"""The leaderboard as `distill-app leaderboard` and `run` print it: arms over their seeds, and single runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from distill_app.reports import arms, arms_text, leaderboard
from distill_app.reports.result import VERSION

RUNS_SHOWN = 6
"""Single runs that are shown below the arms unasked: more of them push the arms off the screen."""


def text(results: Sequence[Mapping[str, Any]], *, with_arms: bool = False, with_runs: bool = False) -> str:
    """The leaderboard of these results: arms, then single runs.

    Where neither is asked for: the arms where there are two runs or more, the single runs where there are at most
    `RUNS_SHOWN`.
    """
    unasked = not with_arms and not with_runs
    found = arms.arms(results) if with_arms or (unasked and len(results) > 1) else []
    parts = [arms_text.as_text(found)] if found else []
    if with_runs or not found or (unasked and len(results) <= RUNS_SHOWN):
        parts.append(leaderboard.as_text(leaderboard.rows(results)))
    elif unasked:
        parts.append(f"{len(results)} runs, each by itself with pass@k and maj@k: distill-app leaderboard --runs")
    earlier = sum("arm" not in result for result in results)
    if found and earlier:
        parts.append(
            f"{earlier} runs of an earlier version are in no arm: issue their command again to report them anew."
        )
    apart = sum("arm" in result and result["version"] < VERSION for result in results)
    if 0 < apart < len(results) - earlier:
        parts.append(
            f"{apart} runs were reported by an earlier version and stand apart: whether they answered the same "
            "questions is not known. Issue their command again to report them anew."
        )
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)
