"""Every figure of the README's table, measured now: a table, and JSON.

    python -m tests.benchmarks [NAME ...] [--json FILE]

NAME is a module's without `bench_` (all of `PARTS` unasked, about half an hour on two cores): each is measured in a
process of its own. Ratios compare things measured in one call; keep the machine otherwise idle. With --json the figures
are kept as they come in, with the machine and the versions they were measured on.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.figures import Figure, show

PARTS = ("start", "selection", "grading", "growth", "sampling", "scoring", "training", "dynamic", "runs")


def measured(name: str) -> list[Figure]:
    """The figures of one module, measured in another process. Raises where it fails."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        subprocess.run([sys.executable, "-m", __spec__.name, "--one", name, str(out)], check=True)
        return [Figure(**row) for row in json.loads(out.read_text())]


def one(name: str, out: str) -> None:
    """Measure in this process and write the figures to a file."""
    module = importlib.import_module(f"tests.benchmarks.bench_{name}")
    Path(out).write_text(json.dumps([figure._asdict() for figure in module.measure()]))


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    from distill_app.reproduce import machine as here

    return {**here.hardware(), "packages": here.packages(), "load": os.getloadavg()[0]}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=2, metavar=("NAME", "FILE"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(*asked.one)
        return
    if strange := set(asked.name) - set(PARTS):
        parser.error(f"no such benchmark: {', '.join(sorted(strange))}; there are {', '.join(PARTS)}")
    where, figures = machine(), []
    for name in asked.name or PARTS:
        print(f"== {name}", flush=True)
        figures += measured(name)
        if asked.json:
            asked.json.write_text(
                json.dumps({"machine": where, "figures": [row._asdict() for row in figures]}, indent=1) + "\n"
            )
    print()
    show(figures)


if __name__ == "__main__":
    main()
