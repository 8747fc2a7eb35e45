"""The skill tree: names in a hierarchy, read from JSON. A skill is a leaf; a chain leads from below the root to it.

Three forms of file are read: {name, children}, skill-data-selection's (the same, leaves without children), and
EvalTree's ({description or capability, subtrees}, where a whole number stands for a benchmark item: items are left
out, and a cluster that held items alone becomes a leaf).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_app import resources
from distill_app.errors import UsageError
from distill_app.recipe.defaults import BUILTIN

ARROW = " -> "
"""What joins the names of a chain."""

DEEPEST = 64
"""Levels below the root that a file may have; the published trees have 12."""

_SEPARATOR = re.compile(r"\s*(?:->|→)\s*")
_NAMES = ("name", "description", "capability")
_BRANCHES = ("children", "subtrees")


@dataclass(frozen=True, slots=True)
class Tree:
    """A node with all that hangs on it. Names of siblings differ, whatever their case and spacing."""

    name: str
    children: tuple[Tree, ...] = ()

    def walk(self) -> Iterator[tuple[str, Tree]]:
        """Every node below this one with its chain, a parent before its children, siblings in the file's order."""
        todo = [(child.name, child) for child in reversed(self.children)]
        while todo:
            chain, node = todo.pop()
            yield chain, node
            todo += [(chain + ARROW + child.name, child) for child in reversed(node.children)]

    def chains(self) -> list[str]:
        """The chain of every leaf. A chain names one leaf and no other."""
        return [chain for chain, node in self.walk() if not node.children]

    def leaves(self) -> list[str]:
        """The leaves' own names, as often as they occur, in the order of `chains`."""
        return [node.name for _, node in self.walk() if not node.children]

    def as_json(self) -> dict[str, Any]:
        """The tree as {name, children}; a leaf has no `children`."""
        if not self.children:
            return {"name": self.name}
        return {"name": self.name, "children": [child.as_json() for child in self.children]}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A tree from a file. `notes` says what of the file is not in the tree."""

    tree: Tree
    notes: tuple[str, ...]


def load(source: str | Path) -> Loaded:
    """The tree in a JSON file, or one that travels with the program (`builtin:school_math`).

    A leaf with the name of a sibling is taken for the same skill (EvalTree's own tree holds such twins); the notes
    count them. Raises `UsageError` with the file and the place in it: no JSON, no names or branches, a name that is
    empty or holds an arrow, two branches of one name, more than `DEEPEST` levels (an alias cycle included), or no
    leaf at all.
    """
    path = _path(str(source))
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"There is no skill tree {path}.", "Check `skills.tree` in the recipe.") from error
    except IsADirectoryError as error:
        raise UsageError(f"The skill tree {path} is a folder, not a JSON file.", "Name a file in it.") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"The skill tree {path} is not JSON: {error}.", "Write it again.") from error
    return read(data, str(path))


def read(data: Any, file: str) -> Loaded:
    """`load` for JSON that is read already; `file` is what errors call it."""
    reader = _Reader(file)
    tree = reader.node(data, "$", 0)
    if tree is None or not tree.children:
        raise UsageError(f"The skill tree {file} has no skills below its root.", _FORM)
    notes = []
    if reader.items:
        notes.append(f"{reader.items} benchmark items in {file} are no skills and are left out.")
    if reader.twins:
        notes.append(f"{reader.twins} leaves in {file} have the name of a sibling and are taken for the same skill.")
    return Loaded(tree, tuple(notes))


def content_id(tree: Tree) -> str:
    """SHA-256 over all names and their places: for fingerprints. The file's layout makes no difference."""
    text = json.dumps(tree.as_json(), ensure_ascii=False, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def split(chain: str) -> list[str]:
    """The names of a chain, from below the root."""
    return chain.split(ARROW)


def cut(chain: str, depth: int | None) -> str:
    """The chain's first `depth` levels; the whole where it has no more, or where `depth` is None."""
    return chain if depth is None else ARROW.join(split(chain)[:depth])


def prefixes(chain: str) -> list[str]:
    """The chain of every node on the way, the topmost first and the chain itself last."""
    names = split(chain)
    return [ARROW.join(names[: level + 1]) for level in range(len(names))]


def fold(name: str) -> str:
    """What two names are compared by: case and spacing make no difference."""
    return " ".join(name.casefold().split())


class Lookup:
    """Finds leaves by label."""

    def __init__(self, tree: Tree) -> None:
        self._root = fold(tree.name)
        self._tails: dict[tuple[str, ...], list[str]] = {}
        self.inner = {fold(node.name) for _, node in tree.walk() if node.children} | {self._root}
        """Names of nodes with children, folded: a label that names one is no skill."""
        for chain in tree.chains():
            names = tuple(fold(name) for name in split(chain))
            for start in range(len(names)):
                self._tails.setdefault(names[start:], []).append(chain)

    def find(self, label: str) -> list[str]:
        """The chains that a label means: a leaf's name, or the last names of a chain joined by arrows, with or
        without the root. A name that several leaves have means all of them; a label of no leaf, none.
        """
        names = tuple(fold(name) for name in _SEPARATOR.split(label.strip()))
        found = self._tails.get(names)
        if found is None and len(names) > 1 and names[0] == self._root:
            return [chain for chain in self._tails.get(names[1:], []) if len(split(chain)) == len(names) - 1]
        return list(found or [])


def load_labels(path: Path) -> dict[str, str]:
    """The short labels of a JSON file {long name: short label}. `UsageError` where it is no such map, or where a
    label is empty or holds an arrow or a line break."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"There is no file of labels {path}.", "Check `training.skills.labels`.") from error
    except (IsADirectoryError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UsageError(f"The file of labels {path} is not JSON: {error}.", "Write it again.") from error
    if not isinstance(data, dict) or not data:
        raise UsageError(f"The file of labels {path} is no map {{long name: short label}}.", "Write it as one.")
    for name, label in data.items():
        if fault := "is no text" if not isinstance(label, str) else _name_fault(label):
            raise UsageError(f"{path}, label of {name!r}: it {fault}.", "Give each name a short label on one line.")
    return data


_FORM = 'Write it as {"name": ..., "children": [...]}, or give EvalTree\'s {"description": ..., "subtrees": ...}.'


def _path(source: str) -> Path:
    if not source.startswith(BUILTIN):
        return Path(source).expanduser()
    folder = resources.PACKAGE / "skills"
    path = folder / f"{source.removeprefix(BUILTIN)}.json"
    if not path.is_file():
        names = ", ".join(f"builtin:{file.stem}" for file in sorted(folder.glob("*.json")))
        raise UsageError(f"There is no skill tree {source}.", f"Built in: {names}. Or give a JSON file.")
    return path


def _name_fault(name: str) -> str | None:
    if not name.strip():
        return "is empty"
    if _SEPARATOR.search(name):
        return "holds an arrow, which joins the names of a chain"
    if not name.isprintable():
        return "holds a line break or another character that cannot be printed"
    return None


class _Reader:
    """Reads one file; `where` is the place in it, as a JSONPath."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.items = 0
        self.twins = 0

    def node(self, data: Any, where: str, depth: int) -> Tree | None:
        """The node at `where`, or None for a benchmark item."""
        if isinstance(data, int) and not isinstance(data, bool):
            self.items += 1
            return None
        if not isinstance(data, dict):
            raise self._fault(where, f"holds {_kind(data)} where a node should be")
        if depth > DEEPEST:
            raise self._fault(where, f"lies more than {DEEPEST} levels below the root")
        branches = [data[key] for key in _BRANCHES if key in data]
        if branches and isinstance(branches[0], int) and not isinstance(branches[0], bool):
            self.items += 1
            return None
        name = next((data[key] for key in _NAMES if key in data), None)
        if not isinstance(name, str):
            raise self._fault(where, f"has no name, but {', '.join(map(repr, data)) or 'nothing at all'}")
        if fault := _name_fault(name):
            raise self._fault(where, f"has a name that {fault}: {name[:80]!r}")
        return Tree(" ".join(name.split()), self._children(branches[0] if branches else None, where, depth))

    def _children(self, branches: Any, where: str, depth: int) -> tuple[Tree, ...]:
        if branches is None:
            return ()
        if isinstance(branches, dict):
            entries = [(f"{where}.subtrees[{key!r}]", value) for key, value in branches.items()]
        elif isinstance(branches, list):
            entries = [(f"{where}.children[{index}]", value) for index, value in enumerate(branches)]
        else:
            raise self._fault(where, f"has {_kind(branches)} for its children, not a list")
        children: dict[str, Tree] = {}
        for place, entry in entries:
            child = self.node(entry, place, depth + 1)
            if child is None:
                continue
            twin = children.get(fold(child.name))
            if twin is not None:
                if twin.children and child.children:
                    raise self._fault(place, f"is a second branch {child.name[:80]!r} of one parent")
                self.twins += 1
                child = child if child.children else twin
            children[fold(child.name)] = child
        return tuple(children.values())

    def _fault(self, where: str, what: str) -> UsageError:
        return UsageError(f"The skill tree {self.file}: the node at {where} {what}.", _FORM)


def _kind(value: Any) -> str:
    names: Sequence[tuple[type, str]] = (
        (bool, "true or false"), (str, "text"), (list, "a list"), (dict, "an object"), (float, "a number"),
        (int, "a number"),
    )  # fmt: skip
    return next((name for kind, name in names if isinstance(value, kind)), "null")
