"""CPU seconds of the commands that must answer at once, beside an empty Python and an import of torch.

    python -m tests.benchmarks.bench_start [--runs 200]

Each command is run once to warm up and then five times; the median of user plus system time of the whole process. What
lists and compares runs does so in a workspace of 200 finished runs that is written to a folder of its own first, by
`many_runs`: 50 arms of four seeds over three benchmarks of 1,319, 500 and 30 problems.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.figures import Figure, a_users_environment, show

REPEATS = 5
POOL = 100
"""Rows of the pool that the newest run selected from: nothing here reads it."""
PROGRAM = [sys.executable, "-m", "distill_app.cli"]


def cpu_seconds(command: list[str]) -> float:
    """User plus system seconds of one finished run of `command`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=a_users_environment())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(runs: int = 200) -> list[Figure]:
    """The median of each command."""
    with tempfile.TemporaryDirectory() as workspace, tempfile.TemporaryDirectory() as full:
        subprocess.run([sys.executable, "-m", __spec__.name, "--write", full, "--runs", str(runs)], check=True)
        ids = sorted(path.name for path in (Path(full) / "runs").iterdir())
        # Spread over the arms.
        apart = ids[:: max(1, len(ids) // 20)][:20]
        commands: dict[str, tuple[list[str], str | None]] = {
            "python -c pass": ([sys.executable, "-c", "pass"], None),
            "python -c 'import torch'": ([sys.executable, "-c", "import torch"], None),
            "validate quickstart": ([*PROGRAM, "validate", "quickstart"], "0.4"),
            "plan quickstart": ([*PROGRAM, "plan", "quickstart", "--workspace", workspace], "1"),
            "plan random_vs_quality": ([*PROGRAM, "plan", "random_vs_quality", "--workspace", workspace], "1"),
            "leaderboard of no runs": ([*PROGRAM, "leaderboard", "--workspace", workspace], None),
            f"leaderboard of {runs} runs": ([*PROGRAM, "leaderboard", "--workspace", full], "1"),
            f"runs, {runs} of them": ([*PROGRAM, "runs", "--workspace", full], None),
            "compare 2 runs": ([*PROGRAM, "compare", *apart[:2], "--workspace", full], None),
            "compare 20 runs": ([*PROGRAM, "compare", *apart, "--workspace", full], None),
        }
        medians = {}
        for name, (command, _) in commands.items():
            cpu_seconds(command)
            medians[name] = statistics.median(cpu_seconds(command) for _ in range(REPEATS))
    empty = medians["python -c pass"]
    return [
        Figure(
            name,
            "CPU time",
            medians[name],
            "s",
            goal or "-",
            f"{medians[name] / empty:.1f} times an empty Python; median of {REPEATS}",
        )
        for name, (_, goal) in commands.items()
    ]


def main() -> None:
    """Print a table: a line a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--write")
    given = parser.parse_args()
    if given.write:
        from tests.benchmarks import many_runs

        many_runs.write(Path(given.write), given.runs, POOL)
        return
    show(measure(given.runs))


if __name__ == "__main__":
    main()
