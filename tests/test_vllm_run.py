"""The whole path through the real vLLM with the real 135M model: the README's recipe, made small, killed once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distill_app.records import Trace
from distill_app.store import rows
from distill_app.students import vllm_machine
from tests.recipes import ROOT, distill, environment, json_of

LACK = vllm_machine.lack(vllm_machine.installed())
RECIPE = ROOT / "recipes" / "vllm_local.yaml"
SMALL = [
    word
    for change in (
        "teacher.0.limit=4",
        "pool.keep.correct=false",
        "selector.top=16",
        "epochs=1",
        "evaluation.benchmarks.0.limit=4",
        "evaluation.samples=2",
        "evaluation.agreement={prompts: 4, tokens: 16}",
        "student.dtype=float32",
        "runtime.vllm.kv_cache_gib=1",
    )
    for word in ("--set", change)
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(LACK is not None, reason=f'{LACK} See "vLLM on a CPU" in the README.'),
]


def test_a_run_killed_while_vllm_writes_goes_on(smollm: Path, tmp_path: Path) -> None:
    """Teacher and evaluation through vLLM; the trained adapter answers as transformers and merged weights do."""
    assert smollm.is_dir()
    workspace = tmp_path / "workspace"
    command = [sys.executable, "-m", "distill_app.cli", "run", str(RECIPE), "--json", *SMALL]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(workspace), stdout=subprocess.DEVNULL, start_new_session=True
    ) as first:
        log = _first_answers(workspace)
        first.kill()
    whole = log.read_bytes().rpartition(b"\n")[0]
    before = [json.loads(line) for line in whole.splitlines()]
    assert 0 < len(before) <= 8
    done = distill("run", RECIPE, "--json", *SMALL, workspace=workspace)
    assert done.returncode == 0, done.stderr
    shown = json_of(distill("show", "latest", "--json", workspace=workspace))
    counts = {stage["name"]: stage["counts"] for stage in shown["stages"]}
    written = counts["generate[smollm/chain_of_thought]"]
    assert (written["asked"], written["missing"]) == (8, 0)
    (folder,) = [
        path.parent for path in workspace.glob("artifacts/generate/*/manifest.json") if "smollm/" in path.read_text()
    ]
    traces = {row.id: row for row in rows.read(folder / "traces.parquet", Trace)}
    assert len(traces) == 8
    for answer in before:
        assert traces[answer["id"]].text == answer["text"]
    result = shown["result"]
    assert result["settings"]["evaluation"]["backend"] == "vllm"
    ways = {tuple(pair["ways"]): pair for pair in result["agreement"]["pairs"]}
    assert set(ways) == {("transformers", "merged"), ("transformers", "vllm"), ("merged", "vllm")}
    assert all(pair["in_common"] >= 0.98 for pair in ways.values()), ways
    assert result["agreement"]["warnings"] == []
    (avg,) = [row for row in result["rows"] if row["metric"] == "avg@2"]
    assert avg["n_problems"] == 4


def _first_answers(workspace: Path) -> Path:
    """The teacher's log as soon as it holds an answer."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        for log in workspace.glob("artifacts/generate/*.partial/work/completions.jsonl"):
            if b"\n" in log.read_bytes():
                return log
        time.sleep(0.2)
    raise AssertionError("vLLM wrote nothing in 300 s")
