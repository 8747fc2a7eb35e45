"""The line of jobs: order, one run for two presses, stop, resume, and a life apart from whoever started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from distill_app.errors import RecipeError, UsageError
from distill_app.store import runs
from distill_app.ui import jobs, run_list
from tests.recipes import ROOT, environment, small
from tests.ui.conftest import PATIENCE_SECONDS, end_jobs


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty workspace; whatever was started in it is ended afterwards."""
    root = tmp_path / "workspace"
    for name, value in environment(root).items():
        monkeypatch.setenv(name, value)
    yield root
    end_jobs(root)


@pytest.fixture
def text(tmp_path: Path, tiny_folder: Path) -> str:
    """A recipe that no test here waits for the end of."""
    return small(tmp_path, tiny_folder, **{"epochs: 2": "epochs: 400"}).read_text()


def wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.05)


def begun(root: Path) -> bool:
    """Whether a run is at work and has written its first event."""
    return any(run.state() == "running" and run.events_path.exists() for run in runs.all_runs(root))


def test_one_at_a_time_in_order_and_stopped_by_name(workspace: Path, text: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, twice = pool.map(lambda _: jobs.start(workspace, text), range(2))
    assert first.number == twice.number == 1  # a double click
    others = [jobs.start(workspace, text, [f"seed={seed}"]) for seed in (1, 2)]
    assert [job.number for job in others] == [2, 3]
    assert jobs.start(workspace, text, ["seed=2"]).number == 3
    wait(lambda: begun(workspace))
    assert [job.state() for job in jobs.all_jobs(workspace)] == ["running", "waiting", "waiting"]
    listed = run_list.entries(workspace)
    assert [(entry.job, entry.state, entry.seed, entry.ahead) for entry in listed] == [
        (1, "running", 0, None), (2, "queued", 1, 1), (3, "queued", 2, 2),
    ]  # fmt: skip
    assert listed[0].run == runs.all_runs(workspace)[0].id

    assert jobs.stop(others[0])
    wait(lambda: others[0].state() == "stopped")
    assert [job.state() for job in jobs.all_jobs(workspace)] == ["running", "stopped", "waiting"]
    assert jobs.stop(first)
    wait(lambda: others[1].state() == "running")
    assert first.state() == "stopped"
    assert (first.ended() or {})["how"] == "stopped"
    assert runs.all_runs(workspace)[0].state() == "interrupted"
    assert not jobs.stop(first)
    assert [(entry.seed, entry.state) for entry in run_list.entries(workspace) if entry.run is None] in (
        [(1, "stopped")],
        [(2, "queued"), (1, "stopped")],  # the command of the third has not made its run yet
    )


def test_resume_goes_on_with_the_same_run(workspace: Path, text: str) -> None:
    job = jobs.start(workspace, text)
    wait(lambda: begun(workspace))
    (run,) = runs.all_runs(workspace)
    jobs.stop(job)
    wait(lambda: job.state() == "stopped")
    before = len(list(runs.read_events(run.events_path)))
    resumed = jobs.resume(workspace, run)
    assert resumed.number == 2
    assert jobs.resume(workspace, run).number == 2
    wait(lambda: len(list(runs.read_events(run.events_path))) > before)
    assert [found.id for found in runs.all_runs(workspace)] == [run.id]
    assert [(entry.run, entry.job) for entry in run_list.entries(workspace)] == [(run.id, 2)]


def test_a_run_of_a_terminal_is_waited_for_and_can_be_resumed(workspace: Path, text: str, tmp_path: Path) -> None:
    recipe = tmp_path / "typed.yaml"
    recipe.write_text(text)
    terminal = subprocess.Popen(
        [sys.executable, "-m", "distill_app.cli", "run", str(recipe)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait(lambda: begun(workspace))
        (run,) = runs.all_runs(workspace)
        with pytest.raises(UsageError, match="is going on already"):
            jobs.resume(workspace, run)
        other = jobs.start(workspace, text, ["seed=1"])
        assert other.state() == "waiting"
        assert [entry.state for entry in run_list.entries(workspace)] == ["running", "queued"]
    finally:
        terminal.send_signal(signal.SIGINT)
        terminal.wait()
    wait(lambda: other.state() == "running")
    jobs.stop(other)
    resumed = jobs.resume(workspace, run)
    assert resumed.command == (str(run.folder / "resolved.yaml"),)
    wait(lambda: run.state() == "running")
    assert [entry.run for entry in run_list.entries(workspace) if entry.state == "running"] == [run.id]


def test_jobs_outlive_who_started_them(workspace: Path, text: str) -> None:
    script = "import sys; from pathlib import Path; from distill_app.ui import jobs; " + (
        "[jobs.start(Path(sys.argv[1]), sys.argv[2], [f'seed={seed}']) for seed in (0, 1)]"
    )
    subprocess.run([sys.executable, "-c", script, str(workspace), text], cwd=ROOT, check=True)
    first, second = jobs.all_jobs(workspace)
    wait(lambda: begun(workspace))
    assert (first.state(), second.state()) == ("running", "waiting")

    # As if the machine went down: nobody writes how they ended.
    for job in (second, first):
        os.killpg(int((job.folder / "pid").read_text()), signal.SIGKILL)
    wait(lambda: (first.state(), second.state()) == ("lost", "lost"))
    (run,) = runs.all_runs(workspace)
    wait(lambda: run.state() == "lost")
    assert {(entry.seed, entry.state) for entry in run_list.entries(workspace)} == {(0, "lost"), (1, "lost")}
    assert [job.number for job in jobs.revive(workspace)] == [2]  # it was waiting; the other asks to be resumed
    wait(lambda: second.state() == "running")
    assert first.state() == "lost"


def test_a_matrix_is_one_job_of_several_runs(workspace: Path, text: str) -> None:
    job = jobs.start(workspace, text, ["matrix.seed=[4,5]"])
    assert [(asked.label, asked.seed) for asked in job.asked] == [("seed=4", 4), ("seed=5", 5)]
    wait(lambda: begun(workspace))
    assert [(entry.seed, entry.state, entry.job) for entry in run_list.entries(workspace)] == [
        (4, "running", 1), (5, "queued", 1),
    ]  # fmt: skip
    jobs.stop(job)
    wait(lambda: job.state() == "stopped")
    states = {entry.seed: entry.state for entry in run_list.entries(workspace)}
    assert states == {4: "interrupted", 5: "stopped"}


def test_a_wrong_recipe_starts_nothing(workspace: Path, text: str) -> None:
    wrong = text.replace("name: quality, top: 12", "name: qualty, top: 12")
    with pytest.raises(RecipeError) as caught:
        jobs.start(workspace, wrong)
    (fault,) = caught.value.faults
    line = wrong[: wrong.index("qualty")].count("\n") + 1
    assert (fault.position.file, fault.position.line) == ("recipe", line)
    assert jobs.all_jobs(workspace) == []
    assert [path.name for path in (workspace / "recipes").iterdir()] == []


def test_ready_made_recipes_keep_their_name_and_their_files(workspace: Path) -> None:
    text = (ROOT / "recipes" / "gsm8k_local.yaml").read_text()
    (arm,) = jobs.arms_of(workspace, text)
    assert arm.recipe.pool.problems.dataset == f"jsonl:{ROOT / 'recipes' / 'data' / 'train.jsonl'}"
