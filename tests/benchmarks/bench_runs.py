"""Whole runs as a user starts them: the quickstart, what the program itself costs in it, a matrix, dynamic selection.

    python -m tests.benchmarks.bench_runs [--only quickstart,matrix,dynamic] [--pool 400] [--problems 64] [--samples 8]

quickstart: `distill-app run quickstart` with an empty workspace and an empty cache, so that fetching and converting
the student is part of it; the program's share is what lies outside of the stages that run a model, from the command's
start to its end. matrix: five selectors in one command beside five commands in fresh workspaces, and beside the sum of
its own stages, each counted once. dynamic: the seconds that choosing again took in the training of dmc with
`dynamic: true, candidates: 20%`, beside the whole run of dmc with static selection; and how many rows of each epoch
are new. The two last take the recipe `selectors` at the size that the options say. Seconds are of the clock, CPU
seconds of the command and all its processes. The matrix is a quarter of that size.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from distill_app.students import builtin
from tests.benchmarks.figures import Figure, a_users_environment, show

SELECTORS = ("random", "quality", "car", "dmc", "skill_aware")
PARTS = ("quickstart", "matrix", "dynamic")


class Spent(NamedTuple):
    """Of one command: seconds of the clock, CPU seconds."""

    clock: float
    cpu: float


def run(folder: Path, *arguments: str, fresh_cache: bool = False) -> Spent:
    """`distill-app run` with a workspace in `folder`."""
    env = {**a_users_environment(), "DISTILL_WORKSPACE": str(folder / "workspace")}
    if fresh_cache:
        env["DISTILL_CACHE"] = str(folder / "cache")
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "distill_app.cli", "run", *arguments, "--json"],
        env=env, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(time.monotonic() - began, cpu)


def manifests(folder: Path) -> list[dict[str, Any]]:
    """What the workspace's artifacts say of themselves."""
    return [json.loads(path.read_text()) for path in (folder / "workspace" / "artifacts").glob("*/*/manifest.json")]


def quickstart(scratch: Path) -> list[Figure]:
    spent = run(scratch, "quickstart", fresh_cache=True)
    made = manifests(scratch)
    model = sum(row["seconds"] for row in made if row["memory_bytes"])
    own = spent.clock - model
    start = sum(row["seconds"] for row in made if not row["memory_bytes"])
    conditions = f"{spent.clock:.0f} s of the clock, {spent.cpu:.0f} CPU s"
    return [
        Figure("quickstart, whole", "five minutes", spent.clock / 60, "min", "5 or less", conditions),
        Figure(
            "the program's share of the quickstart", "everything but model stages", 100 * own / spent.clock, "%",
            "under 3", f"{own:.1f} s, {start:.1f} of them grading, quality, selection and the other stages",
        ),
    ]  # fmt: skip


def sized(pool: int, problems: int, samples: int) -> list[str]:
    """The recipe `selectors` at this size, with one seed."""
    families = "[add, mul, div, area, mul_add, times, rate, percent]"
    benchmark = f"{{name: word_problems, dataset: 'builtin:word_problems', limit: {problems}, families: {families}}}"
    return [
        "selectors", "--matrix", "seed=[0]", "--set", f"pool.problems.limit={pool}",
        "--set", f"evaluation.benchmarks=[{benchmark}]", "--set", f"evaluation.samples={samples}",
    ]  # fmt: skip


def matrix(scratch: Path, size: list[str]) -> list[Figure]:
    arms = ", ".join(f"{{name: {name}}}" for name in SELECTORS)
    together = run(scratch / "together", *size, "--matrix", f"selector=[{arms}]")
    alone = [run(scratch / name, *size, "--matrix", f"selector=[{{name: {name}}}]") for name in SELECTORS]
    stages = sum(row["seconds"] for row in manifests(scratch / "together"))
    clock, cpu = sum(one.clock for one in alone), sum(one.cpu for one in alone)
    conditions = f"{together.clock:.0f} s, {together.cpu:.0f} CPU s; alone {clock:.0f} s, {cpu:.0f} CPU s"
    return [
        Figure("five selectors in a matrix", "five runs in fresh workspaces", cpu / together.cpu, "x", "-", conditions),
        Figure(
            "five selectors in a matrix", "the sum of its different stages", together.clock / stages, "x",
            "1.1 or less", f"{stages:.0f} s of stages, each counted once",
        ),
    ]  # fmt: skip


def dynamic(scratch: Path, size: list[str]) -> list[Figure]:
    static = run(scratch, *size, "--matrix", "selector=[{name: dmc}]")
    (plain,) = (row for row in manifests(scratch) if row["kind"] == "train")
    run(scratch, *size, "--matrix", "selector=[{name: dmc, dynamic: true, candidates: 20%}]")
    (again,) = (row for row in manifests(scratch) if row["kind"] == "train" and row != plain)
    seconds = sum(again["facts"]["selection_seconds"].values())
    conditions = f"{seconds:.1f} s of choosing; training {plain['seconds']:.0f} s, the whole run {static.clock:.0f} s"
    return [
        Figure("choosing again, candidates 20%", "the run with static selection", 100 * seconds / static.clock, "%",
               "under 5", conditions),
        Figure("choosing again, candidates 20%", "its training alone", 100 * seconds / plain["seconds"], "%", "-",
               conditions),
    ]  # fmt: skip


def measure(parts: tuple[str, ...] = PARTS, pool: int = 400, problems: int = 64, samples: int = 8) -> list[Figure]:
    """The figures of `parts`."""
    builtin.materialise("smollm2-135m-instruct", print)
    made: list[Figure] = []
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        if "quickstart" in parts:
            made += quickstart(scratch / "quickstart")
        if "matrix" in parts:
            made += matrix(scratch / "matrix", sized(pool // 2, problems // 2, samples // 2))
        if "dynamic" in parts:
            made += dynamic(scratch / "dynamic", sized(pool, problems, samples))
    return made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS))
    for name, default in (("pool", 400), ("problems", 64), ("samples", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    show(measure(tuple(asked.only.split(",")), asked.pool, asked.problems, asked.samples))


if __name__ == "__main__":
    main()
