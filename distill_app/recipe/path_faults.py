"""What can be wrong with a path that a recipe names: it is not there, not what it must be, or none of its business."""

from __future__ import annotations

import glob
import json
import os
import pathlib
import re
import shlex

from distill_app.recipe import allowed
from distill_app.recipe.allowed import Roots
from distill_app.recipe.paths import Place
from distill_app.students import own_code


def trouble(place: Place, roots: Roots) -> tuple[str, str] | None:
    """What is wrong with a place in a recipe that may read from `roots`, and what to do; None where nothing is.

    Of what lies elsewhere nothing is told, not even whether it is there.
    """
    roots = None if place.said else roots
    target = place.target
    if "\0" in target:
        return "a path cannot hold a null character.", "Correct the path."
    if place.kind == "glob" and glob.has_magic(target) and not os.path.exists(target):
        return _glob_trouble(target, roots)
    if not allowed.inside(target, roots):
        return elsewhere(target)
    if place.kind == "folder":
        if os.path.isdir(target):
            return _model_trouble(target, roots, asked=place.path[0] in ("student", "teacher", "quality"))
        if os.path.exists(target):
            return f"{target} is a file, and a model is a folder.", "Name the folder that holds config.json."
        return f"there is no folder {target}.", _near(target) or "Check the path."
    if os.path.isfile(target):
        return None
    if os.path.isdir(target):
        return f"{target} is a folder, not a file.", "Name a file in it."
    return f"there is no file {target}.", _near(target) or "Check the path; it is relative to the recipe's folder."


def as_written(target: str) -> str:
    """What a path that is not there may have been meant to be, where nothing in it stands for anything else."""
    if re.search(r"(^|/)[a-z][a-z0-9+.-]+:/", target):
        return "An address is not fetched: fetch the file yourself, and name it by its path."
    if "$" in target:
        return "Variables are not filled in: write the path out."
    if re.search(r"(^|/)~[^/]", target):
        return "Only `~/`, your own folder, is filled in: write the path out."
    return ""


def elsewhere(target: str) -> tuple[str, str]:
    """What is said of a path that leads out of the folders a recipe may read from."""
    real = os.path.realpath(target)
    led = "" if real == target else f", which leads to {real},"
    option = f"--allow-path {shlex.quote(_folder_of(real))}"
    return (
        f"{target}{led} is outside the folders that a recipe may read: its own, the working folder and the workspace.",
        f"Move it into one of them; or, if you trust the recipe with it, run with {option} "
        f"(or set {allowed.VARIABLE}).",
    )


def _folder_of(path: str) -> str:
    return path if os.path.isdir(path) else os.path.dirname(path)


def _glob_trouble(pattern: str, roots: Roots) -> tuple[str, str] | None:
    parts = pattern.split(os.sep)
    fixed = os.sep.join(parts[: next(index for index, part in enumerate(parts) if glob.has_magic(part))]) or os.sep
    if not allowed.inside(fixed, roots):
        return elsewhere(fixed)
    if parts.count("**") > 1:
        return "`**` stands in the pattern more than once.", "One is enough: it goes through all folders below."
    found = False
    for path in glob.iglob(pattern, recursive=True):
        if os.path.isfile(path):
            found = True
            if not allowed.inside(path, roots):
                return elsewhere(path)
    return None if found else (f"no file matches {pattern}.", _near(pattern) or "Check the folder and the pattern.")


def _model_trouble(folder: str, roots: Roots, *, asked: bool) -> tuple[str, str] | None:
    """Links that lead out of a model's folder, what would have the model run code of its own, and, of one that is
    `asked` as in a conversation, that it does not say how."""
    own = None if roots is None else (*roots, os.path.realpath(folder))
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_symlink() and not allowed.inside(entry.path, own):
            return elsewhere(entry.path)
    if refusal := own_code.refusal(pathlib.Path(folder)):
        return refusal
    if asked and not _has_template(pathlib.Path(folder)):
        return (
            f"the model in {folder} has no chat template, so there is no telling how it is asked.",
            "Put one into its folder (chat_template.jinja), or take a model that has one, such as an instruct model.",
        )
    return None


def _has_template(folder: pathlib.Path) -> bool:
    """Whether a tokenizer loaded from the folder has a chat template; true where it has no tokenizer's settings."""
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return True  # what else a model's folder lacks is said where it is opened
    return bool(isinstance(settings, dict) and settings.get("chat_template"))


def nearest_file(path: str) -> str | None:
    """The name in the folder of `path` that is most like its last part."""
    from distill_app.recipe.wording import nearest

    folder, name = os.path.split(path)
    try:
        return nearest(name, sorted(os.listdir(folder or ".")))
    except (OSError, ValueError):
        return None


def _near(target: str) -> str:
    if why := as_written(target):
        return why
    folder = os.path.dirname(target)
    if not os.path.isdir(folder) and not glob.has_magic(folder):
        return f"There is no folder {folder} either."
    near = nearest_file(target)
    return f"Did you mean {os.path.join(folder, near)}?" if near else ""
