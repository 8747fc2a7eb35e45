"""Where the files that a recipe names may lie: a recipe of somebody else's reads nothing that it was not given.

A path in a recipe, `..`, `~` and links followed, must lead into the recipe's own folder, the working folder, the
workspace, the program's cache or what came with the program. A person opens further folders with `--allow-path` or the
environment variable DISTILL_ALLOW_PATHS, which the processes of a run inherit. What a person says on the command line
(`--set`) is their own word, and is not asked about.

The resolved recipe that a run keeps names its files by their full paths. Going on from it is no new question: the
program remembers in its cache, by the text's SHA-256, which resolved recipes it wrote on this machine itself.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from distill_app import resources

VARIABLE = "DISTILL_ALLOW_PATHS"
"""Environment variable: folders that recipes may read from, as PATH is written."""

Roots = tuple[str, ...] | None
"""Folders with all links followed; None allows every path."""


def roots(recipe: str) -> tuple[str, ...]:
    """The folders that the recipe in file `recipe` may read from, links followed, none of them twice."""
    from distill_app.store.runs import workspace

    folders = [
        os.path.dirname(os.path.abspath(recipe)),
        os.getcwd(),
        str(workspace(None)),
        str(resources.cache_folder()),
        str(resources.folder("recipes")),
        str(resources.folder("schemas")),
        *filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)),
    ]
    return tuple(dict.fromkeys(os.path.realpath(os.path.expanduser(folder)) for folder in folders))


def allow(*folders: str) -> None:
    """Let the recipes of this process, and of those that it starts, read from `folders` too."""
    known = [folder for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]
    given = [os.path.abspath(os.path.expanduser(folder)) for folder in folders]
    os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys([*known, *given]))


def inside(path: str, allowed: Roots) -> bool:
    """Whether `path`, links followed, lies in one of the folders, or is one."""
    if allowed is None:
        return True
    target = os.path.realpath(path)
    return any(target == folder or target.startswith(os.path.join(folder, "")) for folder in allowed)


def remember(resolved_text: str) -> None:
    """Note that this program wrote this resolved recipe here, so that going on from it needs no second permission."""
    note = _note(resolved_text)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.touch()


def is_remembered(text: str) -> bool:
    """Whether `text` is, byte for byte, a resolved recipe that this program wrote on this machine."""
    return _note(text).exists()


def _note(text: str) -> Path:
    return resources.cache_folder() / "resolved" / hashlib.sha256(text.encode()).hexdigest()
