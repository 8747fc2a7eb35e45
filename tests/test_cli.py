"""The command line as a person or a program meets it: shapes, exit codes, and sentences instead of tracebacks."""

from __future__ import annotations

import ast
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from referencing import Registry, Resource

from distill_app.records import Trace
from distill_app.store import rows
from tests.recipes import ROOT, distill, json_of, small, start_run, without_traceback

SCHEMAS = ROOT / "schemas"


def schema(name: str) -> dict[str, object]:
    return json.loads((SCHEMAS / f"{name}.schema.json").read_text())


def check(value: object, name: str) -> None:
    """The value has the shape schemas/<name>.schema.json documents."""
    registry = Registry().with_resources(
        (str(spec["$id"]), Resource.from_contents(spec)) for spec in (schema("result"), schema(name))
    )
    jsonschema.Draft202012Validator(schema(name), registry=registry).validate(value)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> tuple[Path, Path]:
    """A workspace with one finished run of the small recipe, and the recipe."""
    folder = tmp_path_factory.mktemp("done")
    recipe = small(folder, tiny_folder)
    run = distill("run", recipe, workspace=folder / "workspace")
    assert run.returncode == 0, run.stderr
    assert "finished" in run.stdout
    assert "avg@4" in run.stdout
    return folder / "workspace", recipe


def test_validate_says_fine_or_lists_every_fault(tmp_path: Path) -> None:
    good = distill("validate", "recipes/quickstart.yaml", workspace=tmp_path)
    assert (good.returncode, good.stdout) == (0, "recipes/quickstart.yaml: fine (1 run).\n")
    assert json_of(distill("validate", "quickstart", "--json", workspace=tmp_path)) == []
    bad = tmp_path / "bad.yaml"
    text = (ROOT / "recipes" / "quickstart.yaml").read_text()
    bad.write_text(text.replace("epochs: 3", "epoch: 3").replace("samples: 8", "samples: eight"))
    said = distill("validate", bad, workspace=tmp_path)
    assert said.returncode == 2
    assert re.search(r"bad\.yaml:\d+:1: epoch: .*epochs", without_traceback(said))
    assert "2 problems found" in said.stderr
    listed = distill("validate", bad, "--json", workspace=tmp_path)
    faults = json.loads(listed.stdout)
    assert listed.returncode == 2
    assert [fault["path"] for fault in faults] == ["epoch", "evaluation.samples"]
    check(faults, "fault")


def test_plan_before_and_after_a_run(done: tuple[Path, Path], tmp_path: Path) -> None:
    workspace, recipe = done
    before = json_of(distill("plan", recipe, "--json", workspace=tmp_path))
    after = json_of(distill("plan", recipe, "--json", workspace=workspace))
    for plan in (before, after):
        check(plan, "plan")
    assert {stage["state"] for stage in before["stages"]} == {"to_run"}
    assert {stage["state"] for stage in after["stages"]} == {"cached"}
    assert [stage["fingerprint"] for stage in before["stages"]] == [stage["fingerprint"] for stage in after["stages"]]
    other = json_of(distill("plan", recipe, "--set", "selector.name=random", "--json", workspace=workspace))
    to_run = {stage["name"] for stage in other["stages"] if stage["state"] == "to_run"}
    assert to_run == {
        "select", "train", "evaluate[trained word_problems]", "grade[trained word_problems]", "report",
    }  # fmt: skip


def test_a_finished_run_costs_nothing_to_issue_again(done: tuple[Path, Path]) -> None:
    workspace, recipe = done
    again = distill("run", recipe, "--json", workspace=workspace)
    events = [json.loads(line) for line in again.stdout.splitlines()]
    assert events[-1]["status"] == "finished"
    assert set(events[-1]) == {"run", "status"}
    assert {event["type"] for event in events[:-1]} == {"run_started", "stage_cached", "run_finished"}
    assert len(json_of(distill("runs", "--json", workspace=workspace))) == 1


