"""Small recipes for tests that run the whole path, and one call that runs the command line on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from distill_app import resources

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"

SMALL = """\
version: 1
name: small
student:
  model: {model}
  system_prompt: ""
  dtype: float32
teacher: {{name: worked, backend: worked}}
pool:
  problems: {{dataset: "builtin:word_problems", limit: 48}}
  keep: {{correct: false}}
selector: {{name: quality, top: 12}}
epochs: 2
training: {{learning_rate: 1.0e-3, batch_size: 4}}
evaluation:
  benchmarks:
    - {{name: word_problems, dataset: "builtin:word_problems", limit: 6}}
  samples: 4
  top_p: 1.0
  max_tokens: 24
runtime: {{sample_rows: 8, checkpoint_steps: 1, threads: 1}}
"""
"""Twelve of 48 worked solutions, six steps, six problems answered four times in three batches."""


def small(folder: Path, model: str | Path, **changes: str) -> Path:
    """Write the small recipe into `folder`, texts replaced as `changes` say, and return its path."""
    text = SMALL.format(model=json.dumps(str(model)))
    for old, new in changes.items():
        text = text.replace(old, new)
    path = folder / "small.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def environment(workspace: Path, **more: str) -> dict[str, str]:
    """The environment of a user whose workspace is `workspace`, one thread to a process.

    The cache is one of the test's own, so that what it measures is not remembered; the models in it are the user's.
    """
    cache = workspace.with_name(f"{workspace.name}-cache")
    models = resources.cache_folder() / "models"
    if not cache.exists() and workspace.parent.is_dir():
        cache.mkdir(exist_ok=True)
        models.mkdir(parents=True, exist_ok=True)
        (cache / "models").symlink_to(models)
    return {
        **os.environ,
        "DISTILL_WORKSPACE": str(workspace),
        "DISTILL_CACHE": str(cache),
        "OMP_NUM_THREADS": "1",
        **more,
    }


def distill(
    *arguments: str | Path, workspace: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `distill-app` with these arguments as a user would, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "distill_app.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd or ROOT,
        env={**environment(workspace), **(env or {})},
        check=False,
    )


def start_run(recipe: Path, workspace: Path) -> subprocess.Popen[str]:
    """Start `distill-app run RECIPE --json` and return at once; its events come as lines of `stdout`."""
    return subprocess.Popen(
        [sys.executable, "-m", "distill_app.cli", "run", str(recipe), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(workspace),
    )


def data_hashes(workspace: Path) -> dict[str, str]:
    """Every finished artifact's data by its hash; what lies in a manifest beside that (times) may differ."""
    found = {}
    for path in sorted((workspace / "artifacts").glob("*/*/manifest.json")):
        manifest = json.loads(path.read_text())
        for name, file in manifest["files"].items():
            if manifest["kind"] != "report":
                found[f"{manifest['stage']} {name}"] = file["sha256"]
    return found


def json_of(done: subprocess.CompletedProcess[str]) -> Any:
    """What a `--json` call printed; the call must have succeeded."""
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def without_traceback(done: subprocess.CompletedProcess[str]) -> str:
    """All the call printed, which must not be a traceback or a confession of a bug."""
    text = done.stdout + done.stderr
    assert "Traceback" not in text, text
    assert "This is a bug" not in text, text
    return text
