"""What lies in a workspace is cut, flipped or lost: it is noticed, named, set aside and made again, to the same end."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from distill_app.errors import StageError
from distill_app.reports import runs as listing
from distill_app.store import runs
from distill_app.store.artifacts import Store
from distill_app.store.runs import Run
from distill_app.students import builtin
from tests.crash.scene import Death, Whole, contents, events_of, issue, run_until
from tests.recipes import distill, json_of, without_traceback

FLIPPED_BIT = 0x10


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= FLIPPED_BIT
    path.write_bytes(raw)


def lose(path: Path) -> None:
    path.unlink()


WAYS: tuple[Callable[[Path], None], ...] = (cut, flip, lose)


def files_of(artifact: Path) -> list[Path]:
    """All of its files that hold anything."""
    return sorted(path for path in artifact.rglob("*") if path.is_file() and path.stat().st_size)


@pytest.mark.parametrize("damage", WAYS)
def test_every_file_of_every_kind(damage: Callable[[Path], None], whole: Whole, tmp_path: Path) -> None:
    """Also a flipped bit that leaves a manifest what it was, but for what it says."""
    seen = set()
    for place in set(whole.stages.values()):
        kind, fingerprint = place.split("/")
        source = whole.workspace / "artifacts" / place
        for path in files_of(source):
            store = Store(tmp_path / f"{fingerprint}-{path.name}")
            copy = store.folder(kind, fingerprint)
            shutil.copytree(source, copy)
            assert store.find(kind, fingerprint, pytest.fail), "whole as it is"
            damage(copy / path.relative_to(source))
            said: list[str] = []
            assert store.find(kind, fingerprint, said.append) is None
            assert path.relative_to(source).as_posix() in said[0]
            assert f"set aside as {fingerprint}.damaged-1, made again" in said[0]
            assert store.state(kind, fingerprint) == "to_run"
            shutil.rmtree(store.root)
            seen.add(kind)
    assert seen >= {"problems", "generate", "grade", "quality", "hygiene", "select", "train", "evaluate", "report"}


def test_everything_at_once_and_rows_of_work_in_progress(whole: Whole, tmp_path: Path) -> None:
    """One file of every artifact; and while the answers are made again, one that is on disk already."""
    workspace = tmp_path / "workspace"
    shutil.copytree(whole.workspace, workspace)
    damaged = {}
    for number, (stage, place) in enumerate(whole.stages.items()):
        files = files_of(workspace / "artifacts" / place)
        path = files[number % len(files)]
        WAYS[number % 3](path)
        damaged[stage] = path.relative_to(workspace / "artifacts" / place).as_posix()
    answers = "evaluate[trained word_problems]"
    assert run_until(Death(answers, "rows", 9), whole, workspace)
    (log,) = workspace.glob(f"artifacts/{whole.stages[answers]}.partial/work/completions.jsonl")
    first, *others = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(first.replace(b'"text": "', b'"text": "x', 1) + b"".join(others))

    done = issue(whole, workspace)
    assert done.returncode == 0, done.stderr
    assert f"finished rows in {log.name} cannot be read (line 1); taken out, made again" in " ".join(
        done.stdout.split()
    )
    told = [event for event in events_of(workspace) if event["type"] == "stage_damaged"]
    by_stage = {event["stage"]: event["why"] for event in reversed(told)}
    assert set(by_stage) == set(whole.stages)
    for stage, name in damaged.items():
        assert name in by_stage[stage]
        assert "set aside as" in by_stage[stage]
    assert contents(workspace) == contents(whole.workspace)
    left = json_of(distill("clean", "--json", workspace=workspace))["items"]
    assert [item["what"] for item in left] == ["damaged artifact"] * len(set(whole.stages.values()))


def test_the_files_of_a_run(whole: Whole, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    shutil.copytree(whole.workspace, workspace)
    (run,) = runs.all_runs(workspace)
    (run.folder / "resolved.yaml").unlink()
    cut(run.folder / "result.json")
    lines = run.events_path.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b'"type"', b'"tyqe"')
    lines[6] = b"\xff\x00" + lines[6]
    run.events_path.write_bytes(b"".join(lines) + b'{"seq": 1000, "ty')
    damage = [
        "resolved.yaml is missing; issuing its recipe again writes it.",
        "result.json is damaged; issuing its recipe again writes it.",
        "events.jsonl has damaged lines (5, 7); they are passed over.",
    ]
    assert run.damage() == damage
    (listed,) = json_of(distill("runs", "--json", workspace=workspace))
    assert (listed["damage"], listed["state"]) == (damage, "lost")
    shown = without_traceback(distill("show", "latest", workspace=workspace))
    assert all(f"Run {run.id}: {sentence}" in shown for sentence in damage)
    board = distill("leaderboard", workspace=workspace)
    assert f"Run {run.id}: result.json is damaged and left out" in without_traceback(board)
    assert board.returncode == 0
    alone = distill("compare", "latest", workspace=workspace)
    assert alone.returncode == 2
    assert "result.json is damaged" in without_traceback(alone)

    assert issue(whole, workspace).returncode == 0
    assert runs.all_runs(workspace) == [run], "the same run"
    assert run.damage() == [damage[2]], "what a log said is gone; the rest is written again"
    assert contents(workspace) == contents(whole.workspace)
    assert run.state() == "finished"


def test_a_run_without_its_lock(whole: Whole, tmp_path: Path) -> None:
    """Nobody can tell what it ran: that is said, nothing of it is touched, and the recipe gets a run of its own."""
    workspace = tmp_path / "workspace"
    shutil.copytree(whole.workspace, workspace)
    (run,) = runs.all_runs(workspace)
    for damage, what in ((flip_out, "is damaged"), (lose, "is missing")):
        damage(run.folder / "lock.json")
        sentence = f"lock.json {what}; its recipe, issued again, makes a new run of the same artifacts."
        assert listing.details(run)["damage"] == [sentence]
        cleaned = json_of(distill("clean", "--remove", "--json", workspace=workspace))
        assert cleaned["items"] == []
        assert f"Run {run.id} has begun and its lock.json cannot be read" in cleaned["kept"][0]
    done = issue(whole, workspace, "--json")
    assert done.returncode == 0, done.stderr
    assert "stage_started" not in done.stdout, "every artifact is found"
    assert len(runs.all_runs(workspace)) == 2


def flip_out(path: Path) -> None:
    """A lock that is no JSON any more."""
    path.write_bytes(path.read_bytes().replace(b'"plan"', b'"plan'))


def test_a_run_that_died_before_it_was_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "write_json", dies)
    with pytest.raises(KeyboardInterrupt):
        runs.create(tmp_path, "name: x\n", "name: x\n", {"plan": "p"})
    assert runs.all_runs(tmp_path) == []


def test_the_converted_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of the student in the cache is gone, or short: named before it is made again."""
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path))
    monkeypatch.setenv(builtin.WHEELS, str(tmp_path))
    entry = builtin.find("smollm2-135m-instruct")
    folder = builtin.folder_of(entry.name)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(100))
    receipt = {"content_id": entry.content_id, "files": {"config.json": 2, "model.safetensors": 100}}
    (folder / "distill-app.json").write_text(json.dumps(receipt))
    assert builtin.is_ready(entry.name)
    for damage, lack in (
        (lambda: cut(folder / "model.safetensors"), "has 50 bytes of model.safetensors, not 100"),
        (lambda: (folder / "model.safetensors").unlink(), "lacks model.safetensors"),
        (lambda: cut(folder / "distill-app.json"), "has no distill-app.json that can be read"),
    ):
        damage()
        said: list[str] = []
        with pytest.raises(StageError, match="is not there"):
            builtin.materialise(entry.name, said.append)
        assert said == [f"{folder} {lack}: builtin:{entry.name} is converted again."]


def test_a_log_of_finished_rows_that_nobody_mended_is_named(tmp_path: Path) -> None:
    from distill_app.records import Completion
    from distill_app.store.rows import RowLog

    (tmp_path / "rows.jsonl").write_text('{"id": "a", "text": "", "finish_reason": "stop", "tokens": 1}\n')
    with pytest.raises(StageError, match=r"Line 1 of .*rows\.jsonl is no finished row \(it has no checksum\)"):
        RowLog(tmp_path / "rows.jsonl", Completion)


def test_events_of_a_log_that_is_all_noise(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.events_path.write_bytes(Random(0).randbytes(2000) + b"\n")
    assert list(runs.read_events(run.events_path)) == []
    assert run.state() == "lost"
