"""Models and data sets that would run code of their own, or read what is not theirs: none is loaded."""

from __future__ import annotations

import ast
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import distill_app
from distill_app.errors import StageError, UsageError
from distill_app.recipe.source_checks import READERS
from distill_app.students import own_code
from distill_app.students.locate import locate

PACKAGE = Path(distill_app.__file__).parent


class _Touch:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.fixture
def model(tiny_folder: Path, tmp_path: Path) -> Path:
    """A whole model, to be spoilt."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def settings(file: Path, **more: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **more}))


def own_model(folder: Path) -> None:
    settings(folder / "config.json", auto_map={"AutoModelForCausalLM": "own.Own", "AutoConfig": "own.Own"})


def own_tokenizer(folder: Path) -> None:
    settings(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Own", None]})


def fetched_attention(folder: Path) -> None:
    settings(folder / "config.json", attn_implementation={"": "someone/kernel"})


def weights_elsewhere(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"lm_head.weight": "../other/model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def another_model_s_adapter(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "/etc"}')


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Touch(folder.parent / "ran")))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (own_model, r"config\.json has the model run code of its own \(auto_map\)"),
        (own_tokenizer, r"tokenizer_config\.json has the model run code of its own \(auto_map\)"),
        (fetched_attention, r"has code fetched from .*someone/kernel"),
        (weights_elsewhere, r"names weights elsewhere: '\.\./other/model\.safetensors'"),
        (another_model_s_adapter, r"holds an adapter beside a model"),
        (pickled, r"as a Python pickle \(pytorch_model\.bin\).* save_pretrained"),
    ],
)
def test_a_folder_is_refused_before_anything_of_it_is_loaded(
    model: Path, spoil: Callable[[Path], None], says: str
) -> None:
    assert own_code.refusal(model) is None
    spoil(model)
    with pytest.raises(UsageError, match=says):
        locate(str(model), None)
    assert not (model.parent / "ran").exists()


def test_loading_runs_no_code_even_where_nobody_looked_first(model: Path) -> None:
    """The libraries themselves are told: were the folder changed after it was looked at, its code would not run."""
    from distill_app.students import device, load

    (model / "own.py").write_text(f"from pathlib import Path\nPath({str(model.parent / 'ran')!r}).touch()\n")
    own_model(model)
    own_tokenizer(model)
    load.load(model, device.pick("cpu", "float32"))  # its type is one that transformers has itself
    settings(model / "config.json", model_type="own", architectures=["Own"])
    with pytest.raises(ValueError, match="trust_remote_code"):
        load.load(model, device.pick("cpu", "float32"))
    pickled(model)
    with pytest.raises((OSError, ValueError)):
        load.load(model, device.pick("cpu", "float32"))
    assert not (model.parent / "ran").exists()


def test_of_a_hub_s_model_transformers_own_code_is_used(model: Path) -> None:
    """Its Python files are not fetched; an architecture that transformers lacks is refused all the same."""
    own_model(model)
    assert own_code.refusal(model, hub=True) is None
    settings(model / "config.json", model_type="not-in-transformers")
    refusal = own_code.refusal(model, hub=True)
    assert refusal is not None
    assert "runs no code that comes with a model" in refusal[0]


def test_the_code_loads_nothing_else() -> None:
    """No pickle, no torch.load, and every model and tokenizer is loaded without code of its own."""
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert not {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"} & set(names), file
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner, called = ast.unparse(node.func.value), node.func.attr
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert f"{owner}.{called}" not in ("torch.load", "np.load", "numpy.load", "datasets.load_dataset"), file
            assert given.get("trust_remote_code", "False") == "False", file
            # PEFT loads an adapter of our own training; the built-in model is a GGUF file whose hash is known.
            if called == "from_pretrained" and owner != "PeftModel" and "gguf_file" not in given:
                assert "trust_remote_code" in given, f"{file}:{node.lineno}"
            if called == "from_pretrained" and owner.startswith("AutoModel") and "gguf_file" not in given:
                assert given.get("use_safetensors") == "True", f"{file}:{node.lineno}"


def rows_of(folder: Path) -> list[Any]:
    from distill_app.problems import _hub

    return list(_hub.rows(str(folder), None, "train", None, serves="a file", stream=True))


def test_data_sets_hold_data_in_files_of_their_own(tmp_path: Path) -> None:
    """A folder stands for a repository of the hub: the library reads both in the same way."""
    plain, text, far = (tmp_path / name for name in ("plain", "text", "far"))
    for folder in (plain, text, far):
        folder.mkdir()
    (plain / "train.jsonl").write_text('{"question": "1 + 1?"}\n')
    assert rows_of(plain) == [(1, {"question": "1 + 1?"})]
    (text / "train.txt").write_text("1 + 1?\n")
    with pytest.raises(StageError, match=r"of the form 'text'; .*refs/convert/parquet"):
        rows_of(text)
    (far / "README.md").write_text(
        f"---\nconfigs:\n- config_name: default\n  data_files: {plain / 'train.jsonl'}\n---\n"
    )
    with pytest.raises(StageError, match="names a file that is not the hub's"):
        rows_of(far)
    (far / "README.md").unlink()
    (far / "far.py").write_text(f"from pathlib import Path\nPath({str(tmp_path / 'ran')!r}).touch()\n")
    with pytest.raises(StageError):
        rows_of(far)
    assert not (tmp_path / "ran").exists()


def test_the_names_of_the_library_s_readers_are_known() -> None:
    from datasets import packaged_modules

    assert set(packaged_modules._PACKAGED_DATASETS_MODULES) <= READERS
