"""Whatever is done to a recipe's text, reading it ends in a recipe or in an error meant for people."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill_app.errors import RecipeError, UsageError
from distill_app.recipe.resolve import load_arms

TEXT = (Path(__file__).parent / "base.yaml").read_text() + "matrix: {seed: [1, 2]}\n"
LINES = TEXT.splitlines(keepends=True)
WORDS = (
    "- |: |{|}|[|]|'|\"|&a |*a|!t |>|#|%|@|~|null|yes|-1|0|1e9|1e999|.nan|2024-01-01|{}|[]|builtin:|jsonl:|jsonl:/"
    "|{name: x}|[1, a]|---|...|\\|é|<<: |? |0x|1_0|../|~/|.||\n|\t|\u2028|\x00"
)
PIECES = st.sampled_from([*WORDS.split("|"), "|"])


def attempt(content: bytes, sets: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r.yaml"
        path.write_bytes(content)
        try:
            outcome = load_arms(path, sets)
        except UsageError:
            return
        except RecipeError as error:
            str(error).encode()
            outcome = [fault for fault in error.faults if fault.position.line > 0 and fault.position.column > 0]
        assert outcome


quick = settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(st.lists(st.tuples(st.integers(0, len(TEXT)), st.integers(0, 12), PIECES), min_size=1, max_size=3))
def test_pieces_replaced(changes: list[tuple[int, int, str]]) -> None:
    text = TEXT
    for start, length, piece in changes:
        text = text[:start] + piece + text[start + length :]
    attempt(text.encode(), [])


@quick
@given(st.integers(0, len(LINES) - 1), PIECES)
def test_values_replaced(line: int, piece: str) -> None:
    key = LINES[line].partition(":")[0]
    attempt("".join([*LINES[:line], f"{key}: {piece}\n", *LINES[line + 1 :]]).encode(), [])


@quick
@given(st.permutations(range(len(LINES))).map(lambda order: order[:12]))
def test_lines_left_out(gone: list[int]) -> None:
    attempt("".join(line for number, line in enumerate(LINES) if number not in gone).encode(), [])


KEYS = (
    "seed teacher teacher.0 teacher.backend augmentation.0 augmentation.0.name selector matrix selector.name pool "
    "evaluation.benchmarks.0.dataset evaluation.benchmarks pool.problems.mix x.y matrix.seed matrix.selector.name "
    "epochs.0 student.model . a..b tags.0 teacher.0.0"
)
PATHS = st.sampled_from([*KEYS.split(" "), ""])


@quick
@given(st.lists(st.tuples(PATHS, st.one_of(PIECES, st.text(max_size=6))).map("=".join), min_size=1, max_size=3))
def test_sets(sets: list[str]) -> None:
    attempt(TEXT.encode(), sets)


@quick
@given(st.binary(max_size=60))
def test_bytes(content: bytes) -> None:
    attempt(content, [])
