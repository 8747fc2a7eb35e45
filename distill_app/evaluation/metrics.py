"""avg@k, pass@k and maj@k. Each function returns one value per problem; the score is their mean.

Problems are rows, samples columns in the order they were drawn: `correct[i][j]` says whether sample j of problem i
is correct. A k above the samples there are is refused with `UsageError`, never answered with fewer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from distill_app.errors import UsageError


def avg_at_k(correct: Sequence[Sequence[bool]], k: int) -> list[float]:
    """Share of the first k samples that are correct: an estimate of pass@1, not "correct somewhere in k"."""
    _check(correct, k)
    return [sum(row[:k]) / k for row in correct]


def pass_at_k(correct: Sequence[Sequence[bool]], k: int) -> list[float]:
    """Chance that at least one of k samples drawn from the n >= k there are is correct.

    1 - C(n - c, k) / C(n, k) with c correct of n, the unbiased estimate of Chen et al. 2021 (arXiv 2107.03374),
    as the product over i in n-c+1..n of (1 - k / i), which stays finite for every n.
    """
    _check(correct, k)
    values = []
    for row in correct:
        n, c = len(row), sum(row)
        if n - c < k:
            values.append(1.0)
            continue
        missed = 1.0
        for i in range(n - c + 1, n + 1):
            missed *= 1.0 - k / i
        values.append(1.0 - missed)
    return values


def maj_at_k(labels: Sequence[Sequence[int]], correct: Sequence[Sequence[bool]], k: int) -> list[float]:
    """Whether the answer given most often among the first k samples is correct.

    `labels` are classes of equivalent answers (see `classes`); -1 is no answer and never wins: a problem without
    any answer scores 0. Of several classes of the same, largest size the mean is taken: the expected value of a fair
    draw among them. Only the first k samples in sample order count (not an expectation over subsets).
    """
    _check(correct, k)
    values = []
    for row_labels, row in zip(labels, correct, strict=True):
        votes = Counter(label for label in row_labels[:k] if label >= 0)
        if not votes:
            values.append(0.0)
            continue
        most = max(votes.values())
        worth = [
            sum(right for right, other in zip(row[:k], row_labels[:k], strict=True) if other == label) / most
            for label, count in votes.items()
            if count == most
        ]
        values.append(sum(worth) / len(worth))
    return values


def classes(extracted: Sequence[str | None], compare: Callable[[str, str], bool]) -> list[int]:
    """A label for each answer: equivalent answers share one, -1 is no answer. Labels count from 0 as they appear.

    An answer is compared with the first member of each class so far, `compare(answer, first)`, and joins the
    first class that takes it; the same text needs no comparison.
    """
    firsts: list[str] = []
    labels: list[int] = []
    for answer in extracted:
        if answer is None:
            labels.append(-1)
            continue
        label = next((i for i, first in enumerate(firsts) if answer == first or compare(answer, first)), None)
        if label is None:
            label = len(firsts)
            firsts.append(answer)
        labels.append(label)
    return labels


def _check(correct: Sequence[Sequence[bool]], k: int) -> None:
    if k < 1:
        raise UsageError(f"k must be at least 1, not {k}.")
    if not correct:
        raise UsageError("There are no problems to score.", "Check the benchmark's data set and its limit.")
    fewest = min(len(row) for row in correct)
    if k > fewest:
        raise UsageError(
            f"k = {k} needs {k} samples of every problem, but one has only {fewest}.",
            f"Take more samples (evaluation.samples) or ask for k <= {fewest}.",
        )
