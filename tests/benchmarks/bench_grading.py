"""Seconds to grade 10,000 made-up answers, against math-verify parsing and verifying the same in one process.

    python -m tests.benchmarks.bench_grading [--answers 10000] [--hanging 8]

Eight answers to a problem, half of them right: integers, decimals, percents, fractions, roots, polynomials, intervals,
tuples and words as gold answers, each answer at the end of some sentences, in a box, behind "the answer is" or in
dollars, as a model writes them. Each arm is a process of its own, the two one after the other. math-verify parses a
problem's gold answer once and every text, with its own time limits off (they cost it nothing here, and wait for a
signal where it hangs). Ours starts its worker processes anew; what they take is counted in CPU seconds too.

The answers that hang are a run by themselves, for towers of powers would be all that is measured: how long each takes
us over the limit that it is given, and how many of the answers beside them are graded.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from typing import Any

from tests.benchmarks.figures import Figure, show

SAMPLES = 8
LIMIT_SECONDS = 2.0
"""For an answer that hangs, here."""
THOUGHTS = (
    "Let us write down what is given: there are $3$ boxes with $12$ pieces each, so $3 \\cdot 12 = 36$ in all.",
    "Now \\(x^2 - 5x + 6 = 0\\) has the roots $2$ and $3$, of which only one is allowed here.",
    "Taking half of them away leaves the other half, and we add what was there before.",
    "We check by putting it back into the equation, and both sides agree.",
    "So the area is twice as large as we began with, which is what was to be expected.",
)
HANGING = ("9^{9^{9^{9}}} - 1", "(7^{7^{8}}+1)/(3^{3^{9}})", "\\sqrt{99999999999!}", "2^{2^{2^{2^{7}}}} \\cdot 3")


def answers(count: int, seed: int = 0) -> list[tuple[str, str, str]]:
    """(id, text, gold), `SAMPLES` to a problem."""
    draw = random.Random(seed)
    made = []
    for problem in range(count // SAMPLES):
        gold, same, other = _problem(draw)
        for sample in range(SAMPLES):
            given = draw.choice(same) if draw.random() < 0.5 else draw.choice(other)
            body = " ".join(draw.sample(THOUGHTS, 4))
            end = draw.choice(
                ("So \\boxed{%s}.", "So the answer is $\\boxed{%s}$", "The answer is $%s$.", "Answer: %s")
            )
            made.append((f"p{problem}/{sample}", f"{body}\n{end % given}", gold))
    return made


def _problem(draw: random.Random) -> tuple[str, list[str], list[str]]:
    """A gold answer, ways to write it, and wrong answers."""
    a, b, c = draw.randint(2, 9), draw.randint(10, 99), draw.randint(100, 9999)
    kind = draw.choices(range(9), (40, 6, 4, 12, 10, 8, 8, 8, 4))[0]
    if kind == 0:
        return str(c), [str(c), f"{c:,}", f"{c}.0", f"n = {c}"], [str(c + 1), str(c - a), f"{c / 2}", str(b)]
    if kind == 1:
        return f"{b}.5", [f"{b}.5", f"{b}.50", f"\\frac{{{2 * b + 1}}}{{2}}"], [f"{b}.6", str(b), f"{b + 1}.5"]
    if kind == 2:
        return f"{b}\\%", [f"{b}\\%", f"0.{b}", f"{b}"], [f"{b + 1}\\%", f"0.{b}5", str(a)]
    if kind == 3:
        top, low = b * 2 + 1, 2 ** draw.randint(1, 4)
        gold = f"\\frac{{{top}}}{{{low}}}"
        return gold, [gold, f"{top}/{low}", f"\\dfrac{{{top * 3}}}{{{low * 3}}}", str(top / low)], [
            f"\\frac{{{top + 2}}}{{{low}}}", f"\\frac{{{low}}}{{{top}}}", f"{top}",
        ]  # fmt: skip
    if kind == 4:
        gold = f"{a}\\sqrt{{{b}}}"
        return gold, [gold, f"\\sqrt{{{a * a * b}}}", f"{a} \\cdot \\sqrt{{{b}}}"], [
            f"{a + 1}\\sqrt{{{b}}}", f"\\sqrt{{{b}}}", f"{a}\\sqrt{{{b + 1}}}",
        ]  # fmt: skip
    if kind == 5:
        gold = f"x^2 + {a + b}x + {a * b}"
        return gold, [gold, f"(x+{a})(x+{b})", f"(x+{b})(x+{a})"], [f"x^2 + {a * b}x + {a + b}", f"(x-{a})(x+{b})", "x"]
    if kind == 6:
        return f"({a}, {b}]", [f"({a}, {b}]", f"({a},{b}]", f"{a} < x \\le {b}"], [
            f"({a}, {b})", f"[{a}, {b}]", f"(-\\infty, {b}]",
        ]  # fmt: skip
    if kind == 7:
        return f"({a}, {b}, {c})", [f"({a}, {b}, {c})", f"({a},{b},{c})"], [f"({b}, {a}, {c})", f"({a}, {b})", str(c)]
    word = draw.choice(("even", "obtuse", "ellipse", "Monday"))
    return f"\\text{{{word}}}", [f"\\text{{{word}}}", word], ["\\text{odd}", "circle", "Tuesday"]


def arm(name: str, count: int, hanging: int, workers: int) -> dict[str, Any]:
    """Grade once, in this process."""
    rows = answers(count)
    if hanging:
        rows = rows[:200] + [(f"hang/{n}", f"The answer is ${HANGING[n % 4]} + {n}$.", f"{n}") for n in range(hanging)]
        random.Random(1).shuffle(rows)
    found: list[Any]
    start = time.monotonic()
    if name == "ours":
        from distill_app.evaluation.grading import grade

        found = [row.verdict for row in grade(rows, workers=workers, limit_seconds=LIMIT_SECONDS if hanging else 60.0)]
    else:
        found = _math_verify(rows)
    seconds = time.monotonic() - start
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "seconds": seconds,
        "cpu": sum(one.ru_utime + one.ru_stime for one in spent),
        "peak": max(one.ru_maxrss for one in spent) / 1024,
        "verdicts": dict(Counter(found)),
    }


def _math_verify(rows: list[tuple[str, str, str]]) -> list[str]:
    import logging

    from math_verify import parse, verify

    logging.disable()
    golds: dict[str, Any] = {}
    found = []
    for _, text, gold in rows:
        if gold not in golds:
            golds[gold] = parse(f"${gold}$", parsing_timeout=None)
        read = parse(text, parsing_timeout=None)
        found.append("correct" if verify(golds[gold], read, timeout_seconds=None) else "wrong")
    return found


def measure(count: int = 10_000, hanging: int = 8) -> list[Figure]:
    """The figures: wall time and CPU time against math-verify, and what hangs take beyond their limit."""
    cores = len(os.sched_getaffinity(0))
    theirs, ours, one = (
        _in_process("math-verify", count),
        _in_process("ours", count),
        _in_process("ours", count, workers=1),
    )
    hung = _in_process("ours", 200, hanging)
    given = f"{count} made-up answers, {SAMPLES} to a problem; {cores} cores, load {os.getloadavg()[0]:.1f}"
    rounds = hanging / cores
    return [
        Figure("grading, wall time", "math-verify in one process", theirs["seconds"] / ours["seconds"], "x", "1.7",
                f"{given}; {theirs['seconds']:.1f} s against {ours['seconds']:.1f} s with {cores} workers"),
        Figure("grading, CPU time", "math-verify in one process", theirs["cpu"] / ours["cpu"], "x", "-",
                f"{given}; {theirs['cpu']:.1f} s against {ours['cpu']:.1f} s, the workers' start with it"),
        Figure("grading, wall time with one worker", "math-verify in one process", theirs["seconds"] / one["seconds"],
                "x", "-", f"{given}; {one['seconds']:.1f} s"),
        Figure("grading, answers called right", "math-verify in one process",
                ours["verdicts"]["correct"] / theirs["verdicts"]["correct"], "x", "-",
                f"{ours['verdicts']['correct']} against {theirs['verdicts']['correct']}"),
        Figure("hanging answers, seconds each beyond the limit", "the limit", hung["seconds"] / rounds - LIMIT_SECONDS,
                "s", "-", f"{hanging} hanging among 208 answers, limit {LIMIT_SECONDS:g} s, {cores} workers, their"
                f" start and the other answers with it; verdicts {hung['verdicts']}"),
    ]  # fmt: skip


def _in_process(name: str, count: int, hanging: int = 0, workers: int | None = None) -> dict[str, Any]:
    workers = workers or len(os.sched_getaffinity(0))
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.bench_grading",
        "--one",
        name,
        "--answers",
        str(count),
        "--hanging",
        str(hanging),
    ]
    done = subprocess.run([*command, "--workers", str(workers)], check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    """Print a table: a line a figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--hanging", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--one")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(arm(given.one, given.answers, given.hanging, given.workers)))
        return
    show(measure(given.answers, given.hanging))


if __name__ == "__main__":
    main()
