"""avg@k, pass@k and maj@k against values worked out by hand, by enumeration, and by lighteval's own cases."""

from __future__ import annotations

import json
import random
from itertools import combinations
from pathlib import Path

import pytest

from distill_app.errors import UsageError
from distill_app.evaluation.equivalence import compare
from distill_app.evaluation.metrics import avg_at_k, classes, maj_at_k, pass_at_k

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
T, F = True, False

DIFFERENCES = {
    "atk-avg_at_k-2": (
        "three golds, texts Paris London Berlin: lighteval counts only the first gold (1/3); here a sample is correct "
        "if the grader says so for any of them"
    ),
    "atk-maj_at_k-1": "three answers tie: lighteval takes the first seen (1); here ties are averaged (1/3)",
}
"""The cases with another expected value here, and why."""


def test_avg_at_k_is_the_share_and_not_the_best() -> None:
    assert avg_at_k([[T, F, F, F], [T, T, T, T], [F, F, F, F]], 4) == [0.25, 1.0, 0.0]
    assert avg_at_k([[T, F, F, F]], 2) == [0.5]


@pytest.mark.parametrize(("n", "c", "k", "value"), [(4, 1, 2, 0.5), (8, 2, 4, 1 - 15 / 70), (8, 0, 8, 0), (5, 3, 3, 1)])
def test_pass_at_k_by_hand(n: int, c: int, k: int, value: float) -> None:
    assert pass_at_k([[T] * c + [F] * (n - c)], k) == pytest.approx([value])


def test_pass_at_k_is_the_share_of_subsets_with_a_hit() -> None:
    draw = random.Random(5)
    for _ in range(20):
        row = [draw.random() < 0.3 for _ in range(9)]
        k = draw.randint(1, 9)
        subsets = list(combinations(row, k))
        assert pass_at_k([row], k)[0] == pytest.approx(sum(map(any, subsets)) / len(subsets))


def test_pass_at_k_stays_finite_for_many_samples() -> None:
    """1 - C(99000, 500) / C(100000, 500), by scipy.stats.hypergeom(100000, 1000, 500).sf(0)."""
    from scipy.stats import hypergeom

    value = pass_at_k([[T] * 1000 + [F] * 99000], 500)[0]
    assert value == pytest.approx(float(hypergeom(100000, 1000, 500).sf(0)), rel=1e-9)


@pytest.mark.parametrize(
    ("labels", "correct", "k", "value"),
    [
        ([0, 0, 1], [T, T, F], 3, 1.0),
        ([0, 1, 1], [T, F, F], 3, 0.0),
        ([0, 1, 2], [T, F, F], 3, 1 / 3),
        ([0, 0, 1, 1], [T, T, F, F], 4, 0.5),
        ([-1, -1, 0], [F, F, T], 3, 1.0),
        ([-1, -1, -1], [F, F, F], 3, 0.0),
        ([0, 1, 1, 1], [T, F, F, F], 1, 1.0),
        ([1, 0, 0, 0], [F, T, T, T], 2, 0.5),
    ],
)
def test_maj_at_k(labels: list[int], correct: list[bool], k: int, value: float) -> None:
    assert maj_at_k([labels], [correct], k) == pytest.approx([value])


def test_classes_are_by_equivalence_and_not_by_text() -> None:
    assert classes(["0.5", "\\frac{1}{2}", None, "2", "0.50", "2.0"], compare) == [0, 0, -1, 1, 0, 1]


def test_k_above_the_samples_is_refused() -> None:
    for call in (
        lambda: avg_at_k([[T, F], [T]], 2),
        lambda: pass_at_k([[T]], 2),
        lambda: maj_at_k([[0]], [[T]], 2),
    ):
        with pytest.raises(UsageError, match=r"k = 2 needs 2 samples of every problem, but one has only 1"):
            call()
    with pytest.raises(UsageError, match="no problems"):
        avg_at_k([], 1)
    with pytest.raises(UsageError, match="at least 1"):
        pass_at_k([[T]], 0)


def test_cases_of_lighteval() -> None:
    """All avg, pass and maj cases; g-pass@k is a metric we do not have."""
    path = DATA / "checker" / "at_k_cases.jsonl"
    if not path.exists():
        pytest.skip("../shared/data is not here")
    cases = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    checked, differing = 0, set()
    for case in cases:
        kind = case["metric_class"].removesuffix("_math")
        if kind == "g_pass_at_k":
            continue
        doc, k = case["doc"], case["metric_params"]["k"]
        indices = doc["gold_index"] if isinstance(doc["gold_index"], list) else [doc["gold_index"]]
        golds = [doc["choices"][i] for i in indices]
        texts = case["model_response"]["text"][: case["metric_params"].get("n", None)]
        correct = [[any(compare(text, gold) for gold in golds) for text in texts]]
        labels = [classes(texts, compare)]
        value = {
            "avg_at_k": lambda c=correct, k=k: avg_at_k(c, k),
            "pass_at_k": lambda c=correct, k=k: pass_at_k(c, k),
            "maj_at_k": lambda c=correct, k=k, m=labels: maj_at_k(m, c, k),
        }[kind]()[0]
        (expected,) = case["expected_output"].values()
        checked += 1
        if value != pytest.approx(expected, abs=case["tolerance"]):
            differing.add(case["id"])
    assert checked == 16
    assert differing == set(DIFFERENCES)
