"""Seconds and peak memory of each rule of hygiene on a large pool, on one core.

    python -m tests.benchmarks.bench_hygiene [--rows 100000] [rule ...]

Each line is a process of its own on a made-up pool: four traces to a problem, questions of 45 words and texts of 180
from a vocabulary of 20,000 (frequencies as 1/rank), every tenth row a copy of another with up to 4 words changed.
`worked` compares the solutions of the built-in problems instead: short texts from few templates, the near-duplicates'
hard case. The benchmarks are made up as well: 5,000 questions of the same words, a hundred of them in the pool. Memory
is the process's peak, and `pool` what the rows themselves took of it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from distill_app.hygiene import decontaminate, duplicates, lessons, weights
from distill_app.records import Problem, Trace
from tests.benchmarks.figures import Figure, show

RULES = ("contaminated 13", "contaminated 8", "exact", "near 0.9", "near 0.8", "near 0.6", "weights", "worked near 0.9")


def pool(rows: int, seed: int = 0) -> list[Trace]:
    """The made-up rows."""
    import numpy as np

    draw = np.random.default_rng(seed)
    frequencies = 1 / np.arange(1, 20_001)
    bounds = np.cumsum(frequencies / frequencies.sum())

    def words(count: int) -> list[str]:
        return [f"w{place}" for place in np.searchsorted(bounds, draw.random(count)).tolist()]

    made: list[Trace] = []
    for row in range(rows):
        if row % 4 == 0:
            question = " ".join(words(45))
        text = words(180)
        if row % 10 == 9:
            text = made[-1].text.split()
            for _ in range(int(draw.integers(0, 5))):
                text[int(draw.integers(0, len(text)))] = "changed"
        name = f"p{row // 4:06d}/{'ab'[row % 2]}/{row % 4}"
        made.append(Trace(name, name[:7], question, "4", " ".join(text), "ab"[row % 2], "c", row % 4, 0, "stop"))
    return made


def worked(rows: int) -> list[Trace]:
    """Solutions of the built-in problems."""
    from tests.benchmarks.worked_pool import worked_pool

    return worked_pool(rows // 4, 4)


def applied(rule: str, traces: list[Trace]) -> Callable[[], Mapping[str, object]]:
    """One rule over these rows, to be called: what it leaves out."""
    name, *rest = rule.split()
    if name == "contaminated":
        questions = [trace.question for trace in pool(19_600, 1)[::4]]
        known = [*questions, *(trace.question for trace in traces[:400:4])]
        benchmark = decontaminate.Benchmark("b", [Problem(str(n), text, "4", "b") for n, text in enumerate(known)])
        return lambda: decontaminate.check(traces, [benchmark], int(rest[0]))
    if name == "exact":
        return lambda: duplicates.exact(lessons(traces))
    if name == "weights":
        return lambda: weights.check(traces, {"a": 1.0, "b": 0.5}, 0)
    return lambda: duplicates.near(lessons(traces), float(rest[-1]), 5)


def one(rule: str, rows: int) -> dict[str, float]:
    """The figures of one rule, applied once in this process."""
    traces = worked(rows) if rule.startswith("worked") else pool(rows)
    work = applied(rule, traces)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    found = work()
    return {
        "seconds": time.process_time() - start,
        "pool": before / 1024,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rows": len(traces),
        "left out": len(found),
    }


def measure(rows: int = 100_000, rules: Sequence[str] = RULES) -> list[Figure]:
    """Seconds of each rule, each in a process of its own."""
    one_core = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    figures = []
    for rule in rules:
        command = [sys.executable, "-m", __spec__.name, "--rows", str(rows), "--one", rule]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=one_core)
        found = json.loads(done.stdout)
        conditions = (
            f"{found['rows']} rows, {found['left out']} left out, one core; peak {found['peak']:.0f} MiB,"
            f" the rows {found['pool']:.0f} MiB of it"
        )
        figures.append(Figure(f"hygiene, {rule}", "CPU time", found["seconds"], "s", "-", conditions))
    return figures


def main() -> None:
    """Print a table: a line a rule."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rules", nargs="*")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--one")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one, given.rows)))
        return
    for rule in RULES:
        if not given.rules or rule in given.rules or rule.split()[0] in given.rules:
            show(measure(given.rows, [rule]))


if __name__ == "__main__":
    main()
