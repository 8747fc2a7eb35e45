"""The leaderboard's tables, comparison and files; escaping of whatever people and models wrote."""

from __future__ import annotations

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from distill_app.errors import UsageError
from distill_app.reports import arms, inspect_row, leaderboard
from distill_app.ui import (
    answers,
    board,
    comparison,
    inspect_answers,
    inspect_asked,
    inspect_views,
    mathtext,
    pool,
    tables,
)
from distill_app.ui import inspect as inspect_page
from distill_app.ui import results as results_page
from tests.reports.result_example import BASE, TRAINED, example
from tests.ui import looked_into
from tests.ui.looked_into import BENCHMARK, MARKUP, MATHS, LookedInto

IDS = ("20261121-100000-aaaaaa", "20261121-100001-bbbbbb")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> LookedInto:
    return looked_into.write(tmp_path_factory.mktemp("tables") / "workspace")


def rows() -> list[Any]:
    return list(leaderboard.rows([example(IDS[0], "quality", TRAINED), example(IDS[1], "random", BASE, seed=4)]))


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:  # noqa: ARG002
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> _Tags:
    parser = _Tags()
    parser.feed(html)
    return parser


def cells(found: list[Any], columns: Any = tables.RUNS) -> list[dict[str, Any]]:
    table = tables.table(found, columns)
    return [dict(zip(table["headers"], line, strict=True)) for line in table["data"]]


def test_the_columns_of_a_run_hold_its_numbers() -> None:
    base, quality, random = cells(tables.chosen(rows(), "words", "avg@4"))
    # Trained: 4, 2, 1 and 2 of 4 right; untrained 2, 0, 1 and 1.
    assert (base["run"], base["score"], base["against the best"]) == ("", 25.0, "not trained")
    assert (quality["run"], quality["score"], quality["gain"], quality["n"]) == (IDS[0], 56.2, 31.2, "4")
    assert quality["open"] == f"[Inspect](./inspect?run={IDS[0]})"
    # The first four samples are cut; one of sixteen has no answer, and one timed out.
    assert [quality[f"{name} %"] for name in ("truncated", "no answer", "timed out")] == [25.0, 6.2, 6.2]
    assert (quality["trained tokens"], quality["seconds"]) == (1234, 62)
    # Four problems can tell nothing apart: 2**3 of 2**4 sign flips are as far out.
    assert quality["against the best"] == random["against the best"] == "the best, or within noise of it"
    assert random["gain"] == 0.0
    assert random["against the untrained"] == "not distinguishable from base"


def test_sorting_keeps_benchmarks_together_and_the_untrained_first() -> None:
    found = rows()
    by_gain = tables.in_order(tables.chosen(found, "words", "avg@4"), "gain, highest first")
    assert [row["selector"] for row in by_gain] == ["untrained", "quality", "random"]
    newest = tables.in_order(tables.chosen(found, "words", "avg@4"), "newest run")
    assert [row["selector"] for row in newest] == ["untrained", "random", "quality"]
    every = tables.in_order(found, "newest run")
    assert [row["metric"] for row in every] == ["avg@4"] * 3 + ["pass@2"] * 3 + ["maj@2"] * 3
    assert all(tables.in_order(found, name) for name in tables.SORTS)


def test_the_filter_takes_words_of_any_cell() -> None:
    found = tables.chosen(rows(), "words", "avg@4")
    assert [row["selector"] for row in tables.matching(found, tables.RUNS, "  QUALITY tiny")] == ["quality"]
    assert [row["selector"] for row in tables.matching(found, tables.RUNS, "bbbbbb")] == ["random"]
    assert tables.matching(found, tables.RUNS, "quality bbbbbb") == []
    assert tables.matching(found, tables.RUNS, " ") == found


