"""The figures and the pool they draw: numbers counted by hand, and the same as `inspect` finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill_app.reports import arms, inspect, inspect_row, leaderboard, selections
from distill_app.reports.selections import Selection
from distill_app.store.runs import Run
from distill_app.ui import figures, inspect_pool, inspect_views, pool
from distill_app.ui.pool import Pool
from tests import hand_made_selection as hand
from tests.reports.result_example import BASE, TRAINED, example


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """Two of three epochs: rows 1, 2 and 4, then 1, 3 and 4."""
    root = tmp_path_factory.mktemp("figures")
    second = hand.epoch(1, [0, 2, 3], scored=5, capability=0.5, overlap=0.5, warnings=["Hm <b>."])
    return root, hand.write(root, planned=3, epochs=[hand.epoch(0, [0, 1, 3]), second])


@pytest.fixture(scope="module")
def drawn(run: tuple[Path, Run]) -> Pool:
    return pool.of_run(*run)


@pytest.fixture(scope="module")
def selection(run: tuple[Path, Run]) -> Selection:
    return selections.of_run(*run)


def traces(figure: Any) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in json.loads(figure.to_json())["data"]}


def test_forest_draws_scores_with_their_intervals() -> None:
    rows = leaderboard.rows([example("r1", "quality", TRAINED, label="A<b>&"), example("r2", "random", BASE)])
    avg = [row for row in rows if row["metric"] == "avg@4"]
    found = traces(figures.forest(avg))
    near = found["best, or within noise of it"]
    assert near["x"] == [56.25, 25.0]
    best = max(avg, key=lambda row: row["score"])
    assert near["error_x"]["array"][0] == pytest.approx((best["ci_high"] - best["score"]) * 100)
    assert near["error_x"]["arrayminus"][0] == pytest.approx((best["score"] - best["ci_low"]) * 100)
    assert found["untrained"]["x"] == [25.0]
    layout = json.loads(figures.forest(avg).to_json())["layout"]
    assert layout["yaxis"]["ticktext"][1].startswith("A&lt;b&gt;&amp;, seed 3")
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
    assert (layout["shapes"][0]["x0"], layout["shapes"][0]["x1"]) == pytest.approx(
        (best["ci_low"] * 100, best["ci_high"] * 100)
    )
    assert len(traces(figures.forest(avg, 1))["best, or within noise of it"]["x"]) == 1
    found = traces(figures.forest(arms.arms([example("r1"), example("r2", trained=BASE, seed=4)])))
    assert found["best, or within noise of it"]["x"] == [40.625]


def test_the_pool_is_the_selection(drawn: Pool, selection: Selection) -> None:
    assert drawn.kept == selection.kept
    assert drawn.candidates == selection.candidates
    np.testing.assert_equal(drawn.scores, selection.scores)
    assert drawn.tokens == selection.tokens
    for name in hand.NAMES:
        assert repr(inspect_row.row(drawn, name)) == repr(inspect_row.row(selection, name))
    assert drawn.size == 8
    assert drawn.ranks.tolist() == [1, 2, 3, 4, 5, 6]
    # The best kept by rank, then the best left.
    assert drawn.first(2) == [hand.NAMES[place] for place in (0, 1, 2, 4)]


def test_counts_are_those_of_inspect(drawn: Pool, selection: Selection) -> None:
    found = inspect.overview(selection, 10)
    tables = found["composition"]["tables"]
    for name in ("teacher", "augmentation", "graded answer"):
        expected = [(one["value"], one["pool"], one["candidates"], one["kept"]) for one in tables[name]]
        assert drawn.composition(name) == expected
    skills = {one["value"]: (one["pool"], one["candidates"], one["kept"]) for one in tables["skill"]}
    tops = {one["value"]: (one["pool"], one["candidates"], one["kept"]) for one in tables["skill, top level"]}
    tree = {node.chain: (node.pool, node.candidates, node.kept) for node in drawn.tree}
    assert list(tree) == ["A", "A -> x", "A -> y", "B", "B -> z"]
    assert tree == {name: figures for name, figures in (skills | tops).items() if name != "no skill"}
    assert inspect.reasons(drawn.reasons) == found["reasons"]
    epochs = found["epochs"]
    times = drawn.trained_in.sum(axis=0)
    assert (times == 2).sum() == epochs["core"] == 2
    assert (times == 1).sum() == epochs["elective"] == 2
    assert (times == 0).sum() == epochs["never"] == 2


def test_scatter_shows_every_candidate_with_both_values(drawn: Pool) -> None:
    figure, said = figures.pool_scatter(drawn, "quality", "nll", "kept or left")
    found = traces(figure)
    assert found["kept"]["x"] == [1.0, 0.8, 0.6]
    assert found["kept"]["y"] == [0.5, 1.0, 2.0]
    assert found["left"]["customdata"] == [hand.NAMES[place] for place in (2, 4, 5)]
    assert min(found["kept"]["marker"]["size"]) > max(found["left"]["marker"]["size"])
    assert said.startswith("6 candidates of 8 rows in the pool. 2 rows are no candidates")
    figure, said = figures.pool_scatter(drawn, "pass_rate", "score", "graded answer")
    assert {name: len(one["x"]) for name, one in traces(figure).items()} == {"correct": 4}
    assert "2 lack one of the two values." in said
    assert drawn.words("teacher").names == ["ann", "bob"]
    assert drawn.words("skill").names == ["A", "B", "no skill"]
    assert inspect_pool.first(drawn)[0].value == "nll"


def test_a_large_pool_is_sampled_with_its_kept_rows() -> None:
    there = np.arange(100_000)
    kept = there % 1000 == 0
    few = figures.sample(there, kept)
    assert len(few) == figures.DRAWN
    assert (few % 1000 == 0).sum() == 100, "all that were kept"
    many = figures.sample(there, there % 2 == 0)
    assert (many % 2 == 0).sum() == figures.DRAWN // 2
    assert np.array_equal(many, figures.sample(there, there % 2 == 0)), "the same at every visit"
    assert len(figures.sample(there[:10], kept[:10])) == 10


def test_histogram_counts_and_the_cut(drawn: Pool) -> None:
    figure, said = figures.histogram(drawn, "score")
    found = traces(figure)
    assert (sum(found["kept"]["y"]), sum(found["left"]["y"])) == (3, 3)
    # Bins of (0.9 - 0.1) / 50: the cut row, 0.5, is in the middle.
    assert found["kept"]["y"][25] == 1
    (line,) = json.loads(figure.to_json())["layout"]["shapes"]
    assert line["x0"] == line["x1"] == 0.5
    assert said == (
        "6 of 6 candidates have a value. The cut: the last row kept has rank 4 and score 0.5. "
        "1 ranked before it were left for other reasons."
    )
    figure, said = figures.histogram(drawn, "pass_rate")
    assert said == "4 of 6 candidates have a value."
    assert sum(traces(figure)["kept"]["y"]) == 3


def test_the_skill_tree_with_accuracy(drawn: Pool) -> None:
    tree = [
        pool.Skill("A", 8, 4, 3, None, None, None, None),
        pool.Skill("A -> x", 6, 4, 1, 0.5, 0.25, 1.0, 8),
    ]
    found = traces(figures.skills(tree))
    assert found["selected, % of its candidates"]["x"] == [75.0, 25.0]
    accuracy = found["accuracy of the untrained student, %"]
    assert (accuracy["x"], accuracy["y"]) == ([50.0], [1])
    assert (accuracy["error_x"]["array"], accuracy["error_x"]["arrayminus"]) == ([50.0], [25.0])
    assert json.loads(figures.skills(tree).to_json())["layout"]["yaxis"]["ticktext"] == ["<b>A</b>", "└ x"]
    assert list(traces(figures.skills(drawn.tree))) == ["selected, % of its candidates"]


def test_rows_in_and_out_of_the_epochs(drawn: Pool) -> None:
    assert drawn.flows() == [
        {"epoch": 1, "stayed": 0, "came": 3, "went": 0},
        {"epoch": 2, "stayed": 2, "came": 1, "went": 1},
    ]
    assert drawn.patterns() == [
        ("in in", 2, hand.NAMES[0]),
        ("in out", 1, hand.NAMES[1]),
        ("out in", 1, hand.NAMES[2]),
        ("out out", 2, hand.NAMES[4]),
    ]
    found = traces(figures.epochs(drawn.flows()))
    assert (found["came in"]["y"], found["went out"]["y"]) == ([3, 1], [0, -1])
    text = inspect_views.epochs(drawn)
    assert "<strong>2</strong> in every epoch so far (core)" in text
    assert "Hm &lt;b&gt;." in text


def test_what_plotly_would_read_as_markup_is_text() -> None:
    assert figures.text('<a href="http://example.test">x</a> $y$ &amp;') == (
        '&lt;a href="http://example.test"&gt;x&lt;/a&gt; &#36;y&#36; &amp;amp;'
    )
    assert figures.text("x" * 100, 10) == "x" * 9 + "…"
