"""Locks of recipes that nothing has run: planning loads no model, so they cost little."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from distill_app.plan import graph
from distill_app.recipe.resolve import load_arms
from distill_app.reproduce import lock

ROWS = "".join(
    json.dumps({"id": f"p{n}", "question": f"What is {n} + 1?", "answer": str(n + 1), "solution": f"Answer: {n + 1}"})
    + "\n"
    for n in range(16)
)
RECIPE = """\
version: 1
name: local
student: {model: "builtin:smollm2-135m-instruct"}
teacher: {name: humans, backend: traces, path: "traces/*.jsonl", fields: {reasoning: solution}}
pool:
  problems: {dataset: "jsonl:train.jsonl"}
  keep: {correct: false}
selector: {name: random, top: 4}
evaluation:
  benchmarks:
    - {name: mine, dataset: "jsonl:test.jsonl"}
  max_tokens: 16
"""


def local(folder: Path) -> Path:
    """A recipe with files of its own in `folder`: problems, a benchmark, traces."""
    (folder / "traces").mkdir(parents=True)
    (folder / "train.jsonl").write_text(ROWS)
    (folder / "test.jsonl").write_text(ROWS.replace("What is", "How much is"))
    (folder / "traces" / "one.jsonl").write_text(ROWS)
    (folder / "local.yaml").write_text(RECIPE)
    return folder / "local.yaml"


def lock_of(recipe: str | Path, *sets: str) -> dict[str, Any]:
    """The lock of a recipe that makes one run, as it reads back from its file."""
    (arm,) = load_arms(recipe, list(sets))
    return json.loads(json.dumps(lock.record(graph.build(arm))))


def first_version(record: dict[str, Any]) -> dict[str, Any]:
    """The lock as distill-app wrote it before there was `run --locked`."""
    old = copy.deepcopy(record)
    for name in ("resolved", "contents", "template", "seeds", "code", "hardware"):
        del old[name]
    for stage in old["stages"]:
        for name in ("version", "options", "inputs"):
            del stage[name]
    names = ("torch", "transformers", "peft", "trl", "datasets", "accelerate", "math-verify", "tokenizers")
    return {**old, "run": "20260101-000000-abcdef", "version": 1, "packages": {n: old["packages"][n] for n in names}}
