"""The recipes a page can open and write: ready-made ones, those of the workspace, the copies that runs keep.

Names come from visitors: each is held against a pattern before it becomes part of a path, and what it leads to must
lie in the workspace. The editor knows but one sort of line end, and Gradio gives it texts without the white space
around them, so what a file had is remembered beside its text.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from distill_app.errors import DistillError, UsageError
from distill_app.recipe import bundled, load, nodes
from distill_app.recipe.load import LARGEST_BYTES
from distill_app.store import runs
from distill_app.store.files import write_atomic

from . import edit

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
SUFFIX = ".yaml"
FIRST = "quickstart"

Kind = Literal["ready-made", "workspace", "run", "new"]


@dataclass(frozen=True, slots=True)
class Opened:
    """What is in the editor: which recipe, what its file has that the editor's text has not, the file's digest.

    `crlf`: lines end in CR LF; `head` and `tail`: the white space (and byte order mark) before and after the text.
    `digest` is "" for what has no file of its own in the workspace.
    """

    kind: Kind
    name: str
    crlf: bool = False
    head: str = ""
    tail: str = "\n"
    digest: str = ""

    def as_text(self) -> str:
        """For the page to keep."""
        return json.dumps(asdict(self))


def recalled(kept: str) -> Opened:
    """What `as_text` wrote; a new recipe for anything else."""
    try:
        return Opened(**json.loads(kept))
    except (ValueError, TypeError):
        return Opened("new", "")


def folder(root: Path) -> Path:
    """Where the workspace keeps its recipes."""
    return root / "recipes"


def own_names(root: Path) -> list[str]:
    """The workspace's recipes by name, sorted."""
    found = folder(root).glob(f"*{SUFFIX}")
    return sorted(path.stem for path in found if NAME.fullmatch(path.stem) and path.is_file())


def choices(root: Path) -> list[tuple[str, str]]:
    """Label and value of every recipe that can be opened, the workspace's first."""
    own = [(f"{name} (workspace)", f"workspace/{name}") for name in own_names(root)]
    return own + [(f"{name} (ready-made)", f"ready-made/{name}") for name in bundled.names()]


def open_recipe(root: Path, asked: str) -> tuple[str, Opened]:
    """The text of `workspace/NAME`, `ready-made/NAME`, `run/ID`, or of a plain NAME (the workspace's first), for an
    editor. Raises `UsageError`.

    Paths of data files beside a ready-made recipe come out absolute, so that it can be changed and run from here.
    """
    kind, slash, name = asked.partition("/")
    if slash and kind == "run":
        return _of_run(root, name)
    if (slash and kind == "workspace") or (not slash and asked in own_names(root)):
        name = name if slash else asked
        path = _inside(root, name)
        if not path.is_file():
            raise UsageError(f"There is no recipe {name} in this workspace.", "Choose one from the list.")
        return _decoded("workspace", name, path.read_bytes())
    name = asked.removeprefix("ready-made/")
    source = bundled.find(name)
    if source is None:
        raise UsageError(f"There is no recipe {asked[:70]!r}.", "Choose one from the list.")
    text, opened = _decoded("ready-made", name, _with_data_beside(source).encode())
    return text, replace(opened, digest="")


def restored(text: str, opened: Opened) -> str:
    """The editor's text as its file has it: line ends, and the white space around it where it has none of its own."""
    text = text if text[:1].isspace() else opened.head + text
    text = text if text[-1:].isspace() else text + opened.tail
    return text.replace("\n", "\r\n") if opened.crlf else text


def save(root: Path, text: str, opened: Opened, name: str) -> Opened:
    """Write the editor's text to the workspace's recipe `name`, and say what is opened now.

    Raises `UsageError` for a name that is not valid, a text too large, and a file that is not what was opened: another
    recipe of that name, or one that was changed elsewhere meanwhile.
    """
    content = restored(text, opened).encode()
    if len(content) > LARGEST_BYTES:
        raise UsageError(f"The recipe is larger than {LARGEST_BYTES // 1024} KB.", "Data sets are named by path.")
    path = _inside(root, name)
    same = opened.kind == "workspace" and opened.name == name
    if path.exists() and path.read_bytes() != content:
        if not same:
            raise UsageError(f"There is a recipe {name} in the workspace already.", "Take another name.")
        if _digest(path.read_bytes()) != opened.digest:
            raise UsageError(
                f"{name} was changed elsewhere since it was opened here.", "Save under another name, or open it again."
            )
    folder(root).mkdir(parents=True, exist_ok=True)
    write_atomic(path, content.decode())
    return replace(opened, kind="workspace", name=name, digest=_digest(content))


