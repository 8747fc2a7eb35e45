"""What a run's students answered on its benchmarks, before and after training, problem by problem."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from distill_app.records import Sample, Verdict
from distill_app.stages import evaluate, grade
from distill_app.store.artifacts import Store
from distill_app.store.runs import Run

from .pool import Rows

BASE, TRAINED = "base", "trained"
KEPT = 12
"""Benchmarks of runs whose grades stay in memory: what is finished never changes."""
_GRADED = re.compile(r"grade\[(base|trained) (.+)\]")
FILTERS = (
    "all problems",
    "more right after training",
    "fewer right after training",
    "as many right as before",
    "an answer wrong after training",
    "no answer after training",
    "timed out in grading after training",
    "cut at the token limit after training",
)
_VERDICTS = {FILTERS[4]: "wrong", FILTERS[5]: "no_answer", FILTERS[6]: "timeout"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer without its text: its id, its number among the problem's, how it was graded, and how it ended."""

    id: str
    sample: int
    verdict: str
    finish_reason: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem with the answers of each student that is finished, by `BASE` and `TRAINED`, in the samples' order."""

    id: str
    question: str
    answer: str
    answers: dict[str, list[Answer]]

    def right(self, role: str) -> int | None:
        """How many answers were right; None where the student has not answered."""
        given = self.answers.get(role)
        return None if given is None else sum(one.verdict == "correct" for one in given)

    def fits(self, wanted: str) -> bool:
        """Whether one of `FILTERS` lets it through."""
        before, after = self.right(BASE), self.right(TRAINED)
        given = self.answers.get(TRAINED, [])
        if wanted in FILTERS[1:4]:
            if before is None or after is None:
                return False
            return (after > before, after < before, after == before)[FILTERS.index(wanted) - 1]
        if wanted in _VERDICTS:
            return any(one.verdict == _VERDICTS[wanted] for one in given)
        return wanted != FILTERS[7] or any(one.finish_reason == "length" for one in given)


def graded(root: Path, run: Run) -> dict[str, dict[str, tuple[Path, Path]]]:
    """By benchmark and student, the folders of answers and verdicts that are finished."""
    stages = run.lock_record().get("stages", [])
    kinds = {stage["fingerprint"]: stage["kind"] for stage in stages}
    store = Store(root)
    found: dict[str, dict[str, tuple[Path, Path]]] = {}
    for stage in stages:
        named = _GRADED.fullmatch(stage["name"])
        manifest = store.manifest("grade", stage["fingerprint"]) if named and stage["kind"] == "grade" else None
        if named is None or manifest is None:
            continue
        (source,) = manifest["inputs"]["rows"]
        answered = store.folder("evaluate", source)
        if kinds.get(source) == "evaluate" and answered.is_dir():
            folders = (answered, store.folder("grade", stage["fingerprint"]))
            found.setdefault(named[2], {})[named[1]] = folders
    return found


def problems(students: Mapping[str, tuple[Path, Path]]) -> list[Problem]:
    """The problems of a benchmark by id with what was answered; no texts are read. Kept for the next who asks."""
    return _problems(tuple(students.items()))


@lru_cache(maxsize=KEPT)
def _problems(students: tuple[tuple[str, tuple[Path, Path]], ...]) -> list[Problem]:
    import pyarrow.parquet as pq

    asked: dict[str, Problem] = {}
    columns = ["id", "problem_id", "question", "answer", "sample", "finish_reason"]
    for role, (answered, verdicts) in students:
        table = pq.read_table(verdicts / grade.FILE, columns=["id", "verdict"])
        outcome = dict(zip(table["id"].to_pylist(), table["verdict"].to_pylist(), strict=True))
        for row in pq.read_table(answered / evaluate.FILE, columns=columns).to_pylist():
            one = asked.setdefault(row["problem_id"], Problem(row["problem_id"], row["question"], row["answer"], {}))
            found = Answer(row["id"], row["sample"], outcome.get(row["id"], "ungraded"), row["finish_reason"])
            one.answers.setdefault(role, []).append(found)
    for one in asked.values():
        for given in one.answers.values():
            given.sort(key=lambda answer: answer.sample)
    return [asked[name] for name in sorted(asked)]


def read(folders: tuple[Path, Path], name: str) -> tuple[Sample, Verdict]:
    """One answer with its text, and its verdict."""
    answered, verdicts = folders
    sample, verdict = Rows([answered / evaluate.FILE], Sample)[name], Rows([verdicts / grade.FILE], Verdict)[name]
    return sample, verdict


def share(problem: Problem, role: str) -> str:
    """How many answers of a student were right: "3 of 8"; a dash where it has not answered."""
    right = problem.right(role)
    return "-" if right is None else f"{right} of {len(problem.answers[role])}"


def lines(found: Sequence[Problem]) -> dict[str, Any]:
    """Problems as a table: id, right before and after, and how the question begins."""
    return {
        "headers": ["problem", "untrained right", "trained right", "question"],
        "data": [
            [one.id, share(one, BASE), share(one, TRAINED), " ".join(one.question.split())[:160]] for one in found
        ],
    }
