"""Starting a recipe of one's own from a ready-made one, comments and all."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from distill_app.errors import UsageError
from distill_app.recipe import bundled as ready_made
from distill_app.recipe import load, nodes, schema
from distill_app.recipe.save import flow
from distill_app.recipe.validate import valid_name
from distill_app.recipe.wording import did_you_mean, quoted

_HEADER = re.compile(r"(# yaml-language-server: \$schema=)(\S+)")


def bundled() -> list[tuple[str, Path, str]]:
    """The ready-made recipes by name: name, file, and the first line of its opening comment."""
    found = []
    for name in ready_made.names():
        path = ready_made.find(name)
        assert path is not None
        found.append((name, path, _first_comment(path.read_text(encoding="utf-8"))))
    return found


def new(name: str, base: str, destination: str | os.PathLike[str]) -> Path:
    """Writes `destination`/`name`.yaml, a copy of the ready-made recipe `base`, and returns its path.

    The copy differs in the characters of its name, in the path of its schema (written beside it under
    .distill/), in `extends`, where that named a neighbour of the ready-made recipe, and in the paths of data files
    that lie beside it, which become absolute. Raises `UsageError` for
    a name that is not valid, a base that does not exist, and a file that is already there.
    """
    if valid_name(name) != name:
        raise UsageError(
            f"{quoted(name)} cannot be a recipe's name: names have up to 64 lower-case letters, digits, dots, "
            "dashes and underscores, and start with a letter or digit.",
            f"The nearest valid name is `{valid_name(name)}`.",
        )
    source = ready_made.find(base)
    if source is None:
        raise UsageError(
            f"There is no ready-made recipe {quoted(base)}.",
            did_you_mean(base, ready_made.names(), "Ready-made recipes"),
        )
    folder = Path(destination)
    target = folder / f"{name}.yaml"
    text = _renamed(source, name)
    header = _HEADER.search(text)
    if header:
        text = f"{text[: header.start(2)]}.distill/recipe.schema.json{text[header.end(2) :]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(target, "x", encoding="utf-8", newline="") as file:
            file.write(text)
        if header:
            beside = folder / ".distill" / "recipe.schema.json"
            beside.parent.mkdir(exist_ok=True)
            beside.write_text(json.dumps(schema.bundle(), indent=2) + "\n", encoding="utf-8")
    except FileExistsError:
        raise UsageError(f"{target} is already there.", "Take another name, or move the file away.") from None
    except OSError as error:
        reason = error.strerror or "it cannot be written"
        raise UsageError(f"{target}: {reason}.", "Take a folder that can be written to.") from None
    return target


def _renamed(source: Path, name: str) -> str:
    """The text of `source` with its name changed, and its `extends` where it would no longer be found."""
    tree = load.read(source)
    changes = []
    said = nodes.step(tree.root, "name")
    assert said is not None
    assert said.span is not None
    changes.append((said.span, flow(name)))
    extends = nodes.step(tree.root, "extends")
    if extends is not None and isinstance(extends.value, str) and extends.span:
        root = source.parent / extends.value
        for other in ready_made.names():
            path = ready_made.find(other)
            if path and os.path.exists(root) and os.path.samefile(path, root):
                changes.append((extends.span, flow(other)))
                break
    for _, node in nodes.walk(tree.root):
        if isinstance(node.value, str) and node.span:
            prefix, place = _file_of(node.value)
            if place and not os.path.isabs(place) and (source.parent / place).is_file():
                changes.append((node.span, flow(prefix + str(source.parent / place))))
    text = tree.text
    for (start, end), value in sorted(changes, reverse=True):
        text = text[:start] + value + text[end:]
    return text


def _file_of(value: str) -> tuple[str, str]:
    """The prefix and the path of a value that names a data file; the path is empty for any other value."""
    if value.startswith(("jsonl:", "parquet:")):
        kind, _, place = value.partition(":")
        return f"{kind}:", place
    return "", value if value.endswith((".jsonl", ".jsonl.gz", ".parquet")) else ""


def _first_comment(text: str) -> str:
    for line in text.splitlines():
        if not line.startswith("#"):
            return ""
        words = line.lstrip("#").strip()
        if words and not words.startswith("yaml-language-server:"):
            return words
    return ""