def duplicate(root: Path, text: str, opened: Opened, name: str) -> tuple[str, Opened]:
    """Save the editor's text as a new recipe `name`, its `name:` changed with it. Raises as `save` does, and for a
    recipe that is there already."""
    path = _inside(root, name)
    if path.exists():
        raise UsageError(f"There is a recipe {name} in the workspace already.", "Take another name.")
    text = edit.set_value(text, ("name",), name)
    return text, save(root, text, replace(opened, kind="new", name=""), name)


def imported(root: Path, file: Path) -> tuple[str, Opened]:
    """An uploaded file as text for the editor; nothing is written before it is saved. Raises `UsageError`."""
    if file.stat().st_size > LARGEST_BYTES:
        raise UsageError(f"The file is larger than {LARGEST_BYTES // 1024} KB, so it is hardly a recipe.")
    text, opened = _decoded("new", "", file.read_bytes())
    return text, replace(opened, name=free_name(root, file.stem))


def free_name(root: Path, wanted: str) -> str:
    """The valid name nearest to `wanted` that no recipe of the workspace has."""
    from distill_app.recipe.validate import valid_name

    base, taken = valid_name(wanted), set(own_names(root))
    numbered = (f"{base[:60]}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (base, *numbered) if name not in taken)


def _of_run(root: Path, run_id: str) -> tuple[str, Opened]:
    if not runs.RUN_ID.match(run_id):
        raise UsageError("That is no run's id.")
    path = root / "runs" / run_id / "recipe.yaml"
    if not path.is_file():
        raise UsageError(f"There is no run {run_id} in this workspace.")
    return _decoded("run", run_id, path.read_bytes())


def _inside(root: Path, name: str) -> Path:
    """The file of the workspace's recipe `name`: never a link, never elsewhere."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name[:70]!r} cannot be a recipe's name.",
            "Names have up to 64 lower-case letters, digits, dots, dashes and underscores, and start with a letter or "
            "digit.",
        )
    path = folder(root) / f"{name}{SUFFIX}"
    if path.is_symlink() or os.path.realpath(path.parent) != os.path.realpath(root / "recipes"):
        raise UsageError(f"{name} is a link to another place, which the page neither reads nor writes.")
    return path


def _decoded(kind: Kind, name: str, content: bytes) -> tuple[str, Opened]:
    if len(content) > LARGEST_BYTES:
        raise UsageError(f"{name} is larger than {LARGEST_BYTES // 1024} KB, so it is hardly a recipe.")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"The file is not UTF-8 text (byte {error.start + 1}).", "Save it as UTF-8.") from None
    crlf = "\r\n" in text and "\n" not in text.replace("\r\n", "")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    bare = text.removeprefix("\ufeff").strip()
    head, _, tail = text.partition(bare) if bare else ("", "", "\n")
    return bare, Opened(kind, name, crlf, head, tail, _digest(content))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _with_data_beside(source: Path) -> str:
    """A ready-made recipe with the paths of the files that lie beside it made absolute; else as it stands."""
    text = source.read_text(encoding="utf-8")
    try:
        tree = load.read(source)
    except DistillError:
        return text
    for path, node in nodes.walk(tree.root):
        if path == ("extends",) or not isinstance(node.value, str):
            continue
        kind, colon, place = node.value.rpartition(":")
        if not os.path.isabs(place) and place.endswith((".jsonl", ".jsonl.gz", ".parquet", ".json")):
            target = source.parent / place
            if target.is_file():
                text = edit.set_value(text, path, f"{kind}{colon}{target}")
    return text
