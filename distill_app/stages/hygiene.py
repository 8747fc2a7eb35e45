"""Leaves out of the pool what is not to be learned from: `distill_app.hygiene` says which rules, and in which order."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence

from distill_app.hygiene import FILE, Removed, decontaminate, duplicates, filters, lessons, weights, whole
from distill_app.hygiene.decontaminate import Benchmark
from distill_app.problems.sources import BUILTIN
from distill_app.recipe.model import Keep, build
from distill_app.records import Problem, Trace, Verdict
from distill_app.stages import Context, Summary, generate, grade, problems, tokens
from distill_app.stages._candidates import all_rows
from distill_app.store import rows

VERSION = 1
MODEL = False
LIST = "removed.jsonl"


def run(stage: Context) -> Summary:
    """Write removed.parquet, a row for each trace that is left out, by id, and removed.jsonl: the same for people.

    Inputs: `traces` and `verdicts` of every part of the pool, `tokens` where `keep` limits lengths, and the problems of
    each benchmark in the order of `benchmarks`, their names. A line of removed.jsonl has the row's question too and,
    where a benchmark's problem is named, that one's.
    """
    traces = all_rows(stage, "traces", generate.FILE, Trace)
    named = zip(stage.options["benchmarks"], stage.inputs.get("benchmarks", ()), strict=True)
    benchmarks = [_benchmark(name, rows.read(folder / problems.FILE, Problem)) for name, folder in named]
    removed = _removed(stage, traces, benchmarks)
    rows.write(stage.folder / FILE, Removed, removed)
    _list(stage, removed, traces, benchmarks)
    rules = Counter(row.rule for row in removed)
    counts = {"traces": len(traces), "kept": len(traces) - len(removed)}
    counts |= {f"left out: {rule}": n for rule, n in sorted(rules.items())}
    found = Counter((row.other or "").split("/")[0] for row in removed if row.rule == "decontaminate")
    facts = {"contaminated": {benchmark.name: found[benchmark.name] for benchmark in benchmarks}}
    return Summary(counts["kept"], counts=counts, facts=facts)


def _removed(stage: Context, traces: list[Trace], benchmarks: Sequence[Benchmark]) -> list[Removed]:
    """The rules one after another, each on what those before it leave."""
    options = stage.options
    verdicts = {row.id: row.verdict for row in all_rows(stage, "verdicts", grade.FILE, Verdict)}
    lengths = {row.id: row.tokens for row in all_rows(stage, "tokens", tokens.FILE, tokens.TraceTokens)}
    units = lessons(traces)
    removed: dict[str, Removed] = {}

    def left() -> list[Trace]:
        return [trace for trace in traces if trace.id not in removed]

    removed |= whole(filters.check(traces, verdicts, lengths, build(Keep, dict(options["keep"]))), units)
    if options["decontaminate"]["ngram"] is not None:
        removed |= whole(decontaminate.check(left(), benchmarks, options["decontaminate"]["ngram"]), lessons(left()))
    settings = options["deduplicate"]
    if settings["exact"]:
        removed |= duplicates.exact(lessons(left()))
    if settings["near"] is not None:
        removed |= duplicates.near(
            lessons(left()),
            settings["near"],
            settings["ngram"],
            lambda done, total: stage.progress(done, total, "traces compared"),
        )
    removed |= weights.check(left(), options["weights"], options["seed"])
    return sorted(removed.values(), key=lambda row: row.id)


def _benchmark(name: str, given: Sequence[Problem]) -> Benchmark:
    return Benchmark(name, given, templated=all(problem.source == BUILTIN for problem in given))


def _list(stage: Context, removed: Sequence[Removed], traces: Sequence[Trace], benchmarks: Sequence[Benchmark]) -> None:
    by_id = {trace.id: trace for trace in traces}
    theirs = {f"{each.name}/{problem.id}": problem.question for each in benchmarks for problem in each.problems}
    with (stage.folder / LIST).open("w", encoding="utf-8") as file:
        for row in removed:
            trace = by_id[row.id]
            line = dataclasses.asdict(row) | {
                "teacher": trace.teacher,
                "augmentation": trace.augmentation,
                "question": trace.question,
            }
            if row.rule == "decontaminate" and row.other in theirs:
                line["other_question"] = theirs[row.other]
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
