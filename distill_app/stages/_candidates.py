"""The candidates of a recipe: its pool less what hygiene leaves out and less the placement test, with their signals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distill_app.errors import StageError
from distill_app.hygiene import FILE as REMOVED
from distill_app.hygiene import Removed
from distill_app.records import Decision, Difficulty, Quality, Trace, TraceSkills
from distill_app.selectors import Candidates
from distill_app.stages import Context, difficulty, generate, quality, skills, tokens
from distill_app.store import rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PLACEMENT = "held out for the placement test"


@dataclass(frozen=True, slots=True)
class Pool:
    """`traces` are the candidates, `columns` their signals in the same order, `chains` their skills by row id.

    `everything` are all rows of the pool, `held_out` the placement test's; `left` says of every row that is no
    candidate why.
    """

    everything: list[Trace]
    traces: list[Trace]
    columns: Mapping[str, NDArray[np.float64]]
    chains: Mapping[str, tuple[str, ...]]
    held_out: list[Trace]
    left: list[Decision]

    def candidates(self) -> Candidates:
        """The candidates as selectors see them, before training."""
        return Candidates(
            [trace.id for trace in self.traces],
            [trace.problem_id for trace in self.traces],
            dict(self.columns),
            groups=[group_of(trace) for trace in self.traces],
            skills=[self.chains[trace.id] for trace in self.traces] if self.chains else (),
        )


def read(stage: Context, held_out: frozenset[str] = frozenset()) -> Pool:
    """The pool from the stage's inputs: traces and hygiene, and quality, tokens, difficulty, skills where given.

    Raises `StageError` where no trace is a candidate, saying how many were left out for which reason.
    """
    traces = all_rows(stage, "traces", generate.FILE, Trace)
    removed = {row.id: row for row in rows.read(stage.input("hygiene") / REMOVED, Removed)}
    scores = {row.id: row.quality for row in all_rows(stage, "quality", quality.FILE, Quality)}
    hard = {row.id: row for row in all_rows(stage, "difficulty", difficulty.FILE, Difficulty)}
    lengths = {row.id: row.tokens for row in all_rows(stage, "tokens", tokens.FILE, tokens.TraceTokens)}
    chains = {row.id: row.chains for row in all_rows(stage, "skills", skills.FILE, TraceSkills)}
    left: list[Decision] = []
    kept: list[Trace] = []
    placement: list[Trace] = []
    for trace in traces:
        if trace.id in removed:
            left.append(Decision(trace.id, False, None, None, removed[trace.id].said))
        elif trace.id in held_out:
            placement.append(trace)
            left.append(Decision(trace.id, False, None, None, PLACEMENT))
        else:
            kept.append(trace)
    if not kept:
        reasons = ", ".join(f"{count} {why}" for why, count in reasons_of(left).most_common())
        raise StageError(
            f"None of the {len(traces)} traces is a candidate ({reasons}).",
            "Loosen pool.keep, pool.decontaminate or pool.deduplicate, or take a better teacher. `distill-app show"
            " latest` counts how the answers were graded.",
        )
    return Pool(traces, kept, _columns(kept, scores, lengths, hard), chains, placement, left)


def all_rows(stage: Context, role: str, name: str, kind: type[Any]) -> list[Any]:
    """The rows of all artifacts that fill a role; none where no artifact does."""
    return [row for folder in stage.inputs.get(role, ()) for row in rows.read(folder / name, kind)]


def reasons_of(left: Sequence[Decision]) -> Counter[str]:
    """How many rows are left out for each reason; what stands behind a semicolon is the row's own and is not told."""
    return Counter(row.reason.split(";")[0] for row in left)


def group_of(trace: Trace) -> str:
    """The group a row is selected with: its own, or the row alone."""
    return trace.id if trace.group is None else trace.group


def _columns(
    traces: Sequence[Trace],
    scores: Mapping[str, float],
    lengths: Mapping[str, int],
    hard: Mapping[str, Difficulty],
) -> dict[str, NDArray[np.float64]]:
    import numpy as np

    columns: dict[str, list[float]] = {}
    if scores:
        columns["quality"] = [scores[trace.id] for trace in traces]
    if lengths:
        columns["tokens"] = [lengths[trace.id] for trace in traces]
    if hard:
        for name in ("nll", "nll_alone", "rank_sum"):
            columns[name] = [getattr(hard[trace.id], name) for trace in traces]
        columns["tokens_scored"] = [hard[trace.id].tokens for trace in traces]
    names = sorted({name for trace in traces for name, _ in trace.numbers})
    numbers = [dict(trace.numbers) for trace in traces] if names else []
    for name in names:
        columns[f"numbers.{name}"] = [row.get(name, float("nan")) for row in numbers]
    return {name: np.array(values, dtype=np.float64) for name, values in columns.items()}


def held_out_nlls(stage: Context, pool: Pool) -> list[float]:
    """ln CPPL of each row of the placement test, in the order of `pool.held_out`."""
    hard = {row.id: row.nll for row in all_rows(stage, "difficulty", difficulty.FILE, Difficulty)}
    return [hard[trace.id] for trace in pool.held_out]
