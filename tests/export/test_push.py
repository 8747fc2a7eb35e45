"""Pushing, against a hub on loopback: what is asked first, what arrives, what is said when it fails."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi, ModelCard

from distill_app.errors import StageError, UsageError
from distill_app.export import push
from distill_app.export.push import Target
from tests.export import fake_hub
from tests.export.fake_hub import TOKEN, FakeHub

CARD = "---\nlibrary_name: peft\n---\n\n# A student\n"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    # One commit over plain HTTP: Xet's own protocol is the library's business and no fake is made of it.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with fake_hub.running() as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "model"
    found.mkdir()
    (found / "README.md").write_text(CARD)
    (found / "adapter_model.safetensors").write_bytes(bytes(range(256)))
    return found


def api(hub: FakeHub, token: str = TOKEN) -> HfApi:
    return HfApi(endpoint=hub.address, token=token)


def send(hub: FakeHub, folder: Path, target: Target, *, public: bool = False, replace: bool = False) -> str:
    found = push.check(api(hub), target, replace=replace)
    return push.push(api(hub), folder, found, public=public, replace=replace, message="A test", say=print)


def test_everything_arrives_in_a_private_repository(hub: FakeHub, folder: Path) -> None:
    address = send(hub, folder, Target("student", "model"))
    assert address == f"{hub.address}/me/student"
    files = hub.repos["model me/student"]
    assert set(files) == {".gitattributes", "README.md", "adapter_model.safetensors"}
    assert files["adapter_model.safetensors"] == bytes(range(256))
    assert ModelCard(files["README.md"].decode()).data.library_name == "peft"
    assert hub.private == {"model me/student": True}


def test_public_and_a_dataset_where_it_is_said(hub: FakeHub, folder: Path) -> None:
    send(hub, folder, Target("team/rows", "dataset"), public=True)
    assert hub.private == {"dataset team/rows": False}


def test_asking_changes_nothing(hub: FakeHub) -> None:
    assert push.check(api(hub), Target("student", "model"), replace=False) == Target("me/student", "model")
    assert hub.repos == {}
    assert all(line.startswith("GET ") for line in hub.asked)


def test_a_repository_that_holds_files_is_covered_only_with_consent(hub: FakeHub, folder: Path) -> None:
    hub.repos["model me/student"] = {".gitattributes": b"", "README.md": b"old", "pytorch_model.bin": b"old"}
    with pytest.raises(UsageError, match=r"me/student holds 2 files already \(README.md, pytorch_model.bin\).*--force"):
        send(hub, folder, Target("me/student", "model"))
    assert hub.repos["model me/student"]["README.md"] == b"old"
    send(hub, folder, Target("me/student", "model"), replace=True)
    assert set(hub.repos["model me/student"]) == {".gitattributes", "README.md", "adapter_model.safetensors"}
    assert hub.repos["model me/student"]["README.md"] == CARD.encode()


def test_a_token_the_hub_does_not_know_is_refused_and_not_told(hub: FakeHub) -> None:
    with pytest.raises(UsageError, match=r"refuses the token.*hf auth login") as caught:
        push.check(api(hub, "hf_other_secret"), Target("student", "model"), replace=False)
    assert "hf_other_secret" not in str(caught.value)


def test_a_name_no_repository_can_have(hub: FakeHub) -> None:
    for name in ("a/b/c", "two words", "..", ""):
        with pytest.raises(UsageError, match="No repository can be called"):
            push.check(api(hub), Target(name, "model"), replace=False)
    assert hub.asked == []


def test_a_hub_that_is_not_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = HfApi(endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}", token=TOKEN)
        with pytest.raises(UsageError, match=r"cannot be reached .*Nothing was exported. Without --push"):
            push.check(nowhere, Target("student", "model"), replace=False)


def test_a_hub_that_fails_on_the_way_leaves_the_folder_and_says_how_to_go_on(hub: FakeHub, folder: Path) -> None:
    hub.fails_at = "/preupload/"
    with pytest.raises(StageError, match=r"status 403.*`hf upload me/student .*model --repo-type model` sends it"):
        send(hub, folder, Target("me/student", "model"))
    assert (folder / "README.md").read_text() == CARD


def test_without_a_token_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(UsageError, match=r"needs a token.*Without --push the export stays here") as caught:
        push.api()
    assert caught.value.exit_code == 2
