"""Finding answers and comparing them, by hand-made cases. `test_checker_cases` has the long lists."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from distill_app.evaluation.answers import extract
from distill_app.evaluation.boxes import last_boxed
from distill_app.evaluation.equivalence import compare, quick
from distill_app.evaluation.numbers import as_number, as_words


@pytest.mark.parametrize(
    ("text", "gold", "answer", "rule"),
    [
        ("<think>It is 4.</think>So \\boxed{5}.", "5", "5", "boxed"),
        ("<think>It is \\boxed{4}.</think>\nAnswer: 5", "5", "5", "answer_line"),
        ("<think>first \\boxed{3}", "3", None, "unclosed_think"),
        ("opened by the template \\boxed{1}</think> \\boxed{2}", "2", "2", "boxed"),
        ("\\boxed{1} then \\boxed{\\frac{1}{2}}", "0.5", "\\frac{1}{2}", "boxed"),
        ("\\boxed{1} or \\boxed{2}", "2", "1, 2", "boxed"),
        ("\\boxed{7} and then \\boxed{}", "7", "7", "boxed"),
        ("cut off in \\boxed{12", "12", "12", "last_number"),
        ("Answer: 4\nNo, wait.\nAnswer: 5 apples.", "5", "5 apples", "answer_line"),
        ("**Final answer:** $x = 3$", "3", "x = 3", "answer_line"),
        ("The answer is 27 because 3 * 9 = 27.", "27", "27", "answer_line"),
        ("The answer is 9 + 18 = 27. I am sure.", "27", "27", "answer_line"),
        ("#### 1,200", "1200", "1,200", "answer_line"),
        ("the answer is $1,234.50.", "1234.5", "$1,234.50", "answer_line"),
        ("Final Answer: The volume of $ABCD$ is 120.", "120", "120", "answer_line"),
        ("1,000.5", "1", "1,000.5", "bare"),
        ("so 3 x 4 = 12 apples.", "12", "12", "last_number"),
        ("We get $x^2$ and then $\\frac{x}{2}$.", "x", "\\frac{x}{2}", "last_formula"),
        ("We get $x$ and then 7 of them, -3 in all", "x", "-3", "last_number"),
        ("no idea at all", "3", None, None),
        ("", "3", None, None),
    ],
)
def test_extract_takes_the_rules_in_their_order(text: str, gold: str, answer: str | None, rule: str | None) -> None:
    assert extract(text, gold) == (answer, rule)


def test_extract_never_uses_the_value_of_the_gold() -> None:
    text = "The answer is 9 or 18 or 27."
    assert extract(text, "27") == extract(text, "18") == extract(text, "1000")


def test_no_text_can_stall_the_extraction() -> None:
    """In a process of its own, so that a rule with quadratic cost (minutes on these texts) fails and does not hang."""
    program = (
        "from distill_app.evaluation.answers import extract\n"
        "pieces = ['\\\\(', '\\\\[', '$', '$$', '\\\\boxed{', '\\\\boxed{1} and ', 'answer',"
        " ' ', '*', '1', '1,', '<think>']\n"
        "for piece in pieces:\n"
        "    for gold in ('5', 'x+1'):\n"
        "        extract('answer' + piece * 100_000, gold)\n"
        "print('done')\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "done\n"


def test_boxes_far_apart_are_not_one_list() -> None:
    assert last_boxed("\\boxed{1} papers and \\boxed{2} bins", several=True) == "1, 2"
    assert last_boxed("\\boxed{1} papers and \\boxed{2} bins") == "2"
    assert last_boxed("\\boxed{1} no no no no no \\boxed{2}", several=True) == "2"


@pytest.mark.parametrize(
    ("text", "value", "percent"),
    [
        ("27", "27", False),
        ("-3.50", "-3.50", False),
        ("$1,234.50", "1234.50", False),
        ("\\$32,\\!348", "32348", False),
        ("11,\\! 111,\\! 100", "11111100", False),
        ("12\\,345\\,678", "12345678", False),
        ("39 apples", "39", False),
        ("5.4 \\text{ cents}", "5.4", False),
        ("864 \\mbox{ inches}^2", "864", False),
        ("90^\\circ", "90", False),
        ("33.5\\%", "33.5", True),
        ("33.5 percent", "33.5", True),
        (".185", "0.185", False),
    ],
)
def test_plain_numbers_are_read(text: str, value: str, percent: bool) -> None:
    number = as_number(text)
    assert number is not None
    assert (number.value, number.percent) == (Decimal(value), percent)


@pytest.mark.parametrize(
    "text",
    ["2k", "3 million", "\\frac{1}{2}", "1/2", "1,2345", "0,111", "2^{3}", "3 pi", "52_8", "x", "1, 2", "5 x", ""],
)
def test_what_is_no_plain_number_is_left_to_algebra(text: str) -> None:
    assert as_number(text) is None


def test_words() -> None:
    assert as_words("\\text{(C)}") == as_words("C") == "c"
    assert as_words("\\text{East}") == "east"
    assert as_words("p") is None
    assert as_words("xyz") is None
    assert as_words("\\cot x") is None


@pytest.mark.parametrize(
    ("extracted", "gold", "same"),
    [
        ("27.0", "27", True),
        ("$1,000", "1000", True),
        ("5.001", "5", False),
        ("39 apples", "39", True),
        ("28", "28\\%", True),
        ("0.28", "28\\%", True),
        ("2.8", "28\\%", False),
        ("28\\%", "27\\%", False),
        ("east", "\\text{East}", True),
        ("west", "\\text{East}", False),
        ("(B)", "\\text{(C)}", False),
        ("100000000001000000000", "100000000000000000000", False),
        ("\\frac{1}{2}", "\\frac{1}{2}", True),
        ("\\frac{1}{2}", "0.5", None),
        ("9^{9^{9^{9}}}", "1", False),
        ("9^{9^{9^{9}}}+1", "1", None),
    ],
)
def test_quick(extracted: str, gold: str, same: bool | None) -> None:
    assert quick(extracted, gold) is same


@pytest.mark.parametrize(
    ("extracted", "gold", "same"),
    [
        ("\\frac{2}{4}", "0.5", True),
        ("x = 3", "3", True),
        ("2\\sqrt{3}", "\\sqrt{12}", True),
        ("(2, 1)", "(1, 2)", False),
        ("\\{2, 1\\}", "\\{1, 2\\}", True),
        ("-1 + sqrt(3)", "\\sqrt{3} - 1", True),
        ("x^2-1", "(x-1)(x+1)", True),
        ("x^2+1", "(x-1)(x+1)", False),
        ("open('marker', 'w').write('x') or 0", "0", False),
    ],
)
def test_compare_by_algebra(extracted: str, gold: str, same: bool) -> None:
    assert compare(extracted, gold) is same
