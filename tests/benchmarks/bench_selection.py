"""Seconds and peak memory to select from a million rows with each selector: rank, then keep 12.5 %, on one core.

    python -m tests.benchmarks.bench_selection [--rows 1000000] [selector ...]

Each selector runs in a process of its own on the same made-up signals: 250,000 problems, quality in steps of 0.001,
log-normal perplexities, two skill chains a row out of 200 leaves. Seconds are of rank and of keep with its decision on
every row; memory is the process's peak, and `pool` what the made-up rows themselves took of it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Figure, show

VARIANTS: dict[str, dict[str, Any]] = {
    "skill_aware forced": {"mode": "forced"},
    "quality by group": {"unit": "group"},
    "quality two a problem": {"per_problem": 2},
    "dmc expression": {"f_low": "q**1.1 + b*clip(d, -2, 2)", "constants": {"b": 0.05}},
}


def pool(rows: int) -> Any:
    """The made-up candidates."""
    import numpy as np

    from distill_app.selectors import Accuracy, Candidates

    draw = np.random.default_rng(0)
    leaves = [f"Domain {leaf % 8} -> Topic {leaf % 40} -> Skill {leaf}" for leaf in range(200)]
    pairs = [(leaves[a], leaves[b]) for a in range(200) for b in (a, (a * 7 + 3) % 200)]
    nll = draw.lognormal(-0.7, 0.4, rows)
    signals = {
        "quality": np.round(draw.random(rows), 3),
        "nll": nll,
        "nll_alone": nll * draw.lognormal(0.2, 0.1, rows),
        "tokens": draw.integers(50, 8000, rows).astype(np.float64),
        "tokens_scored": draw.integers(50, 8000, rows).astype(np.float64),
        "rank_sum": draw.integers(60, 20000, rows).astype(np.float64),
        "pass_rate": draw.integers(0, 9, rows) / 8,
    }
    return Candidates(
        [f"problem-{row // 4:06d}/teacher/{row % 4}" for row in range(rows)],
        [f"problem-{row // 4:06d}" for row in range(rows)],
        signals,
        groups=[f"group-{row // 3:06d}" for row in range(rows)],
        skills=[pairs[choice] for choice in draw.integers(0, len(pairs), rows).tolist()],
        accuracy={leaf: Accuracy(index % 11, 10) for index, leaf in enumerate(leaves)},
        capability=0.5,
        epochs=3,
    )


def selector(label: str) -> tuple[Any, Any]:
    """A selector's module and its options, as the schema's defaults and `VARIANTS` have them."""
    from distill_app.recipe import schema
    from distill_app.recipe.model import build

    name = label.split()[0]
    module = importlib.import_module(f"distill_app.selectors.{name}")
    schemas = schema.installed()
    properties = schemas.members["selector"][name]["properties"]
    written = {key: schema.resolve(schemas, spec).get("default") for key, spec in properties.items() if key != "name"}
    return module, build(module.Options, {**written, **VARIANTS.get(label, {})})


def labels() -> list[str]:
    """Every selector, and the variants."""
    folder = Path(__file__).resolve().parents[2] / "distill_app" / "selectors"
    return [*sorted(path.stem for path in folder.glob("*.py") if not path.name.startswith("_")), *VARIANTS]


def one(label: str, rows: int) -> dict[str, float]:
    """The figures of one selection in this process."""
    from distill_app.selectors import _top

    module, options = selector(label)
    candidates = pool(rows)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    ranking = module.rank(candidates, options, 17)
    ranked = time.process_time()
    decisions = _top.keep(candidates, ranking, options.top, options.per_problem, options.unit)
    done = time.process_time()
    return {
        "rank": ranked - start,
        "keep": done - ranked,
        "pool": before / 2**20,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "kept": sum(row.kept for row in decisions),
    }


def measure(rows: int = 1_000_000, chosen: Sequence[str] = ()) -> list[Figure]:
    """Seconds and peak memory of each selector, each in a process of its own."""
    one_core = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    figures: list[Figure] = []
    for label in chosen or labels():
        command = [sys.executable, "-m", __spec__.name, "--rows", str(rows), "--one", label]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=one_core)
        found = json.loads(done.stdout)
        given = f"{rows} rows, {found['kept']} kept, one core"
        times = f"rank {found['rank']:.2f} s, keep with every decision {found['keep']:.2f} s"
        seconds = found["rank"] + found["keep"]
        figures += [
            Figure(f"select by {label}", "CPU time", seconds, "s", "10", f"{given}; {times}"),
            Figure(f"select by {label}", "peak memory", found["peak"], "GiB", "2",
                   f"{given}; the rows {found['pool']:.2f} GiB of it"),
        ]  # fmt: skip
    return figures


def main() -> None:
    """Print a table: two lines a selector, and for each variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("selectors", nargs="*")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--one")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one, given.rows)))
        return
    for label in labels():
        if not given.selectors or label in given.selectors or label.split()[0] in given.selectors:
            show(measure(given.rows, [label]))


if __name__ == "__main__":
    main()
