"""Single values set over a recipe: `--set a.b=c` on the command line, and the combinations of a matrix."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from distill_app.errors import Fault, Position, RecipeError
from distill_app.recipe import nodes
from distill_app.recipe.defaults import write_out
from distill_app.recipe.extends import new_options
from distill_app.recipe.nodes import Node, Path
from distill_app.recipe.parse import parse
from distill_app.recipe.save import flow
from distill_app.recipe.schema import FAMILIES, Schemas

MOST_ARMS = 256
MOST_VALUES = 50_000
"""Values of all arms together: 256 arms of the longest recipe that comes with the program have 20 000."""
FIXED = ("extends", "matrix", "version")


@dataclass(frozen=True, slots=True)
class Assignment:
    """A value for a dotted path; `positions` says where each part of the path is written."""

    path: tuple[str, ...]
    value: Node
    positions: tuple[Position, ...]


def parse_set(text: str) -> Assignment:
    """`a.b=c` as an assignment. `c` is a YAML value; text with `: ` or laid out in lines is taken as it is.

    Columns count in the literal `--set a.b=c`, which also stands for the file. Raises `RecipeError`.
    """
    file = f"--set {text}"
    start = len("--set ") + 1
    name, equals, value = text.partition("=")
    parts = name.split(".")
    if not equals or not all(part and part == part.strip() for part in parts):
        raise RecipeError(
            [
                Fault(
                    Position(file, 1, start),
                    "",
                    "expected a key, an equals sign and a value.",
                    "For example: `--set selector.name=quality`.",
                )
            ]
        )
    if parts[0] == "matrix" and len(parts) > 2:
        parts = ["matrix", ".".join(parts[1:])]
    columns = [start + len(".".join(parts[:index])) + (index > 0) for index in range(len(parts))]
    positions = tuple(Position(file, 1, column) for column in columns)
    if parts[0] in ("extends", "version"):
        message = f"`{parts[0]}` cannot be set from outside the recipe."
        raise RecipeError([Fault(positions[0], parts[0], message, "Change it in the file.")])
    found = parse(value, file, first_column=start + len(name) + 1, block=False)
    return Assignment(tuple(parts), replace(found, key=positions[-1]), positions)


def apply(schemas: Schemas, root: Node, assignments: Sequence[Assignment]) -> tuple[Node, list[Fault]]:
    """The recipe with these values set, and the faults of those that fit nowhere.

    Where a selector, teacher, augmentation or scorer becomes another, options of the recipe that the other
    does not have are dropped; options among the assignments stay, and are refused later if they do not fit.
    """
    faults: list[Fault] = []
    named: list[Path] = []
    before = root = write_out(root)
    for assignment in assignments:
        try:
            path = _actual(root, assignment.path)
            root = _put(root, assignment, 0)
            named.append(path)
        except RecipeError as error:
            faults += error.faults
    after = write_out(root)
    for path, node in _members(after):
        old = nodes.find(before, path)
        if old is None or not isinstance(node.value, dict) or any(path[: len(name)] == name for name in named):
            continue
        own = {name[len(path)] for name in named if name[: len(path)] == path}
        known = new_options(schemas, str(path[0]), old, node)
        if known is not None:
            kept = {key: child for key, child in node.value.items() if key in known | own}
            after = _replaced(after, path, replace(node, value=kept))
    return after, faults


def combinations(root: Node) -> tuple[Node, list[tuple[str, list[Assignment]]], list[Fault]]:
    """The recipe without its matrix, a label and the assignments of every combination, and the matrix's faults."""
    matrix = nodes.step(root, "matrix")
    root = nodes.without(root, "matrix")
    if matrix is None or matrix.value is None:
        return root, [("", [])], []
    if not isinstance(matrix.value, dict):
        message, suggestion = "expected a map of paths to lists.", "For example: `matrix: {seed: [1, 2, 3]}`."
        return root, [("", [])], [Fault(matrix.position, "matrix", message, suggestion)]
    faults = [fault for name, node in matrix.value.items() for fault in _matrix_faults(name, node)]
    axes = [(name, node) for name, node in matrix.value.items() if isinstance(node.value, list)]
    count = math.prod(len(node.value) for _, node in axes if isinstance(node.value, list))
    if count > MOST_ARMS:
        message = f"the matrix makes {count} runs, and {MOST_ARMS} is the limit."
        faults.append(Fault(matrix.key or matrix.position, "matrix", message, "Split it into several recipes."))
    elif count * (values := sum(1 for _ in nodes.walk(root))) > MOST_VALUES:
        message = f"the matrix makes {count} runs of a recipe with {values} values, too many to check each."
        faults.append(Fault(matrix.key or matrix.position, "matrix", message, "Split it into several recipes."))
    if faults:
        return root, [("", [])], faults
    arms = []
    for choice in itertools.product(*(node.value for _, node in axes if isinstance(node.value, list))):
        assignments = []
        for (name, node), value in zip(axes, choice, strict=True):
            key = node.key or node.position
            parts = tuple(name.split("."))
            for below, leaf in _entries(value):
                path = (*parts, *below)
                assignments.append(Assignment(path, replace(leaf, key=leaf.key or key), (key,) * len(path)))
        label = " ".join(f"{name}={flow(nodes.plain(v))}" for (name, _), v in zip(axes, choice, strict=True))
        arms.append((label, assignments))
    return root, arms, []


