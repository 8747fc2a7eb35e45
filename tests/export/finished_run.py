"""A small run carried out in the test's own process, and its export: what the tests of exporting share."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from distill_app import export as room
from distill_app.engine import local, start
from distill_app.engine.forkserver import Starter
from distill_app.export import Wish
from distill_app.plan import graph
from distill_app.recipe.resolve import load_arms
from distill_app.store.runs import Run
from tests.recipes import SMALL

HOSTILE = "# Not a heading </details> ```` | a | [x](y)"
SYSTEM = "Say 'why' first.\n---\n```"
RECIPE = (
    SMALL.replace("{{", "{")
    .replace("}}", "}")
    .replace("{model}", "student")
    .replace('system_prompt: ""', f"system_prompt: {json.dumps(SYSTEM)}\n  thinking: false")
    .replace("limit: 48", "limit: 24")
    .replace("training: {", "training: {max_length: 118, skills: {depth: 1}, ")
    .replace("max_tokens: 24", "max_tokens: 12")
    .replace("name: small\n", f"name: small\ndescription: {json.dumps(HOSTILE)}\ntags: [tiny]\n")
)
DYNAMIC = "selector={name: perplexity, top: 6, dynamic: true}"


@dataclass(frozen=True)
class Made:
    """A finished run and its export."""

    root: Path
    run: Run
    out: Path
    exported: room.Exported

    @property
    def train(self) -> Path:
        return next(
            self.root / "artifacts" / "train" / stage["fingerprint"]
            for stage in self.run.lock_record()["stages"]
            if stage["kind"] == "train"
        )


def made(folder: Path, name: str, *sets: str) -> Made:
    """The recipe carried out, model stages in this process too, and exported."""
    root = folder / "workspace"
    (arm,) = load_arms(str(folder / "small.yaml"), list(sets))
    plan = graph.build(arm)
    plan = replace(plan, stages=tuple(replace(stage, model=False) for stage in plan.stages))
    run = start._run_of(plan, root)
    with Starter() as starter:
        local.carry_out(plan, root, run, lambda _: None, starter)
    out = folder / name
    return Made(root, run, out, room.export(root, run, out, Wish(), print))


def write(folder: Path) -> None:
    """Put the recipe into the folder of its student."""
    (folder / "small.yaml").write_text(RECIPE, encoding="utf-8")
