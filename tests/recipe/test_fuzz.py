"""Whatever is done to a recipe's text, reading it ends in a recipe or in faults with a place in the file, and soon.

Good recipes (the bundled ones and one of the tests) are changed byte by byte, word by word and branch by branch. A
quick run takes few examples; this takes 3000 of each test, some 20 000 cases in all:

    DISTILL_FUZZ_EXAMPLES=3000 pytest tests/recipe/test_fuzz.py -n0
"""

from __future__ import annotations

import os
import re
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill_app import resources
from distill_app.errors import Fault, RecipeError
from distill_app.recipe import load, nodes, save
from distill_app.recipe.resolve import load_arms

EXAMPLES = int(os.environ.get("DISTILL_FUZZ_EXAMPLES", "25"))
HANG_SECONDS = 60
"""One case takes hundredths of a second; on a machine that is busy otherwise it must still not be taken for a hang."""

BUNDLED = sorted(resources.folder("recipes").rglob("*.yaml"))
OURS = (Path(__file__).parent / "base.yaml").read_text() + "matrix: {seed: [1, 2]}\n"
TEXTS = [OURS, *(path.read_text(encoding="utf-8") for path in BUNDLED)]
LINES = OURS.splitlines(keepends=True)
TREES = [load.decoded("r.yaml", text.encode()).data for text in TEXTS]
TOKEN = re.compile(r"\s+|\w+|[^\w\s]")
WORDS = (
    "- |: |{|}|[|]|'|\"|&a |*a|!t |>|#|%|@|~|null|yes|-1|0|1e9|1e999|.nan|2024-01-01|{}|[]|builtin:|jsonl:|jsonl:/"
    "|{name: x}|[1, a]|---|...|\\|é|<<: |? |0x|1_0|../|~/|.||\n|\t|\u2028|\x00|0777|12:30|%|/|/etc|**/|$HOME|\u202e"
)
PIECES = st.sampled_from([*WORDS.split("|"), "|"])


@contextmanager
def no_hang() -> Iterator[None]:
    """Fail where the block takes so long that it hangs."""

    def over(_signal: int, _frame: FrameType | None) -> None:
        pytest.fail(f"reading the recipe took more than {HANG_SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt(content: bytes, sets: list[str] | None = None) -> None:
    """Read a recipe: it has arms, or faults that can be shown and that stand where the file has text."""
    with tempfile.TemporaryDirectory() as folder, no_hang():
        path = Path(folder) / "r.yaml"
        path.write_bytes(content)
        lines = content.decode(errors="replace").split("\n")
        try:
            found: Sequence[object] = load_arms(path, sets or [])
        except RecipeError as error:
            found = error.faults
            for fault in error.faults:
                stands(fault, path, lines)
        assert found, "neither a recipe nor a fault"


def stands(fault: Fault, path: Path, lines: list[str]) -> None:
    """The fault can be written down, says what is wrong, and its place is one of the file (or of the command)."""
    str(fault).encode()
    assert fault.message
    at = fault.position
    assert at.line >= 1
    assert at.column >= 1
    if at.file == str(path):
        assert at.line <= len(lines)
        assert at.column <= len(lines[at.line - 1]) + 1, fault


quick = settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@quick
@given(
    st.sampled_from(TEXTS),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 8), st.binary(max_size=4)), min_size=1, max_size=6),
)
def test_bytes_changed(text: str, changes: list[tuple[int, int, bytes]]) -> None:
    content = text.encode()
    for start, length, piece in changes:
        start %= len(content) + 1
        content = content[:start] + piece + content[start + length :]
    attempt(content)


@quick
@given(st.sampled_from(TEXTS), st.data())
def test_words_changed(text: str, data: st.DataObject) -> None:
    tokens = TOKEN.findall(text)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(tokens) - 1))
        other = data.draw(st.integers(0, len(tokens) - 1))
        how = data.draw(st.sampled_from(["replace", "insert", "delete", "swap", "repeat"]))
        if how == "swap":
            tokens[at], tokens[other] = tokens[other], tokens[at]
        elif how == "repeat":
            tokens[at:at] = tokens[other : other + 20]
        elif how == "delete":
            del tokens[at : at + data.draw(st.integers(1, 10))]
            tokens = tokens or ["a"]
        else:
            tokens[at : at + (how == "replace")] = [data.draw(PIECES)]
    attempt("".join(tokens).encode())


NAMES = ["dmc", "vllm", "traces", "judge", "reverse", "gsm8k", "12.5%", "builtin:word_problems", "jsonl:x"]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    PIECES,
    st.sampled_from(NAMES),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["name", "model", "top", "path", "x"]), inner, max_size=4),
    ),
    max_leaves=8,
)