def _entries(node: Node) -> list[tuple[tuple[str, ...], Node]]:
    """A map's keys one by one, so that in a matrix it merges key by key, as with `extends`; else the value itself."""
    if not isinstance(node.value, dict) or not node.value:
        return [((), node)]
    return [((key,), child) for key, child in node.value.items()]


def _matrix_faults(name: str, node: Node) -> list[Fault]:
    key = node.key or node.position
    path = f"matrix.{name}"
    if name.split(".")[0] in FIXED:
        return [Fault(key, path, f"a matrix cannot change `{name}`.", "Delete this line.")]
    if not all(name.split(".")):
        return [Fault(key, path, "expected a dotted path such as `selector.name`.", "Correct the key.")]
    if not isinstance(node.value, list) or not node.value:
        given = "" if isinstance(node.value, list | dict) else flow(node.value)
        message = "expected a list with at least one value."
        return [Fault(node.position, path, message, f"Write it in brackets: [{given or 'a, b'}].")]
    seen: list[str] = []
    faults = []
    for item in node.value:
        shown = flow(nodes.plain(item))
        if shown in seen:
            faults.append(Fault(item.position, path, f"{shown} stands twice in the list.", "Delete one of them."))
        seen.append(shown)
    return faults


def _actual(root: Node, path: Sequence[str]) -> Path:
    """The path with list entries as numbers, and with the 0 of a list that is not written out."""
    actual: list[str | int] = []
    node: Node | None = root
    for part in path:
        if node and isinstance(node.value, list):
            if _is_single(node) and not part.isdecimal():
                actual.append(0)
                node = node.value[0]
                actual.append(part)
            else:
                actual.append(int(part) if _is_index(part) else part)
        else:
            actual.append(part)
        node = nodes.step(node, actual[-1]) if node else None
    return tuple(actual)


def _put(node: Node, assignment: Assignment, index: int) -> Node:
    """A copy of `node` (found at the first `index` parts of the path) with the assignment's value in it."""
    if index == len(assignment.path):
        return assignment.value
    part, position = assignment.path[index], assignment.positions[index]
    if isinstance(node.value, dict):
        below = node.value.get(part)
        if below is None or (below.value is None and index + 1 < len(assignment.path)):
            below = Node({}, assignment.value.position, position)
        return nodes.with_item(node, part, _put(below, assignment, index + 1))
    if isinstance(node.value, list):
        if _is_index(part) and int(part) < len(node.value):
            return nodes.with_item(node, int(part), _put(node.value[int(part)], assignment, index + 1))
        if _is_single(node) and not part.isdecimal():
            return nodes.with_item(node, 0, _put(node.value[0], assignment, index))
        return _refuse(assignment, index, *_not_in_list(assignment.path, index, len(node.value)))
    shown = ".".join(assignment.path[:index])
    return _refuse(
        assignment,
        index,
        f"`{shown}` is {flow(nodes.plain(node))} and holds no keys.",
        f"Set the whole value: `{shown}={{...}}`.",
    )


def _is_index(part: str) -> bool:
    return part.isascii() and part.isdecimal() and len(part) < 6


def _is_single(node: Node) -> bool:
    return isinstance(node.value, list) and len(node.value) == 1 and node.value[0].implied


def _not_in_list(path: tuple[str, ...], index: int, count: int) -> tuple[str, str]:
    shown = ".".join(path[:index])
    entries = "one entry" if count == 1 else f"{count} entries"
    message = f"`{shown}` is a list of {entries}, and `{path[index]}` is not the number of one."
    rest = path[index + 1 :] if path[index].isdecimal() else path[index:]
    return message, f"Count from 0: `{'.'.join((shown, str(max(count - 1, 0)), *rest))}`."


def _refuse(assignment: Assignment, index: int, message: str, suggestion: str) -> Node:
    path = ".".join(assignment.path)
    raise RecipeError([Fault(assignment.positions[index], path, message, suggestion)])


def _members(root: Node) -> list[tuple[Path, Node]]:
    found: list[tuple[Path, Node]] = []
    for part in FAMILIES:
        node = nodes.step(root, part)
        if node is not None and isinstance(node.value, list):
            found += [((part, index), item) for index, item in enumerate(node.value)]
        elif node is not None:
            found.append(((part,), node))
    return found


def _replaced(root: Node, path: Path, node: Node) -> Node:
    if not path:
        return node
    child = nodes.step(root, path[0])
    return nodes.with_item(root, path[0], _replaced(child, path[1:], node)) if child else root