def test_arms_average_their_seeds() -> None:
    one, two = example(IDS[0], seed=1, arm="a"), example(IDS[1], trained=BASE, seed=2, arm="a")
    found = list(arms.arms([one, two]))
    (row,) = cells(found, tables.ARMS)
    assert (row["seeds"], row["score"], row["over seeds"]) == (2, 40.6, "25.0 to 56.2, SD 22.1")
    assert row["against the best"] == "best"
    assert [name.name for name in tables.columns(tables.ARMS, found)][:3] == ["arm", "seeds", "score"]


def test_the_files_hold_what_is_shown() -> None:
    found = tables.chosen(rows(), "words", "avg@4")
    found = [{**row, "recipe": "=cmd|' /C calc'!A0"} for row in found]
    read = list(csv.DictReader(io.StringIO(tables.as_csv(found))))
    assert [row["score"] for row in read] == ["0.25", "0.5625", "0.25"]
    assert read[1]["recipe"] == "'=cmd|' /C calc'!A0"
    assert json.loads(tables.as_json(found)) == found
    lines = tables.as_markdown([{**found[1], "recipe": "a|<b>*"}], tables.RUNS).splitlines()
    assert lines[0].startswith("| run | selector | seed |")
    assert lines[2].endswith(r"| a\|\<b\>\* |")
    assert tables.as_csv([]) == ""


def test_shown_numbers_have_one_decimal_and_sort_as_numbers() -> None:
    found = tables.chosen(rows(), "words", "avg@4")
    columns = tables.columns(tables.RUNS, found)
    assert {"benchmark", "metric"}.isdisjoint(column.name for column in columns)
    styled = tables.styled(found, columns)
    assert styled.data["score"].tolist() == [25.0, 56.2, 25.0]
    assert ">25.0<" in styled.to_html()


def test_a_row_is_ticked_by_a_click_and_unticked_by_another() -> None:
    assert results_page.toggled([], [IDS[0], "", "Quality"], 2) == [IDS[0]]
    assert results_page.toggled([IDS[0]], [IDS[0], "", "Quality"], 2) == []
    assert results_page.toggled([], [IDS[0]], results_page.LINK) is None
    assert results_page.toggled([], ["", "", "Untrained"], 2) is None
    assert results_page.ticked_in(f"{IDS[1]},../x,{IDS[1]},20261121-100009-cccccc", rows()) == [IDS[1]]


def test_two_runs_compared(workspace: LookedInto) -> None:
    sides = comparison.operands(workspace.root, ["base", workspace.whole.id, workspace.other.id])
    assert [side.untrained for side in sides] == [False, False, True]
    sides = comparison.operands(workspace.root, [workspace.whole.id, workspace.other.id])
    result = comparison.found(sides)
    page = parsed(comparison.html(result))
    # By problem 1, .5, .25 and .5 against .5, 0, .25 and .25.
    assert "+31.2" in page.text
    assert "3 / 0 / 1" in page.text
    assert "training.learning_rate" in page.text
    assert MARKUP in page.text
    assert page.tags <= {"div", "table", "thead", "tbody", "tr", "th", "td", "br", "span", "p", "h3", "strong"}
    (name,) = comparison.pairs(result)
    problems = comparison.problems(sides, result, name)
    assert [parsed(problems).text.count(word) for word in ("p0", "p1", "p2", "p3", "1 wins")] == [1, 1, 0, 1, 3]
    link = f"./inspect?run={workspace.whole.id}&amp;benchmark=words&amp;problem=p0&amp;with={workspace.other.id}"
    assert link in problems
    with pytest.raises(UsageError):
        comparison.found(sides[:1])


def test_the_board_is_made_anew_when_a_result_changes(tmp_path: Path) -> None:
    made = looked_into.write(tmp_path)
    first = board.of(tmp_path)
    assert board.of(tmp_path) is first
    assert len(first.rows) == 9
    (made.other.folder / "result.json").unlink()
    assert len(board.of(tmp_path).rows) == 6