@quick
@given(st.sampled_from(TREES), st.data())
def test_branches_changed(tree: dict[str, Any], data: st.DataObject) -> None:
    """Values replaced, taken out, put elsewhere in the recipe, and keys renamed."""
    for _ in range(data.draw(st.integers(1, 3))):
        text = save.dump(tree)
        paths = [path for path, _ in nodes.walk(load.decoded("r.yaml", text.encode()).root) if path]
        if not paths:
            return
        path, other = data.draw(st.sampled_from(paths)), data.draw(st.sampled_from(paths))
        how = data.draw(st.sampled_from(["replace", "delete", "move", "rename"]))
        holder = under(tree, path[:-1])
        value = under(tree, other) if how == "move" else data.draw(VALUES)
        if how == "delete":
            holder = without(holder, path[-1])
        elif how == "rename" and isinstance(holder, dict):
            renamed = data.draw(st.one_of(st.sampled_from([str(part) for part in other]), st.text(max_size=6)))
            holder = {renamed if key == path[-1] else key: item for key, item in holder.items()}
        elif isinstance(holder, dict):
            holder = {**holder, path[-1]: value}
        else:
            holder = [value if index == path[-1] else item for index, item in enumerate(holder)]
        tree = put(tree, path[:-1], holder)
    attempt(save.dump(tree).encode())


def under(tree: Any, path: nodes.Path) -> Any:
    for part in path:
        tree = tree[part]
    return tree


def without(holder: Any, part: str | int) -> Any:
    if isinstance(holder, dict):
        return {key: item for key, item in holder.items() if key != part}
    return [item for index, item in enumerate(holder) if index != part]


def put(tree: Any, path: nodes.Path, value: Any) -> Any:
    """A copy of the tree with the value at `path`."""
    if not path:
        return value
    if isinstance(tree, dict):
        return {key: put(item, path[1:], value) if key == path[0] else item for key, item in tree.items()}
    return [put(item, path[1:], value) if index == path[0] else item for index, item in enumerate(tree)]


@quick
@given(st.integers(0, len(LINES) - 1), PIECES)
def test_values_replaced(line: int, piece: str) -> None:
    key = LINES[line].partition(":")[0]
    attempt("".join([*LINES[:line], f"{key}: {piece}\n", *LINES[line + 1 :]]).encode())


@quick
@given(st.permutations(range(len(LINES))).map(lambda order: order[:12]))
def test_lines_left_out(gone: list[int]) -> None:
    attempt("".join(line for number, line in enumerate(LINES) if number not in gone).encode())


KEYS = (
    "seed teacher teacher.0 teacher.backend augmentation.0 augmentation.0.name selector matrix selector.name pool "
    "evaluation.benchmarks.0.dataset evaluation.benchmarks pool.problems.mix x.y matrix.seed matrix.selector.name "
    "epochs.0 student.model . a..b tags.0 teacher.0.0"
)
PATHS = st.sampled_from([*KEYS.split(" "), ""])


@quick
@given(st.lists(st.tuples(PATHS, st.one_of(PIECES, st.text(max_size=6))).map("=".join), min_size=1, max_size=3))
def test_sets(sets: list[str]) -> None:
    attempt(OURS.encode(), sets)


@quick
@given(st.binary(max_size=60))
def test_bytes(content: bytes) -> None:
    attempt(content)


BIG = {
    "unknown keys": "".join(f"k{number}x: 1\n" for number in range(1900)),
    "misspelt keys": "".join(f"selecto{number}: 1\n" for number in range(1900)),
    "numbers": f"extra: [{'1,' * 30000}]\n",
    "names of benchmarks": f"evaluation: {{benchmarks: [{', '.join(f'gsm{number}k' for number in range(1900))}]}}\n",
    "benchmarks": f"evaluation: {{benchmarks: [{', '.join(f'{{name: a{n}, dataset: x/y}}' for n in range(600))}]}}\n",
    "teachers": "teacher:\n" + "".join(f"  - {{name: a{number}, backend: worked}}\n" for number in range(600)),
    "files": f"teacher: {{name: t, backend: traces, path: [{', '.join(f'x{number}' for number in range(1900))}]}}\n",
    "weights": f"pool: {{problems: {{dataset: x/y, mix: {{{', '.join(f'ad{n}: 1' for n in range(1900))}}}}}}}\n",
    "arms": f"matrix: {{seed: [{', '.join(map(str, range(256)))}]}}\n",
    "axes": f"matrix: {{{', '.join(f'a{number}: [1, 2]' for number in range(600))}}}\n",
    "arms that are wrong": f"matrix: {{epochs: [{', '.join(str(-number) for number in range(256))}]}}\n",
    "keys in keys": "? " * 20000 + "\n",
    "lists in lists": "a:\n  " + "- " * 20000 + "\n",
    "braces": "a: " + "{" * 20000 + "\n",
    "anchors": "".join(f"a{number}: &x{number} 1\n" for number in range(4000)),
    "one key": "a: 1\n" * 9000,
    "a long name": "name: " + "A" * 50000 + "\n",
    "a long word": "selector: {name: " + "r" * 50000 + "}\n",
    "a long quotation": 'a: "' + "\n  x" * 15000 + '"\n',
}


@pytest.mark.parametrize("what", BIG)
def test_large_recipes_are_read_or_refused_at_once(what: str) -> None:
    """Everything that takes its time for each of something, as large as a file may be."""
    heads = {line.partition(":")[0] for line in BIG[what].splitlines() if line[:1].isalpha()}
    kept = [block for block in re.split(r"^(?=\S)", OURS, flags=re.MULTILINE) if block.partition(":")[0] not in heads]
    attempt(("".join(kept) + BIG[what]).encode())
