from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from distill_app.errors import StageError, UsageError
from distill_app.students.locate import fetch, locate

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def own(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tiny model to spoil, and a cache of hashes of its own."""
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(tiny, tmp_path / "model"))


def test_a_folder_is_known_by_its_content(own: Path, tmp_path: Path) -> None:
    found = locate(str(own), None)
    # 49152 x 64 embeddings, tied; a layer: q 64x64, k and v 32x64, o 64x64, three of 64x128, two norms; a last norm.
    layer = 64 * 64 + 2 * 32 * 64 + 64 * 64 + 3 * 64 * 128 + 2 * 64
    assert found.parameters == 49152 * 64 + 2 * layer + 64
    assert found.folder == own
    assert not found.hub
    assert fetch(found, print) == own
    elsewhere = shutil.copytree(own, tmp_path / "another-name")
    assert locate(str(elsewhere), None).content_id == found.content_id
    (elsewhere / "README.md").write_text("not part of the model")
    assert locate(str(elsewhere), None).content_id == found.content_id


@pytest.mark.parametrize("name", ["model.safetensors", "chat_template.jinja", "tokenizer.json", "config.json"])
def test_one_changed_byte_changes_the_content_id(own: Path, name: str) -> None:
    before = locate(str(own), None).content_id
    data = bytearray((own / name).read_bytes())
    place = data.rindex(b" ") if name != "model.safetensors" else len(data) - 1
    data[place] ^= 1 if name == "model.safetensors" else ord(" ") ^ ord("\n")
    (own / name).write_bytes(data)
    assert locate(str(own), None).content_id != before


def test_hashes_are_remembered_until_the_file_changes(own: Path, tmp_path: Path) -> None:
    for file in own.iterdir():
        os.utime(file, (1_000_000_000, 1_000_000_000))
    first = locate(str(own), None).content_id
    store = tmp_path / "cache" / "hashes.json"
    remembered = json.loads(store.read_text())
    weights = str(own / "model.safetensors")
    assert remembered[weights][0] == (own / "model.safetensors").stat().st_size
    remembered[weights][2] = "0" * 64
    store.write_text(json.dumps(remembered))
    second = locate(str(own), None).content_id
    assert second != first, "the remembered hash was not used"
    os.utime(weights, (1_000_000_001, 1_000_000_001))
    assert locate(str(own), None).content_id == first
    store.write_text("{ cut off")
    assert locate(str(own), None).content_id == first


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no weights in safetensors form"),
        (lambda folder: os.truncate(folder / "model.safetensors", 5000), "damaged or cut-off model.safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "damaged or cut-off"),
    ],
)
def test_a_folder_that_lacks_something_says_what(own: Path, spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    spoil(own)
    with pytest.raises(UsageError, match=message):
        locate(str(own), None)


def test_a_shard_that_is_missing_is_named(own: Path) -> None:
    (own / "model.safetensors").rename(own / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (own / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UsageError, match=r"lacks model-00002-of-00002\.safetensors"):
        locate(str(own), None)


def test_an_adapter_is_not_taken_for_a_model(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UsageError, match="holds an adapter"):
        locate(str(tmp_path), None)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no model folder"):
        locate(str(tmp_path / "nothing"), None)


def test_a_builtin_is_known_before_it_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path))
    found = locate("builtin:smollm2-135m-instruct", None)
    assert found.folder is None
    assert found.parameters == 134_515_008
    assert "b179c9523d0e" in found.content_id
    with pytest.raises(UsageError, match="Did you mean"):
        locate("builtin:smollm2", None)


def test_the_builtins_parameters_are_counted_right(smollm: Path) -> None:
    assert locate(str(smollm), None).parameters == locate("builtin:smollm2-135m-instruct", None).parameters


@pytest.fixture
def hub(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache that holds org/tiny, and no hub in reach."""
    from huggingface_hub import constants

    repository = tmp_path / "hub" / "models--org--tiny"
    shutil.copytree(tiny, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return repository


def test_a_hub_id_is_found_in_the_local_cache(hub: Path) -> None:
    found = locate("org/tiny", None)
    assert found.content_id == f"hub:org/tiny@{COMMIT}"
    assert (found.hub, found.commit, found.folder) == (True, COMMIT, hub / "snapshots" / COMMIT)
    assert found.parameters == 3219776
    assert locate("org/tiny", COMMIT) == found


@pytest.mark.usefixtures("hub")
def test_a_full_commit_needs_no_hub() -> None:
    found = locate("org/large", "f" * 40)
    assert found.content_id == "hub:org/large@" + "f" * 40
    assert (found.folder, found.parameters) == (None, None)


@pytest.mark.usefixtures("hub")
def test_a_hub_out_of_reach_says_what_would_serve() -> None:
    with pytest.raises(UsageError) as caught:
        locate("org/unknown", None)
    assert "org/unknown is no folder here" in caught.value.message
    for way in ("a folder", "builtin:smollm2-135m-instruct", "hf download org/unknown"):
        assert way in caught.value.hint
    with pytest.raises(UsageError):
        locate("org/tiny", "v2")


@pytest.mark.usefixtures("hub")
def test_a_download_out_of_reach_says_so() -> None:
    with pytest.raises(StageError, match="org/large could not be downloaded"):
        fetch(locate("org/large", "f" * 40), print)


def test_locating_imports_no_torch(own: Path) -> None:
    code = (
        "import sys; from distill_app.students.locate import locate; "
        f"locate({str(own)!r}, None); locate('builtin:smollm2-135m-instruct', None); "
        "import distill_app.teachers.transformers; "
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
