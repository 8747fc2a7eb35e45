"""What one student scored on one benchmark, problem by problem, from its graded samples."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from distill_app.errors import StageError
from distill_app.evaluation import metrics
from distill_app.records import Sample, Verdict


@dataclass(frozen=True, slots=True)
class Measured:
    """What one student answered on one benchmark.

    `labels` gives each sample id its class of equivalent answers (`grading.answer_classes`), -1 for none. `clusters`
    gives the id of each problem that shares its source with others the name of that source (`Problem.cluster`).
    """

    benchmark: str
    samples: Sequence[Sample]
    verdicts: Sequence[Verdict]
    labels: Mapping[str, int]
    clusters: Mapping[str, str] = field(default_factory=dict)


class Key(NamedTuple):
    """A metric with its k."""

    name: str
    k: int

    @property
    def text(self) -> str:
        return f"{self.name}@{self.k}"


@dataclass(frozen=True, slots=True)
class Table:
    """What one student did on one benchmark; `values` has the scores by problem of each metric, in the rows' order."""

    benchmark: str
    problems: tuple[str, ...]
    questions: tuple[str, ...]
    clusters: tuple[str | None, ...] | None
    values: dict[Key, list[float]]
    truncated: float
    no_answer: float
    timed_out: float


def question_fingerprint(question: str, answer: str) -> str:
    """Twelve hexadecimal digits that tell a problem by its question and gold answer from every other."""
    return hashlib.sha256(f"{question}\x1f{answer}".encode()).hexdigest()[:12]


def table(entry: Measured, samples: int, k: Sequence[int]) -> Table:
    """The scores of a student by problem, problems sorted by id, samples by their number."""
    verdicts = {verdict.id: verdict for verdict in entry.verdicts}
    missing = [sample.id for sample in entry.samples if sample.id not in verdicts]
    if missing:
        raise StageError(f"{len(missing)} samples of {entry.benchmark!r} were never graded, {missing[0]!r} first.")
    if not entry.samples:
        raise StageError(f"Benchmark {entry.benchmark!r} has no samples.", "Check its data set and its limit.")
    groups: dict[str, list[Sample]] = {}
    for sample in sorted(entry.samples, key=lambda sample: (sample.problem_id, sample.sample)):
        groups.setdefault(sample.problem_id, []).append(sample)
    n = len(entry.samples)
    outcomes = [verdicts[sample.id].verdict for sample in entry.samples]
    correct = [[verdicts[sample.id].verdict == "correct" for sample in group] for group in groups.values()]
    labels = [[entry.labels[sample.id] for sample in group] for group in groups.values()]
    clusters = tuple(entry.clusters.get(problem) for problem in groups)
    return Table(
        entry.benchmark,
        problems=tuple(groups),
        questions=tuple(question_fingerprint(group[0].question, group[0].answer) for group in groups.values()),
        clusters=clusters if any(name is not None for name in clusters) else None,
        values={
            Key("avg", samples): metrics.avg_at_k(correct, samples),
            **{Key("pass", size): metrics.pass_at_k(correct, size) for size in k},
            **{Key("maj", size): metrics.maj_at_k(labels, correct, size) for size in k},
        },
        truncated=sum(sample.finish_reason == "length" for sample in entry.samples) / n,
        no_answer=outcomes.count("no_answer") / n,
        timed_out=outcomes.count("timeout") / n,
    )
