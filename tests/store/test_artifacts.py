"""An artifact is there whole or not at all; damage is noticed, named and set aside."""

from __future__ import annotations

import json
import shutil
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


def test_a_manifest_is_sealed(tmp_path: Path) -> None:
    """What a manifest says goes into reports: a digit that changed in it is damage too."""
    store = Store(tmp_path)
    path = make(store) / "manifest.json"
    whole = path.read_text()
    for change in (
        lambda text: text.replace('"rows": 1', '"rows": 7'),
        lambda text: text.replace('"seal"', '"meal"'),
        lambda text: text.replace('"format"', '"fermat"'),
        lambda text: text.replace('"seal": "', '"seal": "0'),
    ):
        path.write_text(change(whole))
        assert path.read_text() != whole
        said: list[str] = []
        assert store.find(KIND, PRINT, said.append) is None
        assert said[0].startswith("its manifest.json differs from its seal")
        make(store)
    old = {key: value for key, value in json.loads(whole).items() if key not in ("seal", "format")}
    path.write_text(json.dumps(old))
    assert store.find(KIND, PRINT, nothing), "manifests of before there was a seal"
    path.write_text(json.dumps({**old, "files": {"data.txt": 3}}))
    assert store.find(KIND, PRINT, said.append) is None
    assert said[1].startswith("its manifest.json lists no files")


def test_damage_again_is_set_aside_under_a_free_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in (1, 2):
        (make(store) / "data.txt").unlink()
        said: list[str] = []
        store.find(KIND, PRINT, said.append)
        assert f"damaged-{number}," in said[0]
    folder = store.folder(KIND, PRINT)
    shutil.rmtree(folder.with_name(f"{PRINT}.damaged-1"))
    (make(store) / "data.txt").unlink()
    store.find(KIND, PRINT, said.append)
    assert "damaged-1," in said[-1], "damaged-2 is still there"


def test_what_a_kill_leaves_around_the_renaming(tmp_path: Path) -> None:
    """A file half written by `write_atomic`, a manifest of an attempt before, and work that was not yet removed."""
    store = Store(tmp_path)
    partial = store.partial(KIND, PRINT)
    (partial / ".data.txt.12345.tmp").write_text("half")
    (partial / "manifest.json").write_text("{}")
    folder = make(store)
    assert sorted(path.name for path in folder.iterdir()) == ["data.txt", "manifest.json"]
    (folder / "work" / "checkpoints").mkdir(parents=True)
    found = store.find(KIND, PRINT, nothing)
    assert found is not None
    assert set(found.manifest["files"]) == {"data.txt"}
    assert not (folder / "work").exists()


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
