"""A small measured benchmark whose every number can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
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


def measured(outcomes: Sequence[str], benchmark: str = "words", cut: int = 0) -> Measured:
    """One string a problem, one letter a sample: c correct, w wrong (all the same), x another wrong, t timeout, n none.

    Samples come in reverse order, so that nothing may rely on it; the first `cut` of them are truncated.
    """
    names = {"c": "correct", "w": "wrong", "x": "wrong", "t": "timeout", "n": "no_answer"}
    classes = {"c": 0, "w": 1, "x": 2, "t": 3, "n": -1}
    samples, verdicts, labels = [], [], {}
    for p, row in enumerate(outcomes):
        for j, letter in reversed(list(enumerate(row))):
            key = f"p{p}/{j}"
            samples.append(Sample(key, f"p{p}", "?", "1", "", j, 0, "length" if len(samples) < cut else "stop", 5))
            verdicts.append(Verdict(key, names[letter], None if letter == "n" else letter, "boxed"))
            labels[key] = classes[letter]
    return Measured(benchmark, samples, list(reversed(verdicts)), labels)


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
) -> Result:
    """The result of the example run."""
    return build(
        run=run,
        recipe="tiny",
        selector=selector,
        label=label or selector.capitalize(),
        seed=seed,
        arm=arm,
        setting=setting,
        status="finished",
        trained=[measured(trained, cut=4)],
        base=[] if base is None else [measured(base)],
        samples=4,
        k=[2],
        train_tokens=1234,
        seconds=61.5,
        selection={**SELECTION, "dynamic": dynamic, **(selection or {})},
        counts={"pool": {"rows": 12, "left out": {"wrong answer": 5}}},
        timings={"train": 40.0, "evaluate": 21.5},
        settings=settings or {"evaluation": {"temperature": 0.6}},
        notes=["One note."],
    )
