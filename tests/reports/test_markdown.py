"""The Markdown report: everything is said, and data cannot become markup."""

from __future__ import annotations

import pytest

from distill_app.reports import markdown
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
        "# tiny: quality, seed 3",
        "- Student: builtin:smollm2-135m-instruct",
        "- Teacher: worked (a program that writes worked solutions, not a language model; three styles)",
        "- Teacher: r1 (a model)",
        "- Selector: quality",
        "  - rows: 12",
        "    - wrong answer: 5",
        "- evaluation.temperature: 0.6",
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


def test_program_caveat_only_where_a_program_taught() -> None:
    assert "is a program" not in report(teachers=[markdown.Teacher("r1", "", False)])


def test_gains_that_are_none_are_named_as_such() -> None:
    text = markdown.render(example(trained=BASE), description="", student="s", teachers=[])
    assert "Not distinguishable from the untrained student: words avg@4, words pass@2, words maj@2." in text


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
