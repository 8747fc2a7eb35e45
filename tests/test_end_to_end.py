"""The whole path with the real 135M student, in a small setting: nothing is replaced by a stand-in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from distill_app.records import Verdict
from distill_app.store import rows
from distill_app.store.artifacts import Store
from tests.recipes import ROOT, SHARED, distill, json_of, small

SMALL = (
    "pool.problems.limit=64",
    "selector.top=16",
    "epochs=2",
    "evaluation.benchmarks.0.limit=4",
    "evaluation.samples=4",
    "evaluation.max_tokens=32",
)


def sets(*changes: str) -> list[str]:
    return [word for change in changes for word in ("--set", change)]


@pytest.fixture(scope="module")
def matrix(smollm: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict]]:
    """Random against quality on one pool, run for real; the workspace and the events of both runs."""
    assert smollm.is_dir()
    workspace = tmp_path_factory.mktemp("matrix")
    done = distill("run", "random_vs_quality", "--json", *sets(*SMALL), workspace=workspace)
    assert done.returncode == 0, done.stderr
    return workspace, [json.loads(line) for line in done.stdout.splitlines()]


def test_one_pool_two_trainings(matrix: tuple[Path, list[dict]]) -> None:
    workspace, events = matrix
    made = [event["stage"] for event in events if event.get("type") == "stage_finished"]
    assert made.count("train") == 2
    assert made.count("generate[worked/chain_of_thought]") == 1
    assert made.count("evaluate[base word_problems]") == 1
    board = json_of(distill("leaderboard", "--json", workspace=workspace))
    avg = {row["selector"]: row for row in board if row["metric"] == "avg@4"}
    assert set(avg) == {"random", "quality"}
    assert avg["random"]["base_score"] == avg["quality"]["base_score"]
    assert all(0 <= row["ci_low"] <= row["score"] <= row["ci_high"] <= 1 for row in board)


def test_the_arms_compare_by_problem(matrix: tuple[Path, list[dict]]) -> None:
    workspace, _ = matrix
    arms = {row["selector"]: row for row in json_of(distill("leaderboard", "--arms", "--json", workspace=workspace))}
    random, quality = arms["random"], arms["quality"]
    assert (quality["label"], quality["seeds"], quality["seed_sd"]) == ("Quality", [0], None)
    assert quality["random_arm"] == random["arm"] != quality["arm"]
    assert quality["minus_random"] == pytest.approx(quality["score"] - random["score"])
    assert [row["standing"] for row in arms.values()].count("best") == 1
    text = distill("leaderboard", workspace=workspace).stdout
    assert text.index("Arms:") < text.index("pass@4")
    assert max(map(len, text.splitlines())) <= 100


def test_training_learned(matrix: tuple[Path, list[dict]]) -> None:
    _, events = matrix
    losses = [event for event in events if event.get("type") == "loss"]
    assert len(losses) == 2 * 4
    for arm in (losses[:4], losses[4:]):
        assert [event["step"] for event in arm] == [1, 2, 3, 4]
        assert arm[-1]["loss"] < arm[0]["loss"] - 0.1
        assert all(event["tokens_per_second"] > 0 and event["grad_norm"] > 0 for event in arm)
        assert arm[-1]["learning_rate"] < 5e-4


def test_quality_selects_better_rows_than_random(matrix: tuple[Path, list[dict]]) -> None:
    workspace, _ = matrix
    graded = {}
    for run in json_of(distill("runs", "--json", workspace=workspace)):
        result = json_of(distill("show", run["run"], "--json", workspace=workspace))["result"]
        graded[run["selector"]] = result["counts"]["selected by graded answer"]
    assert graded["quality"] == {"correct": 16}
    assert graded["random"]["wrong"] >= 3


def test_the_adapter_is_one_that_peft_loads(matrix: tuple[Path, list[dict]], smollm: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    workspace, _ = matrix
    adapter = next(workspace.glob("artifacts/train/*/adapter"))
    assert {path.name for path in adapter.iterdir()} >= {"adapter_model.safetensors", "adapter_config.json"}
    base = AutoModelForCausalLM.from_pretrained(smollm)
    model = PeftModel.from_pretrained(base, adapter)
    changed = [value for name, value in model.named_parameters() if "lora_B" in name and value.abs().max() > 0]
    assert len(changed) == 30 * 7, "all linear layers of all thirty blocks"


def test_every_sample_is_stored_with_its_end(matrix: tuple[Path, list[dict]]) -> None:
    from distill_app.records import Sample
    from distill_app.store import rows

    workspace, _ = matrix
    files = list(workspace.glob("artifacts/evaluate/*/samples.parquet"))
    assert len(files) == 3
    seeds = []
    for file in files:
        samples = rows.read(file, Sample)
        assert len(samples) == 16
        assert {row.finish_reason for row in samples} <= {"stop", "length"}
        assert all(row.tokens == 32 for row in samples if row.finish_reason == "length")
        seeds.append([(row.problem_id, row.sample, row.seed) for row in samples])
    assert seeds[0] == seeds[1] == seeds[2], "all arms answer the same questions with the same seeds"


@pytest.mark.usefixtures("smollm")
def test_gsm8k_from_files(tmp_path: Path) -> None:
    train, test = (SHARED / "benchmarks" / name for name in ("gsm8k_train.jsonl.gz", "gsm8k_test.jsonl"))
    if not train.exists():
        pytest.skip("../shared/data is not here")
    changes = sets(
        f"pool.problems.dataset=jsonl:{train}",
        f"teacher.path={train}",
        f"evaluation.benchmarks.0.dataset=jsonl:{test}",
        "pool.problems.limit=40",
        "selector.top=8",
        "epochs=1",
        "evaluation.benchmarks.0.limit=3",
        "evaluation.samples=2",
        "evaluation.max_tokens=32",
    )
    done = distill("run", ROOT / "recipes" / "gsm8k_local.yaml", *changes, workspace=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = json_of(distill("show", "latest", "--json", workspace=tmp_path))
    counts = {stage["name"]: stage["counts"] for stage in shown["stages"]}
    assert counts["generate[humans/as_written]"]["problems without a trace"] == 0
    assert counts["grade[humans/as_written]"] == {"correct": 40}
    assert shown["result"]["rows"][0]["benchmark"] == "gsm8k"


def test_a_model_as_teacher_with_two_augmentations(tmp_path: Path, tiny_folder: Path) -> None:
    """The tiny random model as teacher: its traces are noise, their way through the stages is not."""
    teacher = f'{{name: tiny, backend: transformers, model: "{tiny_folder}", max_tokens: 12}}'
    keep = "keep: {correct: false, finished: false, max_tokens: 12}"
    pool = f"{keep}\naugmentation: [chain_of_thought, {{name: resample, samples: 2}}]"
    changes = {
        "{name: worked, backend: worked}": teacher,
        "keep: {correct: false}": pool,
        "limit: 48": "limit: 6",
        "name: quality, top: 12": "name: random, top: 3",
        "epochs: 2": "epochs: 1",
    }
    recipe = small(tmp_path, tiny_folder, **changes)
    done = distill("run", recipe, workspace=tmp_path / "workspace")
    assert done.returncode == 0, done.stderr
    shown = json_of(distill("show", "latest", "--json", workspace=tmp_path / "workspace"))
    counts = {stage["name"]: stage["counts"] for stage in shown["stages"]}
    assert counts["generate[tiny/chain_of_thought]"]["asked"] == 6
    assert counts["generate[tiny/resample]"]["asked"] == 12
    selection = counts["select"]
    assert (selection["traces"], counts["hygiene"]["traces"]) == (18, 18)
    assert selection["selected"] == 3
    assert selection["candidates"] + sum(n for why, n in selection.items() if why.startswith("left out")) == 18
    tokens = {stage["name"]: stage["tokens"] for stage in shown["stages"] if stage["name"].startswith("tokens")}
    assert set(tokens) == {"tokens[tiny/chain_of_thought]", "tokens[tiny/resample]"}
    assert all(tokens.values())


def test_two_runs_are_compared_by_problem(matrix: tuple[Path, list[dict]]) -> None:
    workspace, _ = matrix
    runs = {run["selector"]: run["run"] for run in json_of(distill("runs", "--json", workspace=workspace))}
    found = json_of(distill("compare", runs["quality"], runs["random"], "base", "--json", workspace=workspace))
    board = json_of(distill("leaderboard", "--json", workspace=workspace))
    scores = {row["selector"]: row["score"] for row in board if row["metric"] == "avg@4"}
    (first, *_) = found["pairs"]
    assert first["difference"] == pytest.approx(scores["quality"] - scores["random"])
    assert first["wins"] + first["losses"] + first["ties"] == first["n_problems"] == 4
    assert len(found["pairs"]) == 3
    assert "selector.name" in {row["name"] for row in found["settings"]}
    text = distill("compare", runs["quality"], runs["random"], workspace=workspace).stdout
    assert max(map(len, text.splitlines())) <= 100
    assert "not distinguishable" in text or "better" in text or "worse" in text
    alone = distill("compare", runs["quality"], workspace=workspace)
    assert (alone.returncode, "Traceback" in alone.stderr) == (2, False)


def test_stored_answers_are_graded_again_without_generating(matrix: tuple[Path, list[dict]]) -> None:
    workspace, _ = matrix
    before = json_of(distill("show", "latest", "--json", workspace=workspace))
    (graded,) = [
        path.parent
        for path in workspace.glob("artifacts/grade/*/manifest.json")
        if '"grade[trained' in path.read_text() and path.parent.name in Path(before["folder"], "lock.json").read_text()
    ]
    verdicts = rows.read(graded / "verdicts.parquet", Verdict)
    other = "wrong" if verdicts[0].verdict == "correct" else "correct"
    store = Store(workspace)
    manifest = store.manifest("grade", graded.name)
    partial = graded.rename(store.folder("grade", graded.name).with_name(f"{graded.name}.partial"))
    rows.write(partial / "verdicts.parquet", Verdict, [replace(verdicts[0], verdict=other), *verdicts[1:]])
    torn = partial.rename(graded)
    refused = distill("regrade", "latest", workspace=workspace)
    assert refused.returncode == 2
    assert f"grade artifact {graded.name} of run" in refused.stderr
    assert "verdicts.parquet differs from its hash" in refused.stderr or "bytes, its manifest says" in refused.stderr
    # As if the rules of an earlier version had said otherwise.
    torn.rename(partial)
    store.finish("grade", graded.name, manifest)
    done = distill("regrade", "latest", "--seconds", "7", workspace=workspace)
    assert done.returncode == 0, done.stderr
    assert "32 answers graded again, 1 verdicts changed." in done.stdout
    assert f"{other} -> {verdicts[0].verdict}: 1" in done.stdout
    after = json_of(distill("show", "latest", "--json", workspace=workspace))
    events = [json.loads(line) for line in (Path(after["folder"]) / "events.jsonl").read_text().splitlines()]
    made = [event["stage"] for event in events if event["type"] == "stage_started"]
    assert made[-3:] == ["grade[base word_problems]", "grade[trained word_problems]", "report"]
    assert sum(name.startswith("evaluate[") for name in made) <= 2
    for event in events:
        jsonschema.validate(event, json.loads((ROOT / "schemas" / "event.schema.json").read_text()))
    was, now = before["result"], after["result"]
    assert [row["score"] for row in now["rows"]] == [row["score"] for row in was["rows"]]
    assert (Path(after["folder"]) / "result.before_regrade.json").exists()
    again = distill("regrade", "latest", "--seconds", "7", workspace=workspace)
    assert "stage_started" not in again.stdout
    assert "0 verdicts changed" in again.stdout
