"""The leaderboard: order, words, width, and how fast it is to import."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from distill_app.reports import leaderboard
from distill_app.resources import folder
from tests.reports.result_example import BASE, TRAINED, as_version_2, example


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
    few = {"gain": 0.1, "gain_ci_low": low, "gain_ci_high": high, "gain_p": 0.06}
    assert leaderboard.verdict(few) == "not distinguishable from base"
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


SAME: dict[str, Any] = {"base": None, "settings": {"evaluation": {"temperature": 0.6}}}


def test_rows_within_noise_of_the_best_are_marked() -> None:
    """Eight problems. One with one sample less is -1/4 at one problem; all wrong is -1 at each: 2 of 256 patterns."""
    best, near, far = ["cccc"] * 8, ["cccw", *["cccc"] * 7], ["wwww"] * 8
    given = [example(name, trained=rows, **SAME) for name, rows in (("r1", best), ("r2", near), ("r3", far))]
    rows = {row["run"]: row for row in leaderboard.rows(given) if row["metric"] == "avg@4"}
    assert {run: row["within_noise"] for run, row in rows.items()} == {"r1": True, "r2": True, "r3": False}
    text = leaderboard.as_text(leaderboard.rows(given))
    assert text.count("~ best") == 2 + 1, "two rows and the caption"
    assert {row["within_noise"] for row in leaderboard.rows(given) if row["metric"] != "avg@4"} == {None}
    for row in leaderboard.rows(given):
        board_schema().validate([json.loads(json.dumps(row))])
        assert not board_schema().is_valid([{**row, "extra": 1}])


def test_holm_keeps_one_of_many_from_being_called_worse_by_chance() -> None:
    """-1/2 at six of eight problems has p = 2/64: alone below 5 %, beside one that is as close not."""
    best, behind = ["cccc"] * 8, [*["ccww"] * 6, "cccc", "cccc"]
    alone = [example("r1", trained=best, **SAME), example("r2", trained=behind, **SAME)]
    assert [found["words", "avg@4"] for found in leaderboard.standings(alone)] == [True, False]
    beside = [*alone, example("r3", trained=behind[::-1], **SAME)]
    assert [found["words", "avg@4"] for found in leaderboard.standings(beside)] == [True, True, True]


def test_runs_that_cannot_be_paired_have_no_standing() -> None:
    runs = [
        example("r1"),
        example("shorter", trained=TRAINED[:3], base=BASE[:3]),
        example("hotter", settings={"evaluation": {"temperature": 1.0}}),
        example("asked other questions", questions=["a", "b", "c", "d"]),
        as_version_2(example("old")),
    ]
    rows = leaderboard.rows(runs)
    assert {row["within_noise"] for row in rows} == {None}
    old = next(row for row in rows if row["run"] == "old")
    assert (old["se"], old["n_clusters"]) == (None, None)
    for row in rows:
        board_schema().validate([json.loads(json.dumps(row))])


def test_the_macro_average_stands_last_and_has_a_standing() -> None:
    others = {"zeros": (["cccc", "wwww"], ["wwww", "wwww"])}
    rows = leaderboard.rows([example("r1", others=others), example("r2", trained=BASE, others=others)])
    assert list(dict.fromkeys(row["benchmark"] for row in rows)) == ["words", "zeros", "macro"]
    macro = [row for row in rows if (row["benchmark"], row["metric"]) == ("macro", "avg@4")]
    assert [(row["run"], row["within_noise"]) for row in macro[1:]] == [("r1", True), ("r2", True)]


def test_clusters_are_shown_beside_the_problems() -> None:
    text = text_of([example(clusters=["a", "a", "b", "b"])])
    assert "4 (2)" in text
    assert max(map(len, text.splitlines())) <= 100


def board_schema() -> jsonschema.Draft202012Validator:
    from referencing import Registry, Resource

    loaded = {
        name: json.loads((folder("schemas") / f"{name}.schema.json").read_text(encoding="utf-8"))
        for name in ("result", "leaderboard")
    }
    registry = Registry().with_resource(loaded["result"]["$id"], Resource.from_contents(loaded["result"]))
    return jsonschema.Draft202012Validator(loaded["leaderboard"], registry=registry)


def test_import_loads_no_numerical_library() -> None:
    program = (
        "import sys, distill_app.reports.leaderboard, distill_app.reports.result, distill_app.reports.plots, "
        "distill_app.reports.markdown, distill_app.reports.compare, distill_app.reports.compare_text, "
        "distill_app.reports.arms, distill_app.reports.arms_text, "
        "distill_app.reports.inspect, distill_app.reports.inspect_row, distill_app.reports.inspect_text, "
        "distill_app.evaluation.grading\n"
        "heavy = {'numpy', 'scipy', 'sympy', 'math_verify', 'matplotlib', 'rich', 'torch', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
