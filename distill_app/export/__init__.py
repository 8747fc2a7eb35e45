"""`distill-app export`: a finished run as two folders that other people's tools load.

model/    the adapter, or with it merged the whole model, as safetensors, and the model card
dataset/  selected/ the rows that were trained, evaluation/ every answer with its verdict, as Parquet, and their card
export.json   the run, and every file with its SHA-256

Everything is written aside and renamed into place in one step. The same run gives the same bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_app import __version__
from distill_app.errors import StageError, UsageError
from distill_app.export import (
    data,
    dataset_card,
    evaluation,
    finished,
    licences,
    model_card,
    private,
    push,
    weights,
)
from distill_app.export.finished import Finished
from distill_app.export.sections import Repos
from distill_app.store.files import locked, sha256, write_json
from distill_app.store.runs import Run

if TYPE_CHECKING:
    from huggingface_hub import HfApi

VERSION = 1
RECORD = "export.json"
MODEL = "model"
DATASET = "dataset"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for. `model_repo` and `data_repo` are hub repositories to push to, None for none.

    `replace` consents to an earlier export's folder, and a repository's files, being replaced.
    """

    merged: bool = False
    replace: bool = False
    model_repo: str | None = None
    data_repo: str | None = None
    public: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """Where it lies, its files by size in bytes, what of it has no licence on record, and where it was pushed."""

    folder: Path
    files: Mapping[str, int]
    result: Mapping[str, Any]
    unknown: tuple[str, ...]
    pushed: tuple[str, ...]


def export(root: Path, run: Run, to: Path, wish: Wish, say: Say, hub: HfApi | None = None) -> Exported:
    """Write the export of `run` to the folder `to`, and push it where `wish` names repositories.

    `to` may be absent or empty; with `wish.replace` it may be an earlier export, and nothing else, ever. `say` is told
    what takes time. `hub` is the environment's, unless given.

    Raises `UsageError` for a run that has not finished, an artifact that is missing or damaged, a folder that is not
    free, a hub that does not take the push: nothing is written then. `StageError` where writing or pushing fails: a
    folder is whole or not there.
    """
    given = finished.read(root, run)
    to = Path(os.path.abspath(to))
    targets, hub = _targets(wish, hub)
    with locked(_lock(root, to), lambda: say(f"Waiting for another export to {to}.")):
        _check_free(to, replace=wish.replace)
        files, unknown = _write(given, root, to, wish, targets, say)
    pushed = []
    for name, target in targets.items():
        assert hub is not None
        message = f"{given.result['recipe']}, run {given.run}, by distill-app {__version__}"
        pushed.append(
            push.push(hub, to / name, target, public=wish.public, replace=wish.replace, message=message, say=say)
        )  # fmt: skip
    return Exported(to, files, given.result, tuple(unknown), tuple(pushed))


def as_text(exported: Exported) -> str:
    """What was exported, in a few lines."""
    lines = [f"Exported run {exported.result['run']} to {exported.folder}:"]
    lines += [f"  {name}  {size:,} bytes" for name, size in exported.files.items()]
    lines += model_card.summary(exported.result)
    if exported.unknown:
        lines.append(f"No licence is on record for: {', '.join(exported.unknown)}. Look before you share.")
    return "\n".join([*lines, *(f"Pushed: {address}" for address in exported.pushed)])


def _targets(wish: Wish, hub: HfApi | None) -> tuple[dict[str, push.Target], HfApi | None]:
    """What is to be pushed where, by folder, each asked of the hub before anything is written."""
    named: dict[str, push.Target] = {}
    if wish.model_repo is not None:
        named[MODEL] = push.Target(wish.model_repo, "model")
    if wish.data_repo is not None:
        named[DATASET] = push.Target(wish.data_repo, "dataset")
    if not named:
        return {}, None
    hub = hub or push.api()
    return {name: push.check(hub, target, replace=wish.replace) for name, target in named.items()}, hub


def _lock(root: Path, to: Path) -> Path:
    return root / "locks" / f"export-{hashlib.sha256(str(to).encode()).hexdigest()[:16]}"


def _check_free(to: Path, *, replace: bool) -> None:
    """`UsageError` where `to` holds what must not be covered."""
    if not to.exists() and not to.is_symlink():
        return
    if to.is_symlink() or not to.is_dir():
        raise UsageError(f"{to} is there and is no folder.", "Name a new folder with --to.")
    held = sorted(path.name for path in to.iterdir())
    if not held or (replace and RECORD in held):
        return
    if RECORD in held:
        raise UsageError(f"{to} holds an earlier export.", "Name a new folder with --to, or say --force to replace it.")
    raise UsageError(
        f"{to} is not empty ({', '.join(held[:3])}{', ...' if len(held) > 3 else ''}).", "Name a new folder with --to."
    )


def _write(
    given: Finished, root: Path, to: Path, wish: Wish, targets: Mapping[str, push.Target], say: Say
) -> tuple[dict[str, int], list[str]]:
    """Make the folder aside and rename it into place; returns its files by size, and what has no licence on record."""
    part = to.with_name(f".{to.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        unknown = _fill(given, root, part, wish, targets, say)
        paths = sorted(path for path in part.rglob("*") if path.is_file())
        sizes = {path.relative_to(part).as_posix(): path.stat().st_size for path in paths}
        hashes = {path.relative_to(part).as_posix(): sha256(path) for path in paths}
        made_by = f"distill-app {__version__}"
        write_json(part / RECORD, {"version": VERSION, "run": given.run, "made_by": made_by, "files": hashes})
        _swap(part, to)
    except OSError as error:
        raise StageError(
            f"The export could not be written to {to}: {error.strerror or error}.",
            "Make room on the disk, or name another folder with --to; nothing was left there.",
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return sizes, unknown


def _swap(part: Path, to: Path) -> None:
    """Put `part` in the place of `to`; an earlier export there is moved out first and deleted last."""
    old = to.with_name(f".{to.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if to.exists() and any(to.iterdir()):
        to.rename(old)
    part.rename(to)
    shutil.rmtree(old, ignore_errors=True)


def _fill(
    given: Finished, root: Path, part: Path, wish: Wish, targets: Mapping[str, push.Target], say: Say
) -> list[str]:
    if wish.merged:
        weights.write_merged(given, part / MODEL, say)
    else:
        weights.write_adapter(given, part / MODEL)
    say("Writing the selected rows and the evaluation's details.")
    written = data.write(given, part / DATASET / dataset_card.SELECTED)
    answers = evaluation.write(given, part / DATASET / dataset_card.DETAILS)
    trained, benchmarks = licences.of_training(given), licences.of_evaluation(given)
    repos = Repos(*(targets[name].repo if name in targets else None for name in (MODEL, DATASET)))
    hidden = (root, Path.home())
    shown = dataclasses.replace(
        given, recipe=private.public(given.recipe, hidden), result=private.public(given.result, hidden)
    )
    model = model_card.render(
        shown,
        merged=weights.dtype(given) if wish.merged else None,
        into_weights=trained,
        benchmarks=benchmarks,
        repos=repos,
    )
    (part / MODEL / "README.md").write_text(model, encoding="utf-8")
    rows = dataset_card.render(
        shown, written=written, answers=answers, ingredients=[*trained, *benchmarks], repos=repos
    )  # fmt: skip
    (part / DATASET / "README.md").write_text(rows, encoding="utf-8")
    return licences.unknown([*trained, *benchmarks])


def default_folder(run: Run) -> Path:
    """Where an export goes if nobody says: a folder of the run's id in the working folder."""
    return Path(f"export-{run.id}")