def test_mathematics_is_set_and_everything_else_is_text() -> None:
    inline, display = "\ue000{}\ue001", "\ue002{}\ue003"
    assert mathtext.rendered(r"\(a<b\) $x$ $$y$$ \boxed{\frac{1}{2}}") == " ".join(
        [inline.format(r"a\lt b"), inline.format("x"), display.format("y"), inline.format(r"\boxed{\frac{1}{2}}")]
    )
    assert mathtext.rendered("$5 and $6") == "&#36;5 and &#36;6"
    assert mathtext.rendered("  # <b>\n- x") == "&nbsp;&nbsp;&#35; &#60;b&#62;\n&#45; x"
    assert not set(mathtext.rendered(MARKUP)) & set("<>[]()*\"'/:")
    assert mathtext.rendered("a\ue000x\ue001") == "ax"
    assert mathtext.rendered("x" * (mathtext.LONGEST + 5)).endswith("… and 5 more characters")


def test_a_row_shows_its_text_as_text(workspace: LookedInto) -> None:
    found = inspect_row.row(pool.of_run(workspace.root, workspace.whole), "p1/r1")
    page = parsed(inspect_views.row(found))
    assert f"ann {MARKUP}, chain_of_thought, sample 0" in page.text
    assert "kept: 1 of 3; score 0.9" in page.text
    assert page.tags <= {"div", "table", "thead", "tbody", "tr", "th", "td", "em"}
    text = inspect_views.trace(found)
    assert "<" not in text
    assert "\ue002\\frac{1}{2}\ue003" in text
    assert MATHS.count("boxed") == text.count("\\boxed{4}")


def test_answers_before_and_after(workspace: LookedInto) -> None:
    students = answers.graded(workspace.root, workspace.whole)[BENCHMARK]
    assert set(students) == {"base", "trained"}
    found = answers.problems(students)
    assert [(answers.share(one, "base"), answers.share(one, "trained")) for one in found] == [
        ("2 of 4", "4 of 4"),
        ("0 of 4", "2 of 4"),
        ("1 of 4", "1 of 4"),
        ("1 of 4", "2 of 4"),
    ]
    fits = {name: [one.id for one in found if one.fits(name)] for name in answers.FILTERS}
    # cccc ccww cwwx cctn after, ccww wwww cwwn cnnn before; the first four answers after training are cut.
    assert list(fits.values()) == [
        ["p0", "p1", "p2", "p3"],
        ["p0", "p1", "p3"],
        [],
        ["p2"],
        ["p1", "p2"],
        ["p3"],
        ["p3"],
        ["p0"],
    ]
    values = inspect_answers.first(workspace.root, workspace.whole, {"problem": "p1", "with": "../../etc"})
    assert values[1] == ""
    assert values[4].value == "p1"
    assert "wrong" in values[8]
    assert "correct" in values[9]
    assert "<" not in values[8] + values[9]


def test_an_address_is_looked_up(workspace: LookedInto) -> None:
    assert inspect_asked.of_address(workspace.root, {"run": "../artifacts"}) is None
    assert inspect_asked.of_address(workspace.root, {"run": workspace.whole.id}) == workspace.whole
    newest = inspect_asked.of_address(workspace.root, {})
    assert newest == workspace.other
    assert inspect_asked.selection(workspace.root, newest) is None


def test_without_runs_a_sentence_with_a_link(tmp_path: Path) -> None:
    said, content, *_ = results_page.first(tmp_path, "")
    assert "No run has finished yet." in said.value
    assert 'href="./"' in said.value
    assert not content.visible
    said, _, picker, *_ = inspect_page.head(tmp_path, {})
    assert 'href="./"' in said.value
    assert not picker.visible


def test_an_unknown_run_is_a_sentence(workspace: LookedInto) -> None:
    said, shown, *_ = inspect_page.head(workspace.root, {"run": "<script>"})
    assert "There is no such run" in said.value
    assert shown == ""
    headline = inspect_page.head(workspace.root, {"run": workspace.other.id})[4]
    assert "has no selection yet" in headline
