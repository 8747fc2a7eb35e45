"""Has the untrained student answer problems of the pool: how well it does at each skill, and at each problem."""

from __future__ import annotations

from distill_app.records import Problem, Trace, TraceSkills
from distill_app.skills import accuracy
from distill_app.stages import Context, Summary, evaluate, generate, problems, skills
from distill_app.stages._candidates import all_rows
from distill_app.store import rows

VERSION = 1
MODEL = True
FILE = evaluate.FILE


def run(stage: Context) -> Summary:
    """Write samples.parquet: the answers to the whole pool, or to `per_skill` problems of each skill."""
    asked = rows.read(stage.input("problems") / problems.FILE, Problem)
    if stage.options["per_skill"] is not None:
        of_trace = {row.id: row.chains for row in all_rows(stage, "skills", skills.FILE, TraceSkills)}
        traces = all_rows(stage, "traces", generate.FILE, Trace)
        chains = accuracy.chains_by_problem((trace.problem_id, of_trace[trace.id]) for trace in traces)
        chosen = set(accuracy.subsample(chains, stage.options["per_skill"], stage.options["seed"]))
        asked = [problem for problem in asked if problem.id in chosen]
    return evaluate.answer(stage, asked)
