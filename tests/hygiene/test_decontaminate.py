"""Decontamination: words and runs by hand, then a published training set with 803 test questions in it."""

from __future__ import annotations

import gzip
import json

import pytest

from distill_app.hygiene.decontaminate import Benchmark, check, overlaps, same_form, words
from distill_app.problems import word_problems
from distill_app.records import Trace
from tests.hygiene.rows import problem, shared, trace


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Janet\u2019s ducks lay 16 eggs.", "janets ducks lay 16 eggs"),
        ("It costs $1,200.50, or \uff11\uff12%.", "it costs 1200 50 or 12"),
        ("Let $\\frac{1}{2} \\le \\left(x\\right)^{2}$.", "let 1 2 le x 2"),
        ("Find \\begin{align*}\\sqrt{x_1}\\end{align*} \\text{now}", "find sqrt x 1 now"),
        ("See [asy]draw((0,0)--(1,1));\n[/asy] here", "see here"),
        ("10{,}000 men,\nwell-known", "10000 men well known"),
        ("", ""),
    ],
)
def test_words(text: str, found: str) -> None:
    assert " ".join(words(text)) == found


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("What is $3 + 4$?", "what is 3+4", True),
        ("What is 3+4?", "What is 3-4?", False),
        ("Find $\\dfrac{1}{2}$.", "Find \\frac{1}{2}", True),
        ("Find x.", "Find y.", False),
    ],
)
def test_whole_questions(first: str, second: str, same: bool) -> None:
    assert (same_form(first) == same_form(second)) is same
    found = overlaps([("a", [second])], [Benchmark("b", [problem("p", first)])], 13)
    assert ("a" in found) is same
    assert not same or (found["a"].other, found["a"].same) == ("b/p", True)


LETTERS = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"]


def test_runs_by_hand() -> None:
    benchmarks = [
        Benchmark("one", [problem("p2", "x x " + " ".join(LETTERS[:6])), problem("p1", " ".join(LETTERS[2:9]))]),
        Benchmark("two", [problem("p9", " ".join(LETTERS[10:]))]),
    ]
    rows = {
        "both": [" ".join(LETTERS[:9])],  # 3 runs of 4 with p2 (a-f), 4 with p1 (c-i)
        "broken": ["a b c z d e f"],
        "short": ["a b c"],
        "second text": ["nothing", "K, L: M (n)"],
        "three": ["a b c d"],
        "twice": ["k l m n z z l m n o p"],  # 1 run, then 2
    }
    found = overlaps(rows.items(), benchmarks, 4)
    assert {name: (row.other, " ".join(row.shared), row.same) for name, row in found.items()} == {
        "both": ("one/p1", "c d e f g h i", False),
        "second text": ("two/p9", "k l m n", False),
        "three": ("one/p2", "a b c d", False),
        "twice": ("two/p9", "l m n o p", False),
    }


def test_the_wording_that_many_questions_of_a_benchmark_share_is_no_evidence() -> None:
    asked = [f"thing number {n} is which of these four things" for n in range(11)]
    row = [("a", ["my own is which of these four things"])]
    few = [problem(f"p{n:02d}", question) for n, question in enumerate(asked[:10])]
    many = [problem(f"p{n:02d}", question) for n, question in enumerate(asked)]
    assert overlaps(row, [Benchmark("b", few)], 5)["a"].problem_id == "p00"
    assert overlaps(row, [Benchmark("b", many)], 5) == {}
    assert overlaps([("a", [asked[3]])], [Benchmark("b", many)], 5)["a"].problem_id == "p03"


def test_which_texts_of_a_trace_are_looked_at() -> None:
    question = "A farmer has nine sheep and all but two run away at night"
    benchmark = [Benchmark("b", [problem("p", question)])]
    rows = [
        trace("asked", question=f"Please tell: {question}?"),
        trace("rephrased", question="How many stay?", original_question=question),
        trace("told", f"{question}: so 2."),
        trace("written", question, task="backward_question"),
        trace("clean"),
    ]
    found = check(rows, benchmark, 8)
    assert found.keys() == {"asked", "rephrased", "written"}
    shown = "a farmer has nine sheep and all but two run away at night"
    assert found["asked"].said == f"contaminated; 13 words in common with b/p: {shown}"
    assert found["rephrased"].said == f"contaminated; the same question as b/p: {shown}"
    assert found["asked"].other == "b/p"


def test_builtin_problems_are_compared_whole() -> None:
    pool = word_problems.generate("train", 2000, None, {}, "small", 0)
    test = word_problems.generate("test", 400, None, {}, "small", 1)
    rows = [(row.id, [row.question]) for row in pool]
    assert overlaps(rows, [Benchmark("word", test, templated=True)], 8) == {}
    assert len(overlaps(rows, [Benchmark("word", test)], 8)) > 1000  # what the rule is for
    leaked = overlaps([*rows, ("leak", [test[7].question])], [Benchmark("word", test, templated=True)], 8)
    assert {name: row.problem_id for name, row in leaked.items()} == {"leak": test[7].id}


def gsm8k() -> tuple[list[dict[str, object]], list[Trace], Benchmark]:
    with gzip.open(shared("traces/contaminated_training_set.jsonl.gz"), "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    with shared("benchmarks/gsm8k_test.jsonl").open(encoding="utf-8") as lines:
        asked = [json.loads(line) for line in lines]
    traces = [trace(row["id"], row["reasoning"], row["question"]) for row in rows]
    return rows, traces, Benchmark("gsm8k", [problem(row["id"], row["question"]) for row in asked])


@pytest.mark.parametrize(("ngram", "phrases"), [(13, 0), (8, 7)])
def test_a_published_training_set(ngram: int, phrases: int) -> None:
    """All 803 planted rows with either size, each with the question it is; the others that are flagged, listed."""
    rows, traces, benchmark = gsm8k()
    planted = {row["id"]: row["question_id"] for row in rows if row["in_gsm8k_test"]}
    found = check(traces, [benchmark], ngram)
    assert len(planted) == 803
    assert len(planted.keys() & found.keys()) == 803
    assert sum(found[name].other == f"gsm8k/{asked}" for name, asked in planted.items()) >= 800
    others = sorted(found.keys() - planted.keys())
    print(f"\nflagged with {ngram} words and not planted: {len(others)}")
    for name in others:
        print(f"  {name}: {found[name].detail}")
    assert len(others) == phrases
