"""CPU seconds of the commands that must answer at once, beside an empty Python and an import of torch.

    python tests/benchmarks/bench_start.py

Each command is run once to warm up and then five times; the median of user plus system time of the whole process.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile

RUNS = 5
PROGRAM = [sys.executable, "-m", "distill_app.cli"]


def cpu_seconds(command: list[str]) -> float:
    """User plus system seconds of one finished run of `command`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a table of medians and their ratio to an empty Python."""
    with tempfile.TemporaryDirectory() as workspace:
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "distill-app validate quickstart": [*PROGRAM, "validate", "quickstart"],
            "distill-app plan quickstart": [*PROGRAM, "plan", "quickstart", "--workspace", workspace],
            "distill-app plan random_vs_quality": [*PROGRAM, "plan", "random_vs_quality", "--workspace", workspace],
            "distill-app leaderboard": [*PROGRAM, "leaderboard", "--workspace", workspace],
            "python -c 'import torch'": [sys.executable, "-c", "import torch"],
        }
        empty = None
        for name, command in commands.items():
            cpu_seconds(command)
            median = statistics.median(cpu_seconds(command) for _ in range(RUNS))
            empty = empty or median
            print(f"{name:<36} {median:6.2f} s  {median / empty:6.1f} x")


if __name__ == "__main__":
    main()
