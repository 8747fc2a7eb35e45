"""An artifact is there whole or not at all; damage is noticed, named and set aside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from distill_app.store.artifacts import Store
from distill_app.store.files import is_locked, locked

KIND, PRINT = "problems", "0123456789abcdef"


def make(store: Store) -> Path:
    folder = store.partial(KIND, PRINT)
    (folder / "data.txt").write_text("forty-two bytes of data, give or take some")
    (folder / "work").mkdir()
    (folder / "work" / "rows.jsonl").write_text("{}\n")
    return store.finish(KIND, PRINT, {"rows": 1}).folder


def nothing(why: str) -> None:
    raise AssertionError(f"called damaged: {why}")


def test_states_from_nothing_to_cached(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.state(KIND, PRINT) == "to_run"
    assert store.find(KIND, PRINT, nothing) is None
    (store.partial(KIND, PRINT) / "half").write_text("x")
    assert store.state(KIND, PRINT) == "partial"
    (store.partial(KIND, PRINT) / "half").unlink()
    make(store)
    assert store.state(KIND, PRINT) == "cached"
    found = store.find(KIND, PRINT, nothing)
    assert found is not None
    assert set(found.manifest["files"]) == {"data.txt"}
    assert not (found.folder / "work").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "data.txt").unlink(), "data.txt is missing"),
        (lambda f: (f / "data.txt").write_text("short"), "data.txt has 5 bytes, its manifest says 42"),
        (
            lambda f: (f / "data.txt").write_text("forty-two bytes of data, give or take more"),
            "data.txt differs from its hash",
        ),
        (lambda f: (f / "manifest.json").write_text('{"rows": '), "manifest.json is missing or cannot be read"),
    ],
)
def test_damage_is_named_and_set_aside(tmp_path: Path, damage, message: str) -> None:
    store = Store(tmp_path)
    damage(make(store))
    said: list[str] = []
    assert store.find(KIND, PRINT, said.append) is None
    assert message in said[0]
    assert "set aside as 0123456789abcdef.damaged-1" in said[0]
    assert store.state(KIND, PRINT) == "to_run"
    make(store)
    assert store.find(KIND, PRINT, nothing)


def test_a_lock_is_free_once_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from distill_app.store.files import locked\n"
            f"with locked(Path({str(path)!r})):\n print('held', flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    assert is_locked(path)
    holder.kill()
    holder.wait()
    assert not is_locked(path)
    waited: list[bool] = []
    with locked(path, lambda: waited.append(True)):
        assert not waited
