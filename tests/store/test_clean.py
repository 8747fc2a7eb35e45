"""`clean` lists what nothing refers to, and removes no more than that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import pytest

from distill_app.store import clean, runs
from distill_app.store.artifacts import Store
from distill_app.store.files import locked, locked_now
from distill_app.store.runs import EventLog, Run
from tests.recipes import ROOT, distill, json_of

USED, LEFT, OTHER = "0" * 16, "1" * 16, "2" * 16
LONG_AGO = time.time() - 100_000


def artifact(root: Path, kind: str, fingerprint: str, inputs: dict[str, list[str]] | None = None) -> Path:
    store = Store(root)
    with store.lock(kind, fingerprint, pytest.fail):
        (store.partial(kind, fingerprint) / "data").write_bytes(bytes(1000))
        return store.finish(kind, fingerprint, {"inputs": inputs or {}}).folder


def run_of(root: Path, **stages: str) -> Run:
    """A run that has begun and refers to one artifact a kind."""
    listed = [{"name": kind, "kind": kind, "fingerprint": print_} for kind, print_ in stages.items()]
    run = runs.create(root, "name: x\n", "name: x\n", {"plan": "p", "stages": listed})
    log = EventLog(run.events_path)
    log.append({"type": "run_started", "run": run.id, "stages": []})
    log.close()
    return run


def written(path: Path, content: str = "x", *, old: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    if old:
        os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def listed(root: Path) -> dict[str, str]:
    return {item.path: item.what for item in clean.clean(root, remove=False).items}


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process holds the lock on this file."""
    code = (
        "import sys, time; from pathlib import Path; from distill_app.store.files import locked\n"
        "with locked(Path(sys.argv[1])):\n print('held', flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    try:
        yield
    finally:
        holder.kill()
        holder.communicate()


def test_artifacts_locks_and_work_left_behind(tmp_path: Path) -> None:
    run_of(tmp_path, train=USED, select=OTHER)
    used, left = artifact(tmp_path, "train", USED), artifact(tmp_path, "train", LEFT)
    (used.with_name(f"{USED}.damaged-1") / "sub").mkdir(parents=True)
    (used.with_name(f"{USED}.damaged-1") / "sub" / "data").write_bytes(bytes(500))
    written(used.with_name(f"{USED}.partial") / "work" / "rows.jsonl")
    going_on = written(tmp_path / f"artifacts/select/{OTHER}.partial/work/rows.jsonl")
    written(tmp_path / f"artifacts/select/{LEFT}.partial/work/rows.jsonl")
    written(tmp_path / "artifacts/train/notes.txt", "somebody's own")

    found = clean.clean(tmp_path, remove=False)
    size = sum(path.stat().st_size for path in left.iterdir())
    assert {item.path: (item.what, item.bytes) for item in found.items} == {
        f"artifacts/train/{USED}.damaged-1": ("damaged artifact", 500),
        f"artifacts/train/{USED}.partial": ("unfinished work", 1),
        f"artifacts/train/{LEFT}": ("artifact", size),
        f"artifacts/select/{LEFT}.partial": ("unfinished work", 1),
        f"locks/train-{LEFT}": ("lock", 0),
    }
    assert found.bytes == size + 502
    assert "5 left over" in clean.as_text(found)
    assert left.exists(), "only listed"

    told = json_of(distill("clean", "--json", "--remove", workspace=tmp_path))
    jsonschema.validate(told, json.loads((ROOT / "schemas" / "clean.schema.json").read_text()))
    assert (told["removed"], told["bytes"], len(told["items"])) == (True, found.bytes, 5)
    assert listed(tmp_path) == {}
    assert Store(tmp_path).find("train", USED, pytest.fail)
    assert going_on.exists()
    assert sorted(path.name for path in (tmp_path / "artifacts").rglob("*") if path.parent.name == "train") == [
        USED,
        "notes.txt",
    ]
    assert [path.name for path in (tmp_path / "locks").iterdir()] == [f"train-{USED}"]
    assert distill("clean", workspace=tmp_path).stdout == f"Nothing in {tmp_path} is left over.\n"


def test_what_a_living_process_holds_stays(tmp_path: Path) -> None:
    left = artifact(tmp_path, "train", LEFT)
    found = clean.clean(tmp_path, remove=False)
    with held(tmp_path / "locks" / f"train-{LEFT}"):
        now = clean.clean(tmp_path, remove=True)
        assert (now.items, now.kept) == ((), (f"artifacts/train/{LEFT} is being worked on.",))
        # Also where it was taken between the look and the removal.
        said: list[str] = []
        removed = [clean._remove(tmp_path, item, clean.Referrers(tmp_path), said.append) for item in found.items]
        assert removed == [False, False]
        assert said[0] == f"artifacts/train/{LEFT} is being worked on."
    assert left.exists()
    assert len(clean.clean(tmp_path, remove=True).items) == 2


def test_a_run_that_starts_between_the_look_and_the_removal(tmp_path: Path) -> None:
    left = artifact(tmp_path, "train", LEFT)
    found = clean.clean(tmp_path, remove=False)
    referrers = clean.Referrers(tmp_path)
    assert not referrers.now().prints
    run_of(tmp_path, train=LEFT)
    assert not [item for item in found.items if clean._remove(tmp_path, item, referrers, lambda _: None)]
    assert left.exists()


def test_what_regrading_and_tools_refer_to(tmp_path: Path) -> None:
    """Their artifacts stand in no run's list of stages: while they are made, and after."""
    run = run_of(tmp_path, train=USED)
    report = artifact(tmp_path, "report", OTHER, {"base_verdicts": [LEFT]})
    grade = artifact(tmp_path, "grade", LEFT)
    problems = artifact(tmp_path, "problems", "3" * 16)
    assert len(listed(tmp_path)) == 6
    log = EventLog(run.events_path)
    log.append({"type": "regrade_started", "run": run.id, "stages": []})
    log.close()
    assert len(listed(tmp_path)) == 6, "it died"
    with held(run.lock_path):
        assert set(listed(tmp_path).values()) == {"artifact", "lock"}
        assert list(listed(tmp_path)) == [f"artifacts/problems/{'3' * 16}", f"locks/problems-{'3' * 16}"]
    (run.folder / "lock.json").write_text(json.dumps({**run.lock_record(), "regraded": OTHER}))
    assert list(listed(tmp_path)) == [f"artifacts/problems/{'3' * 16}", f"locks/problems-{'3' * 16}"]
    tool = tmp_path / "tools" / f"skill_tree-{'4' * 16}"
    tool.mkdir(parents=True)
    with held(tool / "lock"):
        assert listed(tmp_path) == {}
    artifact(tmp_path, "skill_tree", "4" * 16, {"problems": ["3" * 16]})
    assert clean.clean(tmp_path, remove=True).items == ()
    assert all(path.exists() for path in (report, grade, problems))


def test_links_are_neither_followed_nor_removed(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "workspace"
    mine = written(outside / "mine" / "data", "not the workspace's")
    kept = artifact(outside, "train", LEFT)
    (root / "artifacts").mkdir(parents=True)
    links = {
        f"artifacts/train/{LEFT}": outside / "mine",
        f"artifacts/train/{OTHER}.damaged-1": outside / "mine",
        "artifacts/evaluate": outside / "artifacts" / "train",
        f"locks/train-{LEFT}": mine,
        "jobs/000001": outside / "mine",
        "recipes/.run-000009": mine,
        "uploads": outside,
        f"runs/.20260101-000000-{'a' * 6}.new": outside / "mine",
    }
    for name, target in links.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)
    inside = artifact(root, "grade", LEFT)
    (inside / "link").symlink_to(outside / "mine", target_is_directory=True)
    (inside / "work").symlink_to(outside / "mine", target_is_directory=True)
    now = clean.clean(root, remove=True)
    assert {item.path for item in now.items} == {f"artifacts/grade/{LEFT}", f"locks/grade-{LEFT}"}
    assert "uploads is a link and is not followed." in now.kept
    assert f"train/{LEFT} is a link and is left alone." in now.kept
    assert mine.read_text() == "not the workspace's"
    assert (kept / "data").exists()
    assert all((root / name).is_symlink() for name in links)
    assert not inside.exists()


def test_a_folder_of_locks_that_leads_elsewhere(tmp_path: Path) -> None:
    root, outside = tmp_path / "workspace", tmp_path / "outside"
    left = artifact(root, "train", LEFT)
    (root / "locks").rename(outside)
    (root / "locks").symlink_to(outside)
    now = clean.clean(root, remove=True)
    assert now.items == ()
    assert any("links are not followed" in sentence for sentence in now.kept)
    assert left.exists()


def test_a_workspace_that_is_reached_by_a_link(tmp_path: Path) -> None:
    artifact(tmp_path / "real", "train", LEFT)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert len(clean.clean(tmp_path / "link", remove=True).items) == 2


def test_what_the_web_page_leaves(tmp_path: Path) -> None:
    """Jobs 1 to 5: ended, begun and lost, waiting in line and lost, ended with job 1's recipe again, the newest."""
    jobs = tmp_path / "jobs"
    for number in range(1, 6):
        recipe = tmp_path / "recipes" / f".run-{1 if number == 4 else number:06d}"
        written(jobs / f"{number:06d}" / "job.json", json.dumps({"command": [str(recipe)]}))
        written(recipe, "name: x\n")
    written(jobs / "line.lock", "")
    for number in (1, 2, 5):
        written(jobs / f"{number:06d}" / "began")
    for number in (1, 5):
        written(jobs / f"{number:06d}" / "ended.json", "{}")
    written(tmp_path / "recipes" / "mine.yaml", "path: uploads/abc/traces.jsonl\n")
    written(tmp_path / "recipes" / ".text-0123", "name: x\n")
    written(tmp_path / "recipes" / ".text-4567", "name: x\n", old=False)
    for name in ("abc", "def"):
        written(tmp_path / "uploads" / name / "traces.jsonl", "12345")
        os.utime(tmp_path / "uploads" / name, (LONG_AGO, LONG_AGO))
    written(tmp_path / "uploads" / "new" / "traces.jsonl", old=False)
    written(tmp_path / "recipes" / ".mine.yaml.123.tmp")
    died = tmp_path / "runs" / ".20260101-000000-abcdef.new"
    written(died / "recipe.yaml")
    os.utime(died, (LONG_AGO, LONG_AGO))
    expected = {
        "runs/.20260101-000000-abcdef.new": "run that never began",
        "jobs/000001": "job that has ended",
        "jobs/000002": "job that has ended",
        "recipes/.run-000002": "recipe of a job that has ended",
        "recipes/.text-0123": "recipe put aside",
        "uploads/def": "upload",
        "recipes/.mine.yaml.123.tmp": "half-written file",
    }
    assert listed(tmp_path) == expected, "job 4 still waits with the recipe of job 1"
    with held(jobs / "000002" / "lock"):
        assert set(expected) - set(listed(tmp_path)) == {"jobs/000002", "recipes/.run-000002"}
    with held(jobs / "line.lock"):
        now = clean.clean(tmp_path, remove=True)
        assert "jobs/000001 is being worked on." in now.kept
        assert (jobs / "000001").exists()
    assert {item.path for item in clean.clean(tmp_path, remove=True).items} == {"jobs/000001", "jobs/000002"}
    assert sorted(path.name for path in jobs.iterdir()) == ["000003", "000004", "000005", "line.lock"]
    assert (tmp_path / "recipes" / "mine.yaml").exists()


def test_a_run_that_nobody_can_read_makes_everything_count(tmp_path: Path) -> None:
    run = run_of(tmp_path, train=USED)
    artifact(tmp_path, "train", LEFT)
    for content in ("", "[]", '{"stages": [{"fingerprint": 3}]}'):
        (run.folder / "lock.json").write_text(content)
        now = clean.clean(tmp_path, remove=True)
        assert now.items == ()
        assert f"Run {run.id} has begun and its lock.json cannot be read" in now.kept[0]


def test_a_killed_removal_is_finished_by_the_next(tmp_path: Path) -> None:
    left = artifact(tmp_path, "train", LEFT)
    left.rename(left.with_name(f"{LEFT}.removed-1"))
    assert listed(tmp_path)[f"artifacts/train/{LEFT}.removed-1"] == "half-removed artifact"
    artifact(tmp_path, "train", LEFT)
    assert len(clean.clean(tmp_path, remove=True).items) == 3
    assert list((tmp_path / "artifacts" / "train").iterdir()) == []


def test_a_lock_whose_file_is_removed_is_not_held_by_two(tmp_path: Path) -> None:
    """Who waits for a lock while its file is removed locks the file that is there then."""
    path = tmp_path / "lock"
    waiter = (
        "import sys; from pathlib import Path; from distill_app.store.files import locked\n"
        "with locked(Path(sys.argv[1]), lambda: print('waiting', flush=True)):\n"
        " print('held', flush=True); sys.stdin.read()"
    )
    with locked_now(path) as mine:
        assert mine
        process = subprocess.Popen(
            [sys.executable, "-c", waiter, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        assert process.stdout.readline() == "waiting\n"
        path.unlink()
    assert process.stdout.readline() == "held\n"
    with locked_now(path) as mine:
        assert not mine, "the lock that others look at"
    process.communicate()
    with locked(path, pytest.fail):
        pass
