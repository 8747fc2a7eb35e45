"""The verifier: each part by hand, and the whole on real solutions, right and wrong."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from fractions import Fraction
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from distill_app.errors import StageError
from distill_app.problems import word_problems
from distill_app.quality import _equations, verifier
from distill_app.recipe.model import build
from distill_app.records import Quality, Trace, Verdict

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
WEIGHTS = {"answer": 0.5, "steps": 0.25, "coherence": 0.15, "format": 0.1}


def options(**weights: float) -> verifier.Options:
    return build(verifier.Options, {"weights": {**WEIGHTS, **weights}})


def row(name: str, question: str, text: str, correct: bool) -> tuple[Trace, Verdict]:
    trace = Trace(name, name, question, "?", text, "t", "a", 0, 0, "stop")
    return trace, Verdict(name, "correct" if correct else "wrong", None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("16-3-4=9", [True]),
        ("48/2 = <<48/2=24>>24 clips", [True]),
        ("48/2 = <<48/2=23>>24 clips", [True, False]),
        ("She pays $3 x 5 = $<<3*5=15>>15.", [True]),
        ("3 × 5 = 15 and 15 ÷ 3 = 5", [True, True]),
        ("80,000 + 50,000 = 130,000", [True]),
        ("120 - 50 = 60 + 10 = 70", [True, True]),
        ("120 - 50 = 60 + 20 = 80", [False, True]),
        ("2 * (3 + 4) = 14", [True]),
        ("4(7) - 10 = 18", [True]),
        ("-3 + 5 = 2", [True]),
        ("- 3 + 5 = 8", [True]),  # a list mark, not a sign
        ("1. 3 + 4 = 7", [True]),
        ("2) 3 + 4 = 7", [True]),
        ("**3 + 4 = 7**", [True]),
        ("25*.25=6.25", [True]),
        ("20% * 50 = 10", [True]),
        ("100 - 40 = 60%", [True]),
        ("40/50 = 0.8 = 80%", [True]),
        ("50 / 3 = 16.67", [True]),
        ("50 / 3 = 16.66", [False]),
        ("50 / 3 = 17", [False]),
        ("120/7=17.142857142857142", [True]),  # as a double prints it, cut and not rounded
        (r"\frac{48}{2} = 24 and 3 \times 4 = 12", [True, True]),
        ("5 * 2 = $10.00/day", [True]),
        ("3 * 5 = 15 - just as she said", [True]),
        ("4 / 0 = 0", [False]),
        ("768 / 50 = 15.36 minutes, so 15", [True]),
        # No arithmetic on numbers alone: passed over.
        ("12 = 12", []),
        ("x + 5 = 12", []),
        ("2s + 30 = 110", []),
        ("10 ounces * 5 = 50", []),
        ("60 students x 2/3 = 40", []),
        ("12 x 1 and 1/4 = 15", []),
        ("x2 + 1 = 4", []),
        ("110 - 30 = 2s", []),
        ("3^2 + 1 = 10", []),
        ("6:48 + 10 = 58", []),
        ("5 + 5 >= 9, 5 + 5 != 9", []),
        ("1 1/2 = 1.5", []),
        ("(3 + 4 = 7", [True]),
        ("3 + = 7", []),
        ("", []),
    ],
)
def test_equations_found_and_recomputed(text: str, expected: list[bool]) -> None:
    assert [equation.holds for equation in _equations.find(text)] == expected


def test_hostile_text_is_read_in_time_and_without_a_crash() -> None:
    for text in ("(" * 50_000 + "=1", "1+" * 50_000 + "1=2", "9" * 50_000 + "+1=2", "-" * 41 + "1+1=2", "%=%"):
        assert all(not equation.holds for equation in _equations.find(text))


@given(st.text(alphabet="0123456789+-*/x×÷().,%$= <>and²٣", max_size=40))
@example("(/3 = 1")
@example("1 and 1/(4 = 2")
@example("²+1=3")
def test_no_text_breaks_the_parser(text: str) -> None:
    for equation in _equations.find(text):
        assert "=" in equation.text


@given(st.integers(0, 999), st.integers(1, 999), st.integers(1, 99), st.sampled_from("+-*/"))
def test_exact_arithmetic_agrees_with_python(a: int, b: int, c: int, operator: str) -> None:
    value = Fraction(b) / c if operator == "/" else {"+": b + c, "-": b - c, "*": b * c}[operator]
    (equation,) = _equations.find(f"So {a} + {b} {operator} {c} = {float(a + value):.4f}, I think")
    assert equation.holds
    (equation,) = _equations.find(f"So {a} + {b} {operator} {c} = {float(a + value + 1):.4f}, I think")
    assert not equation.holds


def test_score_by_hand() -> None:
    question = "Ann has 3 bags of 5 apples and 4 more. How many?"
    right = row("r", question, "3 * 5 = 15\n15 + 4 = 19\nAnswer: 19", True)
    # One of two equations holds; the question gives 3, 5 and 4, of which all are used.
    slip = row("s", question, "3 * 5 = 16\n16 + 4 = 20\nAnswer: 20\nBye!", False)
    guess = row("g", question, "Answer: 19", True)
    # Starting numbers 8 and 9 are not the question's: no overlap at all.
    lost = row("l", question, "8 * 9 = 72\nAnswer: 72", False)
    scored = verifier.score([right, slip, guess, lost], options())
    assert [q.id for q in scored] == ["r", "s", "g", "l"]
    assert scored[0] == Quality("r", 1.0, (("answer", 1.0), ("steps", 1.0), ("coherence", 1.0), ("format", 1.0)))
    assert scored[1].quality == pytest.approx(0.25 * 0.5 + 0.15 * 1 + 0.1 * 0.5)
    assert scored[2].quality == pytest.approx(0.5 + 0.1)
    assert scored[3].quality == pytest.approx(0.25 + 0.1)


def test_weights_need_not_add_up_to_one() -> None:
    rows = [row("r", "What is 3 + 4?", "3 + 4 = 8\nAnswer: 7", True)]
    assert verifier.score(rows, options(answer=6, steps=2, coherence=0, format=0))[0].quality == 0.75
    with pytest.raises(StageError, match="All weights"):
        verifier.score(rows, options(answer=0, steps=0, coherence=0, format=0))


def test_a_verdict_of_another_trace_is_refused() -> None:
    trace, _ = row("r", "", "", True)
    with pytest.raises(ValueError, match="'x' came with the trace 'r'"):
        verifier.score([(trace, Verdict("x", "correct", None, None))], options())


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        # 3 and 5 of the question used, 4 not: precision 1, recall 2/3.
        ("3 bags of 5, 4 friends", "3 * 5 = 15", Fraction(4, 5)),
        # 9 is foreign: precision 2/3, recall 1.
        ("3 bags of 5", "3 * 5 = 15\n15 * 9 = 135", Fraction(4, 5)),
        # 2 is anybody's: it does not count against.
        ("sides of 8 and 5", "8 + 5 = 13\n13 * 2 = 26", Fraction(1)),
        # Number words, and a percentage as its hundredth.
        ("three bags of twenty", "3 * 20 = 60", Fraction(1)),
        ("25% of 80", "0.25 * 80 = 20", Fraction(1)),
        ("25% of 80", "100 / 25 = 4\n80 / 4 = 20", Fraction(1)),
        ("half of 14", "1/2 * 14 = 7", Fraction(1)),
        ("3 bags of 5", "no arithmetic", Fraction(0)),
    ],
)
def test_coherence(question: str, text: str, expected: Fraction) -> None:
    assert verifier.coherence(question, _equations.find(text)) == pytest.approx(float(expected))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 1 = 2\nAnswer: 2", 1),
        ("**Final Answer:** 2\n\n", 1),
        ("so\n#### 2", 1),
        ("so\nA: 2", 1),
        ("so it is \\boxed{2}.", 1),
        ("The answer is 2.", 1),
        ("Answer: 2\nThat was fun!", 0.5),
        ("Answer: 3\nAnswer: 2", 0.5),
        ("Answer: 3\nAnswer: 2\nBye", 0.25),
        ("it is 2", 0),
        ("The answer to this is hard to see.", 0),
        ("", 0),
    ],
)
def test_form(text: str, expected: float) -> None:
    assert verifier.form_of(text) == expected


def test_a_worked_solution_of_every_family_scores_full_marks() -> None:
    for problem in word_problems.generate("train", 420, None, {}, "small", 0):
        (scored,) = verifier.score([row(problem.id, problem.question, problem.solution or "", True)], options())
        assert scored.quality == pytest.approx(1.0), (problem, scored)


def _real(path: str) -> list[dict[str, Any]]:
    if not (DATA / path).exists():
        pytest.skip("../shared/data is not here")
    with gzip.open(DATA / path, "rt") as lines:
        return [json.loads(line) for line in lines]


def test_real_human_solutions_score_high() -> None:
    rows = _real("benchmarks/gsm8k_train.jsonl.gz")[:2000]
    scored = verifier.score([row(r["id"], r["question"], r["solution"], True) for r in rows], options())
    assert median(q.quality for q in scored) > 0.9
    equations = [e for r in rows for e in _equations.find(r["solution"])]
    assert len(equations) > 6000
    # Human arithmetic, all but a few slips, recomputes.
    assert sum(e.holds for e in equations) / len(equations) > 0.995


def _above(chosen: verifier.Options) -> tuple[float, float]:
    """Shares of pairs (right, wrong) on one question whose right row scores above, and level with, the wrong one."""
    rows = _real("traces/gsm8k_openai_4teachers.jsonl.gz")
    scored = verifier.score([row(r["id"], r["question"], r["reasoning"], r["correct"]) for r in rows], chosen)
    groups: dict[tuple[str, bool], list[float]] = defaultdict(list)
    for r, q in zip(rows, scored, strict=True):
        groups[r["question"], r["correct"]].append(q.quality)
    pairs = [
        pair
        for question in {r["question"] for r in rows}
        for pair in product(groups[question, True], groups[question, False])
    ]
    assert len(pairs) == 1862
    return sum(a > b for a, b in pairs) / len(pairs), sum(a == b for a, b in pairs) / len(pairs)


def test_real_right_solutions_score_above_wrong_ones() -> None:
    with_answer, _ = _above(options())
    without, level = _above(options(answer=0))
    print(f"with the answer part: {with_answer:.3f} above; without: {without:.3f} above, {level:.3f} level")
    assert with_answer > 0.5
    # Without the answer the program sees only arithmetic and numbers: more often above than below, mostly level.
    assert without > 2 * (1 - without - level)
