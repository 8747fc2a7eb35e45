"""The Markdown report: everything is said, and data cannot become markup."""

from __future__ import annotations

import pytest

from distill_app.reports import markdown, selections
from tests.reports.result_example import BASE, example


def report(**changes: object) -> str:
    given: dict[str, object] = {
        "description": "What it is for.",
        "student": "builtin:smollm2-135m-instruct",
        "teachers": [markdown.Teacher("worked", "three styles", True), markdown.Teacher("r1", "", False)],
        "examples": [markdown.Example("words", "2 | 3?\n# <b>x</b>", "5", "I *think* 4", "wrong", "", "no_answer")],
        "figures": [markdown.Figure("scores.png", "Scores [with] intervals")],
        **changes,
    }
    return markdown.render(example(), **given)  # type: ignore[arg-type]


def test_the_report_says_what_was_run_and_what_came_out() -> None:
    text = report()
    for line in (
        "# tiny: Quality, seed 3",
        "- Student: builtin:smollm2-135m-instruct",
        "- Teacher: worked (a program that writes worked solutions, not a language model; three styles)",
        "- Teacher: r1 (a model)",
        "- Selector: Quality",
        "  - rows: 12",
        "    - wrong answer: 5",
        "  - temperature: 0.6",
        "| train | 40.0 |",
        "| all | 61.5 |",
        "- One note.",
        "Trained on 1,234 target tokens; 62 s in all.",
        "![Scores \\[with\\] intervals](scores.png)",
        "- after, no answer found: ",
    ):
        assert line in text.splitlines(), line
    assert "| words | avg@4 | 4 | 25.0 \\[" in text
    assert "| 56.2 \\[" in text
    assert "| +31.2 \\[" in text
    assert "| 0.0 to 25.0 | 25.0 to 6.2 | 0.0 to 6.2 |" in text
    assert "A teacher here is a program" in text


def test_the_selection_is_reported_as_the_selector_gave_it() -> None:
    selection = {
        "label": "DMC (inferred form)",
        "reads": ["nll", "quality"],
        "capability": {"mode": "anchors", "value": 0.4125},
        "facts": {
            "label": "DMC (inferred form)",
            "spearman_with_quality": 0.87654,
            "left_out": ["algebra | one", "sets"],
            "leaves": [{"skill": "A -> b", "share": 0.25, "rows": 1200, "low": None}],
        },
        "epochs": [
            {
                "epoch": 0,
                "rows": 12,
                "scored": 0,
                "seconds": 0.0,
                "capability": 0.4125,
                "overlap": None,
                "warnings": [],
            },
            {"epoch": 1, "rows": 12, "scored": 48, "seconds": 1.25, "capability": 0.5, "overlap": 0.2, "warnings": []},
        ],
    }
    result = example(selector="dmc", label="DMC (inferred form), dynamic", dynamic=True, selection=selection)
    text = markdown.render(result, description="", student="s", teachers=[])
    for line in (
        "# tiny: DMC (inferred form), dynamic, seed 3",
        "- Selector: DMC (inferred form), dynamic",
        "- Signals read: nll, quality",
        "- Capability of the student (every definition of it is inferred):",
        "  - value: 0.4125",
        "- spearman\\_with\\_quality: 0.8765",
        "- left\\_out: algebra \\| one, sets",
        "| skill | share | rows | low |",
        "| A -&gt; b | 0.25 | 1,200 | - |",
        "| 1 | 12 | 0 | 0 | 0.4125 | - |",
        "| 2 | 12 | 48 | 1.25 | 0.5 | 0.2 |",
    ):
        assert line in text.splitlines(), line
    assert "dmc" not in text


def test_warnings_of_the_selector_are_said_once_each() -> None:
    epochs = [
        {"epoch": 0, "warnings": []},
        {"epoch": 1, "warnings": ["Same.", "New."]},
        {"epoch": 2, "warnings": ["New."]},
    ]
    selection = {"label": "DMC (inferred form)", "warnings": ["Same."], "epochs": epochs}
    assert selections.warnings(selection) == [
        "DMC (inferred form): Same.",
        "DMC (inferred form) (before epoch 2): New.",
    ]


def test_long_tables_are_cut_and_say_so() -> None:
    leaves = [{"skill": f"s{place}"} for place in range(63)]
    text = markdown.render(example(selection={"facts": {"leaves": leaves}}), description="", student="s", teachers=[])
    assert "| s59 |" in text
    assert "| s60 |" not in text
    assert "3 more rows are in result.json." in text


def test_program_caveat_only_where_a_program_taught() -> None:
    assert "is a program" not in report(teachers=[markdown.Teacher("r1", "", False)])


def test_gains_that_are_none_are_named_as_such() -> None:
    text = markdown.render(example(trained=BASE), description="", student="s", teachers=[])
    assert "Not distinguishable from the untrained student: words avg@4, words pass@2, words maj@2." in text


def test_clusters_and_the_macro_average_are_said() -> None:
    sums = {"sums": (["cccc", "ccww"], ["wwww", "cwww"])}
    text = markdown.render(
        example(others=sums, clusters=["a", "a", "b", None]), description="", student="s", teachers=[]
    )
    assert "| words | avg@4 | 4 (3) |" in text
    assert "| macro | avg@4 | 6 (5) | 18.8" in text
    assert "problems that share a source are resampled together" in text
    assert "Macro is the mean of the benchmarks' scores" in text
    assert "intervals are over 3 clusters, not 4 problems" in text
    plain = report()
    assert "clusters" not in plain
    assert "Macro" not in plain


def test_data_stays_text() -> None:
    text = report()
    assert "2 \\| 3? \\# &lt;b&gt;x&lt;/b&gt; (gold: 5)" in text
    assert "I \\*think\\* 4" in text
    assert "<b>" not in text


@pytest.mark.parametrize(
    ("raw", "safe"),
    [
        ("1. item", "1\\. item"),
        ("- item", "\\- item"),
        ("0.5", "0.5"),
        ("-3", "-3"),
        ("a_b `c` $d$ [e](f) ![g]", "a\\_b \\`c\\` \\$d\\$ \\[e\\](f) \\!\\[g\\]"),
        ("<script>&amp;", "&lt;script&gt;&amp;amp;"),
        ("\\frac", "\\\\frac"),
    ],
)
def test_escape(raw: str, safe: str) -> None:
    assert markdown.escape(raw) == safe


def test_long_answers_are_cut_and_say_so() -> None:
    long = markdown.Example("words", "?", "5", "x" * 700, "wrong", "5", "correct")
    assert f"{'x' * 600} \\[100 more characters\\]" in report(examples=[long])
