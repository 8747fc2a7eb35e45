"""How time and memory of what loads no model grow with the pool, from 1,000 to 100,000 rows, on one core.

    python -m tests.benchmarks.bench_growth [--sizes 1000 10000 100000] [part ...]

A line a part: its CPU seconds and the memory it took beyond its input at each size, and the exponents fitted to both
by least squares on logarithms: 1 is linear. Each measurement is a process of its own, on the made-up pools of
`bench_hygiene` and `bench_selection`, after the part has worked on 40 rows, so that no import is counted. Memory below
1 MiB is left out of the fit.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import bench_hygiene, bench_selection
from tests.benchmarks.figures import Figure, show

SIZES = (1_000, 10_000, 100_000)
Work = Callable[[], object]


def _selectors() -> list[str]:
    folder = Path(__file__).resolve().parents[2] / "distill_app" / "selectors"
    return sorted(path.stem for path in folder.glob("*.py") if not path.name.startswith("_"))


def parts() -> list[str]:
    """The names of what is measured."""
    rules = [f"hygiene: {rule}" for rule in ("keep", "contaminated 13", "exact", "near 0.8", "weights")]
    others = ["problems: read", "rows: write", "rows: read", "quality: verifier", "grade: plain numbers", "report"]
    return [*others, *rules, *(f"select: {name}" for name in _selectors()), "select: quality by group"]


def prepared(part: str, rows: int, folder: Path) -> Work:
    """What is measured of a part, its input made."""
    kind, _, name = part.partition(": ")
    if kind == "select":
        return _select(name, rows)
    if kind == "hygiene":
        return _hygiene(name, rows)
    if part == "problems: read":
        return _problems(rows, folder / "problems.jsonl")
    if part == "quality: verifier":
        return _verifier(rows)
    if part == "report":
        return _report(rows)
    if kind == "grade":
        from distill_app.evaluation.grading import grade

        texts = [(str(row), f"First 3 * {row} = {3 * row}.\nAnswer: {row + row % 2}", str(row)) for row in range(rows)]
        return lambda: grade(texts, workers=1, limit_seconds=10.0)
    from distill_app.records import Trace
    from distill_app.store import rows as table

    path = folder / "traces.parquet"
    traces = bench_hygiene.pool(rows)
    if name == "write":
        return lambda: table.write(path, Trace, traces)
    table.write(path, Trace, traces)
    return lambda: table.read(path, Trace)


def _select(name: str, rows: int) -> Work:
    from distill_app.selectors import _top

    module, options = bench_selection.selector(name)
    candidates = bench_selection.pool(rows)
    return lambda: _top.keep(
        candidates, module.rank(candidates, options, 17), options.top, options.per_problem, options.unit
    )


def _hygiene(name: str, rows: int) -> Work:
    from distill_app.hygiene import filters
    from distill_app.recipe.model import Keep

    traces = bench_hygiene.pool(rows)
    if name != "keep":
        return bench_hygiene.applied(name, traces)
    verdicts = {trace.id: ("wrong", "correct")[at % 2] for at, trace in enumerate(traces)}
    lengths = dict.fromkeys(verdicts, 200)
    keep = Keep(correct=True, finished=True, max_tokens=1000, min_tokens=10, think="any")
    return lambda: filters.check(traces, verdicts, lengths, keep)


def _problems(rows: int, path: Path) -> Work:
    from distill_app.problems import sources
    from distill_app.recipe.model import ProblemFields, ProblemSource

    with path.open("w", encoding="utf-8") as file:
        for row in range(rows):
            line = {"id": f"p{row}", "question": f"What is {row} + {row}?", "answer": str(2 * row)}
            file.write(json.dumps(line) + "\n")
    names = dict.fromkeys(field.name for field in dataclasses.fields(ProblemFields))
    fields = ProblemFields(**{**names, "id": "id", "question": "question", "answer": "answer"})
    source = ProblemSource(
        dataset=f"jsonl:{path}", config=None, split="train", revision=None, fields=fields, answer_after=None,
        kind="auto", where={}, limit=None, bad_rows="stop", families=None, mix={}, difficulty="small", seed=0,
    )  # fmt: skip
    return lambda: sources.read(source)


def _verifier(rows: int) -> Work:
    from distill_app.quality import verifier
    from distill_app.records import Verdict
    from tests.benchmarks.worked_pool import worked_pool

    traces = worked_pool(max(1, rows // 4), 4)
    given = [(trace, Verdict(trace.id, "correct", "1", "answer_line")) for trace in traces]
    options = verifier.Options(weights=verifier.Weights(answer=0.4, steps=0.3, coherence=0.2, format=0.1))
    return lambda: verifier.score(given, options)


def _report(rows: int) -> Work:
    """The tables of a benchmark with a problem to eight answers."""
    from distill_app.evaluation import statistics
    from distill_app.records import Sample, Verdict
    from distill_app.reports.measured import Measured, table

    samples = [
        Sample(f"p{row // 8}/{row % 8}", f"p{row // 8}", f"Question {row // 8}?", "4", "4", row % 8, 0, "stop", 9)
        for row in range(rows)
    ]
    verdicts = [Verdict(one.id, ("correct", "wrong")[at * 7 % 3 > 0], "4", "bare") for at, one in enumerate(samples)]
    labels = {one.id: at % 3 for at, one in enumerate(samples)}

    def work() -> object:
        found = table(Measured("b", samples, verdicts, labels), 8, [1, 8])
        return statistics.differences([statistics.Stratum("b", list(found.values.values()))])

    return work


def one(part: str, rows: int) -> dict[str, float]:
    """CPU seconds and MiB of one part on so many rows, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        prepared(part, 40, Path(folder))()
        work = prepared(part, rows, Path(folder))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.process_time()
        work()
        seconds = time.process_time() - start
    return {"seconds": seconds, "mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


def exponent(sizes: list[int], values: list[float], least: float) -> float | None:
    """The slope of log value over log size, of the values of at least `least`; None where fewer than two are."""
    import numpy as np

    points = [(math.log(size), math.log(value)) for size, value in zip(sizes, values, strict=True) if value >= least]
    return float(np.polyfit(*zip(*points, strict=True), 1)[0]) if len(points) > 1 else None


def measure(sizes: list[int] | None = None, chosen: list[str] | None = None) -> list[Figure]:
    """The exponents of every part, with the figures they were fitted to."""
    sizes = sizes or list(SIZES)
    one_core = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    figures: list[Figure] = []
    for part in chosen or parts():
        found = []
        for size in sizes:
            command = [sys.executable, "-m", __spec__.name, "--one", part, "--sizes", str(size)]
            done = subprocess.run(command, check=True, capture_output=True, text=True, env=one_core)
            found.append(json.loads(done.stdout))
        for key, unit, least in (("seconds", "s", 1e-4), ("mib", "MiB", 1.0)):
            values = [each[key] for each in found]
            at = ", ".join(f"{value:.3g} {unit} at {size}" for size, value in zip(sizes, values, strict=True))
            power = exponent(sizes, values, least)
            what = f"growth of {part}, {'CPU time' if key == 'seconds' else 'memory beyond the input'}"
            if power is not None:  # else it is too little to be measured
                figures.append(Figure(what, "rows of the pool", power, "exponent", "1.2", f"{at}; one core"))
    return figures


def main() -> None:
    """Print a table: two lines a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--one")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one, given.sizes[0])))
        return
    for part in given.parts or parts():
        show(measure(given.sizes, [part]))


if __name__ == "__main__":
    main()