def test_leaderboard_runs_and_show(done: tuple[Path, Path]) -> None:
    workspace, _ = done
    board = json_of(distill("leaderboard", "--json", workspace=workspace))
    assert [row["metric"] for row in board] == ["avg@4", "pass@4", "maj@4"]
    check(board, "leaderboard")
    for row in board:
        assert row["n_problems"] == 6
        assert row["selector"] == "quality"
        assert row["gain"] == pytest.approx(row["score"] - row["base_score"])
    (run,) = json_of(distill("runs", "--json", workspace=workspace))
    assert (run["state"], run["recipe"]) == ("finished", "small")
    shown = json_of(distill("show", "latest", "--json", workspace=workspace))
    check(shown["result"], "result")
    for listing in ([run], shown):
        check(listing, "runs")
    folder = Path(shown["folder"])
    check(json.loads((folder / "lock.json").read_text()), "lock")
    kinds = set()
    for line in (folder / "events.jsonl").read_text().splitlines():
        check(json.loads(line), "event")
        kinds.add(json.loads(line)["type"])
    assert kinds >= {"run_started", "stage_started", "stage_finished", "loss", "progress", "run_finished"}
    counts = shown["result"]["counts"]
    assert counts["selection"] == {"traces": 48, "candidates": 48, "selected": 12}
    assert sum(counts["selected by the teacher's own label"].values()) == 12
    assert counts["training"]["rows"] == 12
    assert counts["training"]["steps"] == 6
    text = distill("show", run["run"][:12], workspace=workspace)
    assert "train" in text.stdout
    assert "avg@4" in text.stdout
    assert {path.name for path in folder.iterdir()} >= {
        "recipe.yaml", "resolved.yaml", "lock.json", "events.jsonl", "result.json", "report.md", "scores.png",
        "loss.png", "quality.png",
    }  # fmt: skip
    again = distill("validate", folder / "resolved.yaml", workspace=workspace)
    assert again.returncode == 0, again.stderr


