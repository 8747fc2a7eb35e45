"""The leaderboard: order, words, width, and how fast it is to import."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from distill_app.reports import leaderboard
from tests.reports.result_example import BASE, TRAINED, example


def text_of(results: list[Any], width: int = 100) -> str:
    stream = StringIO()
    Console(file=stream, width=width, color_system=None).print(leaderboard.render(leaderboard.rows(results)))
    return stream.getvalue()


def test_rows_are_sorted_and_share_one_untrained_line() -> None:
    weak, strong = example("r1", "random", BASE), example("r2", "quality", TRAINED)
    rows = leaderboard.rows([weak, strong])
    assert [(row["metric"], row["selector"]) for row in rows] == [
        *[("avg@4", name) for name in ("untrained", "quality", "random")],
        *[("pass@2", name) for name in ("untrained", "quality", "random")],
        *[("maj@2", name) for name in ("untrained", "quality", "random")],
    ]
    other_base = example("r3", "random", BASE, base=["cccc", "cccc", "wwww", "wwww"])
    assert sum(row["selector"] == "untrained" for row in leaderboard.rows([weak, other_base])) == 6


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.01, 0.2, "better than base"),
        (-0.2, -0.01, "worse than base"),
        (-0.01, 0.2, "not distinguishable from base"),
        (0.0, 0.2, "not distinguishable from base"),
        (None, None, "not distinguishable from base"),
    ],
)
def test_gain_in_words(low: float | None, high: float | None, words: str) -> None:
    assert leaderboard.verdict({"gain": 0.1, "gain_ci_low": low, "gain_ci_high": high}) == words
    assert leaderboard.verdict({"gain": None, "gain_ci_low": None, "gain_ci_high": None}) == ""


def test_numbers_as_text() -> None:
    row = {"score": 0.305, "ci_low": 0.25, "ci_high": 1.0, "gain": -0.031, "gain_ci_low": -0.1, "gain_ci_high": 0.0404}
    assert leaderboard.score_text(row) == "30.5 [25.0, 100.0]"
    assert leaderboard.gain_text(row) == "-3.1 [-10.0, +4.0]"
    assert leaderboard.gain_text({"gain": None}) == "-"


def test_the_table_shows_everything_within_100_columns() -> None:
    results = [
        example("20260101-120000-a-rather-long-recipe-name-quality-0123abcd"),
        example("[b]r2[/b]", "random", BASE),
    ]
    text = text_of(results)
    assert max(map(len, text.splitlines())) <= 100
    assert "56.2 [" in text
    assert "+31.2 [" in text
    assert "not distinguishable from" in text
    assert "25.0/6.2/6.2" in text
    assert "r2[/b]" in text
    assert text.count("Untrained") == 3
    assert text.index("Untrained") < text.index("Quality, seed 3") < text.index("Random, seed 3")


def test_import_loads_no_numerical_library() -> None:
    program = (
        "import sys, distill_app.reports.leaderboard, distill_app.reports.result, distill_app.reports.plots, "
        "distill_app.reports.markdown, distill_app.reports.arms, distill_app.reports.arms_text, "
        "distill_app.reports.inspect, distill_app.reports.inspect_row, distill_app.reports.inspect_text, "
        "distill_app.evaluation.grading\n"
        "heavy = {'numpy', 'scipy', 'sympy', 'math_verify', 'matplotlib', 'rich', 'torch', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
