"""What the untrained student's own answers say: its pass rate at each row's problem, and its accuracy at each skill."""

from __future__ import annotations

import dataclasses

from distill_app.records import Sample, Verdict
from distill_app.selectors import Accuracy, Candidates
from distill_app.skills import accuracy
from distill_app.stages import Context, grade, pool_answers
from distill_app.stages._candidates import Pool, all_rows


def add(stage: Context, pool: Pool, given: Candidates) -> Candidates:
    """The candidates with the signal `pass_rate`, and with `accuracy` where rows have skills.

    Nothing is added where the plan has no answers. A row whose problem was not asked has no pass rate (NaN). A problem
    needs every skill that any of its traces needs, candidates or not.
    """
    import numpy as np

    if "answers" not in stage.inputs:
        return given
    right = {row.id: row.verdict == "correct" for row in all_rows(stage, "answers_verdicts", grade.FILE, Verdict)}
    outcomes: dict[str, list[bool]] = {}
    for sample in all_rows(stage, "answers", pool_answers.FILE, Sample):
        outcomes.setdefault(sample.problem_id, []).append(right[sample.id])
    rates = {problem: sum(found) / len(found) for problem, found in outcomes.items()}
    pass_rate = np.array([rates.get(problem, np.nan) for problem in given.problem_ids], dtype=np.float64)
    by_chain: dict[str, Accuracy] = {}
    if pool.chains:
        of_trace = ((trace.problem_id, pool.chains[trace.id]) for trace in pool.everything)
        by_chain = accuracy.tally(outcomes, accuracy.chains_by_problem(of_trace))
    return dataclasses.replace(given, signals={**given.signals, "pass_rate": pass_rate}, accuracy=by_chain)
