"""Grading: every text gets one verdict, in the order given, and no text can stop the work.

`correct`, `wrong`, `no_answer`, or `timeout`. A timeout is an outcome of its own: it means that the check ran out
of its time (or of `worker.MEMORY_BYTES`), which says nothing about the answer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from distill_app.errors import StageError
from distill_app.evaluation.answers import gold_answer, kind_of
from distill_app.evaluation.kinds import (
    Answerable,
    Asked,
    answer_of,
    answerables,
    asked,
    gold_fault,
    needs_no_algebra,
    settle,
)
from distill_app.evaluation.metrics import classes
from distill_app.evaluation.pool import Outcome, Pair, outcomes
from distill_app.records import Problem, Sample, Verdict

__all__ = ["Answerable", "Progress", "answer_classes", "check_golds", "grade"]

Progress = Callable[[int, int], None]
"""Told (rows done, rows in all)."""

_VERDICTS = {"equal": "correct", "unequal": "wrong", "over": "timeout"}


def grade(
    rows: Iterable[Answerable | tuple[str, str, str]],
    *,
    workers: int | None,
    limit_seconds: float,
    progress: Progress | None = None,
) -> list[Verdict]:
    """A verdict for each row, in their order; a plain (id, text, gold) is an `Answerable` of kind `auto`.

    Answers that `kinds.settle` can settle are settled here; the rest go to worker processes, each distinct
    question of answer, gold and tolerance once, with `limit_seconds` for each from the moment the work on it starts.
    `workers` None takes one for each core, eight at most. `StageError` names a row that kills its worker twice.
    """
    given = answerables(rows)
    verdicts: list[Verdict | None] = [None] * len(given)
    waiting: dict[Pair, list[tuple[int, str | None]]] = {}
    for index, row in enumerate(given):
        question = asked(row)
        answer, rule = answer_of(row, question)
        if answer is None:
            verdicts[index] = Verdict(row.id, "no_answer", None, rule)
        elif (same := settle(answer, question)) is not None:
            verdicts[index] = Verdict(row.id, "correct" if same else "wrong", answer, rule)
        else:
            waiting.setdefault((answer, question.gold, question.tolerance), []).append((index, rule))
    pairs = list(waiting)
    done = sum(verdict is not None for verdict in verdicts)

    def count(pair: int) -> None:
        nonlocal done
        done += len(waiting[pairs[pair]])
        if progress is not None:
            progress(done, len(given))

    if progress is not None:
        progress(done, len(given))
    found = _decide(
        pairs,
        workers,
        limit_seconds,
        name=lambda index: f"row {given[waiting[pairs[index]][0][0]].id!r}",
        progress=count,
    )
    for pair, outcome in zip(pairs, found, strict=True):
        for index, rule in waiting[pair]:
            verdicts[index] = Verdict(given[index].id, _VERDICTS[outcome], pair[0], rule)
    return [verdict for verdict in verdicts if verdict is not None]


def bad_golds(problems: Iterable[Problem], *, workers: int | None, limit_seconds: float) -> list[tuple[str, str, str]]:
    """Problem id, gold answer and fault of every gold that does not verify against itself, the way answers take.

    A gold that is no number and no plain words must be understood by algebra, not only repeat itself: else a right
    answer in other notation could never be seen as right. An empty gold is bad too, and one that is not of its kind
    (a choice that is no letter).
    """
    faults: list[tuple[str, str, str]] = []
    waiting: list[Problem] = []
    for problem in problems:
        if fault := gold_fault(problem.answer, problem.kind):
            faults.append((problem.id, problem.answer, fault))
        elif problem.kind in ("auto", "number") and not needs_no_algebra(problem.answer):
            waiting.append(problem)
    found = _decide(
        [(None, gold_answer(problem.answer), None) for problem in waiting],
        workers,
        limit_seconds,
        name=lambda index: f"the gold answer of problem {waiting[index].id!r}",
    )
    reasons = {"unequal": "is not understood as mathematics", "over": f"is not checked within {limit_seconds:g} s"}
    for problem, outcome in zip(waiting, found, strict=True):
        if outcome != "equal":
            faults.append((problem.id, problem.answer, reasons[outcome]))
    return faults


def check_golds(problems: Iterable[Problem], *, workers: int | None, limit_seconds: float) -> None:
    """`StageError` that names the golds of `bad_golds`, where there are any."""
    if faults := bad_golds(problems, workers=workers, limit_seconds=limit_seconds):
        lines = [f"  {row}: {gold[:80]!r} {reason}" for row, gold, reason in faults[:20]]
        more = [f"  and {len(faults) - 20} more"] if len(faults) > 20 else []
        raise StageError(
            "\n".join([f"{len(faults)} gold answers do not verify against themselves:", *lines, *more]),
            "Correct or remove these rows, or set bad_rows: skip: no answer to them could be graded.",
        )


def answer_classes(
    samples: Sequence[Sample],
    verdicts: Sequence[Verdict],
    *,
    workers: int | None,
    limit_seconds: float,
) -> dict[str, int]:
    """A class label for each sample id: samples of one problem with the same label gave equivalent answers.

    Labels are only compared within a problem. Every correct sample is in class 0; a sample without an answer is
    -1. The others are compared with one another by the rules of grading; two answers whose comparison runs out
    of time count as different.
    """
    by_id = {verdict.id: verdict for verdict in verdicts}
    groups: dict[str, list[Verdict]] = {}
    asking: dict[str, tuple[str, float | None]] = {}
    for sample in samples:
        groups.setdefault(sample.problem_id, []).append(by_id[sample.id])
        asking.setdefault(sample.problem_id, (kind_of(gold_answer(sample.answer), sample.kind), sample.tolerance))
    known: dict[tuple[str, str, str], bool] = {}
    waiting: dict[Pair, str] = {}
    for problem, group in groups.items():
        kind, tolerance = asking[problem]
        answers = list(dict.fromkeys(v.extracted for v in group if v.extracted and v.verdict != "correct"))
        for place, later in enumerate(answers):
            for earlier in answers[:place]:
                pair = (later, earlier, tolerance)
                same = settle(later, Asked(earlier, kind, tolerance))
                if same is not None:
                    known[problem, later, earlier] = same
                else:
                    waiting.setdefault(pair, problem)
    pairs = list(waiting)
    found = _decide(
        pairs, workers, limit_seconds, name=lambda index: f"two answers to problem {waiting[pairs[index]]!r}"
    )
    decided = {pair: outcome == "equal" for pair, outcome in zip(pairs, found, strict=True)}
    labels: dict[str, int] = {}
    for problem, group in groups.items():
        others = [None if verdict.verdict == "correct" else verdict.extracted for verdict in group]

        def equal(later: str, earlier: str, problem: str = problem) -> bool:
            same = known.get((problem, later, earlier))
            return decided[later, earlier, asking[problem][1]] if same is None else same

        for verdict, label in zip(group, classes(others, equal), strict=True):
            labels[verdict.id] = 0 if verdict.verdict == "correct" else label + 1 if label >= 0 else -1
    return labels


def _decide(
    pairs: Sequence[Pair],
    workers: int | None,
    limit_seconds: float,
    name: Callable[[int], str],
    progress: Callable[[int], None] | None = None,
) -> list[Outcome]:
    if not pairs:
        return []
    count = workers if workers is not None else min(8, len(os.sched_getaffinity(0)))
    return outcomes(pairs, workers=count, limit_seconds=limit_seconds, name=name, progress=progress)
