"""Grading: every text gets one verdict, in the order given, and no text can stop the work.

`correct`, `wrong`, `no_answer`, or `timeout`. A timeout is an outcome of its own: it means that the check ran out
of its time (or of `worker.MEMORY_BYTES`), which says nothing about the answer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence

from distill_app.errors import StageError
from distill_app.evaluation.answers import extract
from distill_app.evaluation.equivalence import as_number, as_words, quick
from distill_app.evaluation.metrics import classes
from distill_app.evaluation.pool import Outcome, outcomes
from distill_app.records import Problem, Sample, Verdict

Progress = Callable[[int, int], None]
"""Told (rows done, rows in all)."""

_VERDICTS = {"equal": "correct", "unequal": "wrong", "over": "timeout"}


def grade(
    rows: Iterable[tuple[str, str, str]],
    *,
    workers: int | None,
    limit_seconds: float,
    progress: Progress | None = None,
) -> list[Verdict]:
    """A verdict for each (id, text, gold), in their order.

    Answers that `equivalence.quick` can settle are settled here; the rest go to worker processes, each distinct
    pair of answer and gold once, with `limit_seconds` for each from the moment the work on it starts. `workers`
    None takes one for each core, eight at most. `StageError` names a row that kills its worker twice.
    """
    rows = list(rows)
    verdicts: list[Verdict | None] = [None] * len(rows)
    waiting: dict[tuple[str, str], list[int]] = {}
    for index, (row_id, text, gold) in enumerate(rows):
        answer, rule = extract(text, gold)
        if answer is None:
            verdicts[index] = Verdict(row_id, "no_answer", None, rule)
        elif (same := quick(answer, gold)) is not None:
            verdicts[index] = Verdict(row_id, "correct" if same else "wrong", answer, rule)
        else:
            waiting.setdefault((answer, gold), []).append(index)
    pairs = list(waiting)
    done = sum(verdict is not None for verdict in verdicts)

    def count(pair: int) -> None:
        nonlocal done
        done += len(waiting[pairs[pair]])
        if progress is not None:
            progress(done, len(rows))

    if progress is not None:
        progress(done, len(rows))
    found = _decide(
        pairs,
        workers,
        limit_seconds,
        name=lambda index: f"row {rows[waiting[pairs[index]][0]][0]!r}",
        progress=count,
    )
    for pair, outcome in zip(pairs, found, strict=True):
        for index in waiting[pair]:
            row_id, text, gold = rows[index]
            answer, rule = extract(text, gold)
            verdicts[index] = Verdict(row_id, _VERDICTS[outcome], answer, rule)
    return [verdict for verdict in verdicts if verdict is not None]


def check_golds(problems: Iterable[Problem], *, workers: int | None, limit_seconds: float) -> None:
    """Grade every gold answer against itself, by the way a student's answer takes; `StageError` names the bad ones.

    A gold that is no number and no plain words must be understood by math-verify, not only repeat itself: else
    a right answer in other notation could never be seen as right. An empty gold is bad too.
    """
    faults: list[tuple[str, str, str]] = []
    waiting: list[Problem] = []
    for problem in problems:
        gold = problem.answer
        if not gold.strip():
            faults.append((problem.id, gold, "is empty"))
        elif as_number(gold) is None and as_words(gold) is None:
            waiting.append(problem)
    found = _decide(
        [(problem.answer, problem.answer) for problem in waiting],
        workers,
        limit_seconds,
        name=lambda index: f"the gold answer of problem {waiting[index].id!r}",
    )
    reasons = {"unequal": "is not understood as mathematics", "over": f"is not checked within {limit_seconds:g} s"}
    for problem, outcome in zip(waiting, found, strict=True):
        if outcome != "equal":
            faults.append((problem.id, problem.answer, reasons[outcome]))
    if faults:
        lines = [f"  {row}: {gold[:80]!r} {reason}" for row, gold, reason in faults[:20]]
        more = [f"  and {len(faults) - 20} more"] if len(faults) > 20 else []
        raise StageError(
            "\n".join([f"{len(faults)} gold answers do not verify against themselves:", *lines, *more]),
            "Correct or remove these rows: no answer to them could be graded.",
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
    for sample in samples:
        groups.setdefault(sample.problem_id, []).append(by_id[sample.id])
    distinct = {
        problem: list(dict.fromkeys(v.extracted for v in group if v.extracted and v.verdict != "correct"))
        for problem, group in groups.items()
    }
    known: dict[tuple[str, str], bool] = {}
    waiting: dict[tuple[str, str], str] = {}
    for problem, answers in distinct.items():
        for place, later in enumerate(answers):
            for earlier in answers[:place]:
                if (same := quick(later, earlier)) is not None:
                    known[later, earlier] = same
                else:
                    waiting.setdefault((later, earlier), problem)
    pairs = list(waiting)
    found = _decide(
        pairs, workers, limit_seconds, name=lambda index: f"two answers to problem {waiting[pairs[index]]!r}"
    )
    known.update((pair, outcome == "equal") for pair, outcome in zip(pairs, found, strict=True))
    labels: dict[str, int] = {}
    for group in groups.values():
        others = [None if verdict.verdict == "correct" else verdict.extracted for verdict in group]
        for verdict, label in zip(group, classes(others, lambda later, earlier: known[later, earlier]), strict=True):
            labels[verdict.id] = 0 if verdict.verdict == "correct" else label + 1 if label >= 0 else -1
    return labels


def _decide(
    pairs: Sequence[tuple[str, str]],
    workers: int | None,
    limit_seconds: float,
    name: Callable[[int], str],
    progress: Callable[[int], None] | None = None,
) -> list[Outcome]:
    if not pairs:
        return []
    count = workers if workers is not None else min(8, len(os.sched_getaffinity(0)))
    return outcomes(pairs, workers=count, limit_seconds=limit_seconds, name=name, progress=progress)
