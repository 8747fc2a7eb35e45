"""A small measured benchmark whose every number can be worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from distill_app.records import Sample, Verdict
from distill_app.reports.result import Measured, Result, build

SELECTION: dict[str, Any] = {
    "label": "Quality",
    "rows": 12,
    "reads": ["quality"],
    "capability": None,
    "facts": {},
    "warnings": [],
    "epochs": [],
}
TRAINED = ["cccc", "ccww", "cwwx", "cctn"]
BASE = ["ccww", "wwww", "cwwn", "cnnn"]


def measured(
    outcomes: Sequence[str],
    benchmark: str = "words",
    cut: int = 0,
    clusters: Sequence[str | None] = (),
    questions: Sequence[str] = (),
) -> Measured:
    """One string a problem, one letter a sample: c correct, w wrong (all the same), x another wrong, t timeout, n none.

    Samples come in reverse order, so that nothing may rely on it; the first `cut` of them are truncated. `clusters` and
    `questions` are by problem; without them all stand alone and ask "?".
    """
    names = {"c": "correct", "w": "wrong", "x": "wrong", "t": "timeout", "n": "no_answer"}
    classes = {"c": 0, "w": 1, "x": 2, "t": 3, "n": -1}
    samples, verdicts, labels = [], [], {}
    for p, row in enumerate(outcomes):
        for j, letter in reversed(list(enumerate(row))):
            key = f"p{p}/{j}"
            asked = questions[p] if questions else "?"
            samples.append(Sample(key, f"p{p}", asked, "1", "", j, 0, "length" if len(samples) < cut else "stop", 5))
            verdicts.append(Verdict(key, names[letter], None if letter == "n" else letter, "boxed"))
            labels[key] = classes[letter]
    shared = {f"p{p}": name for p, name in enumerate(clusters) if name is not None}
    return Measured(benchmark, samples, list(reversed(verdicts)), labels, shared)


def example(
    run: str = "r1",
    selector: str = "quality",
    trained: Sequence[str] = TRAINED,
    base: Sequence[str] | None = BASE,
    *,
    label: str | None = None,
    seed: int = 3,
    arm: str = "arm",
    setting: str = "setting",
    dynamic: bool = False,
    settings: dict[str, Any] | None = None,
    selection: dict[str, Any] | None = None,
    others: dict[str, tuple[Sequence[str], Sequence[str]]] | None = None,
    clusters: Sequence[str | None] = (),
    questions: Sequence[str] = (),
    samples: int = 4,
) -> Result:
    """The result of the example run. `others` are further benchmarks by name: outcomes after training and before."""
    shared: dict[str, Any] = {"clusters": clusters, "questions": questions}
    further = others or {}
    return build(
        run=run,
        recipe="tiny",
        selector=selector,
        label=label or selector.capitalize(),
        seed=seed,
        arm=arm,
        setting=setting,
        status="finished",
        trained=[measured(trained, cut=4, **shared), *(measured(new, name) for name, (new, _) in further.items())],
        base=[]
        if base is None
        else [measured(base, **shared), *(measured(old, name) for name, (_, old) in further.items())],
        samples=samples,
        k=[2],
        train_tokens=1234,
        seconds=61.5,
        selection={**SELECTION, "dynamic": dynamic, **(selection or {})},
        counts={"pool": {"rows": 12, "left out": {"wrong answer": 5}}},
        timings={"train": 40.0, "evaluate": 21.5},
        settings=settings or {"evaluation": {"temperature": 0.6}},
        notes=["One note."],
    )


def as_version_2(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result as the version before wrote it: no clusters, no standard errors, no fingerprints of questions."""
    old: dict[str, Any] = json.loads(json.dumps(result))
    old["version"] = 2
    for row in (*old["rows"], *old["base_rows"]):
        del row["se"], row["n_clusters"], row["gain_p"]
    for column in old["per_problem"].values():
        del column["questions"], column["clusters"]
    return old
