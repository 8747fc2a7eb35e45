"""The verifier against people's judgement on public data: how often it puts the accepted solution above the wrong one.

Every pair is of one question. The final answers are graded by the program's own grader; the rates are printed, with
and without the answer part, because without it the verifier reads arithmetic, the question's numbers and form alone.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from distill_app.evaluation.grading import grade
from distill_app.quality import verifier
from distill_app.recipe.model import build
from distill_app.records import Trace

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
WEIGHTS = {"answer": 0.5, "steps": 0.25, "coherence": 0.15, "format": 0.1}

Pair = tuple[str, str, str, str]
"""Question, gold answer, accepted text, wrong text."""


def _read(path: str) -> list[dict[str, Any]]:
    file = DATA / path
    if not file.exists():
        pytest.skip("../shared/data is not here")
    with gzip.open(file, "rt") if file.suffix == ".gz" else file.open() as lines:
        return [json.loads(line) for line in lines]


def _rates(name: str, pairs: list[Pair]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Shares of the pairs with the accepted text above and below the wrong one: with the answer part, without it."""
    rows = [
        (f"{kind}{n}", question, text, gold)
        for n, (question, gold, *texts) in enumerate(pairs)
        for kind, text in zip(("good", "bad"), texts, strict=True)
    ]
    verdicts = grade([(id_, text, gold) for id_, _, text, gold in rows], workers=1, limit_seconds=10)
    traces = [
        (Trace(id_, id_, question, gold, text, "t", "a", 0, 0, "stop"), verdict)
        for (id_, question, text, gold), verdict in zip(rows, verdicts, strict=True)
    ]
    found = []
    for weights in (WEIGHTS, {**WEIGHTS, "answer": 0.0}):
        scored = verifier.score(traces, build(verifier.Options, {"weights": weights}))
        differences = [a.quality - b.quality for a, b in zip(scored[::2], scored[1::2], strict=True)]
        found.append((sum(d > 0 for d in differences) / len(pairs), sum(d < 0 for d in differences) / len(pairs)))
    (above, below), (above_alone, below_alone) = found
    print(
        f"{name}: {len(pairs)} pairs; above {above:.3f}, below {below:.3f}; "
        f"without the answer part above {above_alone:.3f}, below {below_alone:.3f}"
    )
    return found[0], found[1]


def _accepted() -> list[dict[str, Any]]:
    """PRM800K's complete solutions that people accepted; `reasoning` is their steps, a line each."""
    rows = _read("traces/prm800k_phase1_solutions.jsonl")
    assert len(rows) == 66
    assert all(row["reasoning"] == "\n".join(row["steps"]) for row in rows)
    return rows


def _replaced(only_last: bool) -> list[Pair]:
    """Each accepted solution and it with one step replaced, for each other candidate of that step that people rated -1.

    All other steps stay. `only_last`: pairs in which the last step, that with the answer, is replaced.
    """
    candidates: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for row in _read("traces/prm800k_phase1_steps.jsonl.gz"):
        if row["quality"].get("rating") == -1:
            candidates[row["question_id"], tuple(row["prefix_steps"])].append(row["reasoning"])
    pairs = []
    for row in _accepted():
        steps = row["steps"]
        for k in range(len(steps) - 1 if only_last else 0, len(steps)):
            for wrong in candidates[row["question_id"], tuple(steps[:k])]:
                text = "\n".join([*steps[:k], wrong, *steps[k + 1 :]])
                pairs.append((row["question"], row["answer"], row["reasoning"], text))
    return pairs


def test_a_last_step_that_people_rated_wrong() -> None:
    (above, below), _ = _rates("the last step replaced by one rated -1", _replaced(only_last=True))
    assert above > 0.5
    assert above > 5 * below


def test_any_step_that_people_rated_wrong() -> None:
    """Most such steps are prose or algebra, which the verifier passes over, and the answer stays: most pairs are level.
    Where the answer changes it helps; without the answer part one wrong step is not seen at all, and that is said."""
    (above, below), (above_alone, below_alone) = _rates("any step replaced by one rated -1", _replaced(only_last=False))
    assert above > 1.5 * below
    assert above_alone + below_alone < 0.15


def test_a_number_of_an_accepted_solution_changed() -> None:
    """Each accepted solution, once for each step with an `= number` in it: that number is one more, all else stays."""
    pairs = []
    for row in _accepted():
        for k, step in enumerate(row["steps"]):
            places = list(re.finditer(r"=\s*(\d+)(?![\d.,^_])", step))
            if places:
                start, end = places[-1].span(1)
                wrong = f"{step[:start]}{int(step[start:end]) + 1}{step[end:]}"
                text = "\n".join([*row["steps"][:k], wrong, *row["steps"][k + 1 :]])
                pairs.append((row["question"], row["answer"], row["reasoning"], text))
    for above, below in _rates("a changed number in an accepted solution", pairs):
        assert above > 2 * below


def test_the_last_number_of_an_accepted_solution_changed() -> None:
    """Each accepted solution that ends in a number: that number, which most often is the answer, is one more."""
    pairs = []
    for row in _accepted():
        places = list(re.finditer(r"\d+", row["reasoning"]))
        if places:
            start, end = places[-1].span()
            text = row["reasoning"]
            wrong = f"{text[:start]}{int(text[start:end]) + 1}{text[end:]}"
            pairs.append((row["question"], row["answer"], text, wrong))
    (above, below), _ = _rates("the last number of an accepted solution changed", pairs)
    assert above > 0.5
    assert above > 2 * below


def test_peoples_solutions_against_those_that_people_marked_wrong() -> None:
    """MR-GSM8K's solutions with a wrong step that a person marked, against GSM8K's own solution of the question.

    "Step 3:" at the beginnings of lines is taken off: the other side has none, and form is one part of the score.
    """
    gold = {row["id"]: row for row in _read("benchmarks/gsm8k_test.jsonl")}
    pairs = []
    for row in _read("traces/gsm8k_mrgsm8k_wrong.jsonl"):
        human = gold[row["question_id"]]
        if row["question"].split() == human["question"].split():
            wrong = re.sub(r"^Step \d+:\s*", "", row["reasoning"], flags=re.MULTILINE)
            pairs.append((row["question"], human["answer"], human["solution"], wrong))
    assert len(pairs) > 100
    (above, _), (above_alone, below_alone) = _rates("a person's solution against one marked wrong", pairs)
    assert above > 0.5
    assert above_alone > below_alone