def test_rendered_example_shows_the_mask(done: tuple[Path, Path]) -> None:
    workspace, _ = done
    (example,) = workspace.glob("artifacts/train/*/rendered_example.txt")
    (selected,) = workspace.glob("artifacts/select/*/selected.parquet")
    first = rows.read(selected, Trace)[0]
    lines = [line.split(maxsplit=3) for line in example.read_text().splitlines()[2:]]
    text = {
        kind: "".join(ast.literal_eval(line[3]) for line in lines if line[0].lower() == kind)
        for kind in ("prompt", "target")
    }
    assert text["target"] == first.text + "<|im_end|>"
    assert first.question in text["prompt"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["validate", "nowhere.yaml"], "nowhere.yaml"),
        (["validate", "."], "folder"),
        (["run", "quickstrat"], "quickstart"),
        (["plan", "quickstart", "--set", "selecter.name=random"], "selector"),
        (["plan", "quickstart", "--set", "student.model=builtin:smollm2"], "builtin:smollm2-135m-instruct"),
        (["show", "latest"], "There are no runs"),
        (["new", "Bad Name"], "bad-name"),
        (["new", "fine", "--from", "quickstrat"], "quickstart"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_a_wrong_call_gets_a_sentence_and_exit_code_2(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    said = distill(*arguments, workspace=tmp_path / "workspace", cwd=tmp_path)
    assert said.returncode == 2
    assert sentence in without_traceback(said)


def test_a_hub_id_without_a_hub_says_what_would_serve(tmp_path: Path) -> None:
    said = distill(
        "plan", "quickstart", "--set", "student.model=Qwen/Qwen2.5-0.5B", workspace=tmp_path,
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
    )  # fmt: skip
    assert said.returncode == 2
    assert "builtin:smollm2-135m-instruct" in without_traceback(said)


def test_a_broken_line_of_data_stops_or_is_counted(tmp_path: Path, tiny_folder: Path) -> None:
    lines = [
        json.dumps(
            {"question": f"What is {n} + 1?", "answer": str(n + 1), "solution": f"{n} + 1 = {n + 1}\nAnswer: {n + 1}"}
        )
        for n in range(8)
    ]
    lines.insert(3, '{"question": "What is 3')
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(lines) + "\n")
    changes = {
        'dataset: "builtin:word_problems", limit: 48': 'dataset: "jsonl:rows.jsonl", BAD: x',
        "{name: worked, backend: worked}": (
            "{name: t, backend: traces, path: rows.jsonl, fields: {reasoning: solution}, BAD: x}"
        ),
        "name: quality, top: 12": "name: random, top: 4",
    }
    stop = small(tmp_path, tiny_folder, **{**changes, ", BAD: x": ""})
    said = distill("run", stop, workspace=tmp_path / "workspace")
    assert said.returncode == 1
    assert "line 4" in without_traceback(said)
    skip = small(tmp_path, tiny_folder, **{**changes, "BAD: x": "bad_rows: skip"})
    assert distill("run", skip, workspace=tmp_path / "workspace").returncode == 0
    shown = json_of(distill("show", "latest", "--json", workspace=tmp_path / "workspace"))
    assert shown["stages"][0]["counts"] == {"problems": 8, "skipped": 1}


def test_an_empty_pool_stops_before_training(tmp_path: Path, tiny_folder: Path) -> None:
    mistakes = "mistakes: {wrong_operation: 1, wrong_arithmetic: 0, off_topic: 0, guess: 0}"
    changes = {"correct: false": "correct: true", "backend: worked}": f"backend: worked, {mistakes}}}"}
    recipe = small(tmp_path, tiny_folder, **changes)
    said = distill("run", recipe, workspace=tmp_path / "workspace")
    assert said.returncode == 1
    assert "None of the 48 traces is a candidate (48 wrong answer)" in without_traceback(said)
    (run,) = json_of(distill("runs", "--json", workspace=tmp_path / "workspace"))
    assert run["state"] == "failed"


def test_a_student_without_a_chat_template_is_named(tmp_path: Path, tiny_folder: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(tiny_folder, bare)
    (bare / "chat_template.jinja").unlink()
    config = json.loads((bare / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (bare / "tokenizer_config.json").write_text(json.dumps(config))
    said = distill("run", small(tmp_path, bare), workspace=tmp_path / "workspace")
    assert said.returncode == 2, "before anything runs"
    assert re.search(r"small\.yaml:4:10: student\.model: .* has no chat template", without_traceback(said))


def test_an_interrupt_leaves_a_run_that_goes_on(tmp_path: Path, tiny_folder: Path) -> None:
    recipe = small(tmp_path, tiny_folder)
    process = start_run(recipe, tmp_path / "workspace")
    assert process.stdout
    for line in process.stdout:
        event = json.loads(line)
        if event["type"] == "loss" and event["step"] == 3:
            process.send_signal(signal.SIGINT)
            break
    rest, complaint = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "issue the same command to go on" in complaint
    assert "Traceback" not in complaint
    assert json.loads(rest.splitlines()[-1])["status"] == "interrupted"
    (run,) = json_of(distill("runs", "--json", workspace=tmp_path / "workspace"))
    assert run["state"] == "interrupted"
    assert distill("run", recipe, workspace=tmp_path / "workspace").returncode == 0
    (same,) = json_of(distill("runs", "--json", workspace=tmp_path / "workspace"))
    assert (same["run"], same["state"]) == (run["run"], "finished")


def test_two_processes_share_one_run(tmp_path: Path, tiny_folder: Path) -> None:
    recipe = small(tmp_path, tiny_folder)
    both = [start_run(recipe, tmp_path / "workspace") for _ in range(2)]
    outputs = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    finished = [json.loads(line) for output in outputs for line in output.splitlines() if '"stage_finished"' in line]
    names = [event["stage"] for event in finished]
    assert len(names) == len(set(names)), "a stage was made twice"


def test_validate_and_plan_import_nothing_heavy(tmp_path: Path) -> None:
    """Speed is measured in tests/benchmarks; here only its cause is checked."""
    script = (
        "import sys\nfrom distill_app.plan import view\nfrom distill_app.recipe.resolve import load_arms\n"
        "from pathlib import Path\nview.as_text(view.estimates(load_arms('quickstart'), Path(sys.argv[1])))\n"
        "heavy = ('torch', 'transformers', 'datasets', 'pyarrow', 'scipy', 'gradio')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert said.stdout.strip() == "[]"


def test_a_matrix_on_the_command_line(tmp_path: Path, tiny_folder: Path) -> None:
    """Maps merge into the recipe's, so that `top` stays; every shared stage stands in the plan once."""
    recipe = small(tmp_path, tiny_folder)
    matrix = ["--matrix", "seed=[0, 1]", "--matrix", "selector=[{name: random}, {name: car, dynamic: true}]"]
    done = distill("validate", recipe, *matrix, workspace=tmp_path)
    assert done.stdout.endswith("fine (4 runs).\n"), done.stdout + done.stderr
    stages = json_of(distill("plan", recipe, *matrix, "--json", workspace=tmp_path))["stages"]
    kinds = [stage["name"].partition("[")[0].partition(" ")[0] for stage in stages]
    assert (kinds.count("train"), kinds.count("difficulty"), kinds.count("quality")) == (4, 1, 1)
    assert [stage["rows"] for stage in stages if stage["name"].startswith("select")] == [12] * 4
    wrong = distill("plan", recipe, "--matrix", "seed=1", workspace=tmp_path)
    assert wrong.returncode == 2
    assert "expected a list with at least one value" in without_traceback(wrong)


def test_doctor_and_schema_answer_in_json(tmp_path: Path) -> None:
    from jsonschema import Draft202012Validator

    found = json_of(distill("doctor", "--json", workspace=tmp_path))
    check(found, "doctor")
    assert {"python", "torch", "device", "memory", "workspace"} <= {check["name"] for check in found["checks"]}
    assert {recipe["recipe"] for recipe in found["recipes"]} >= {"quickstart", "random_vs_quality", "gsm8k_local"}
    Draft202012Validator.check_schema(json_of(distill("schema", workspace=tmp_path)))
