"""A workspace to look into: two finished runs small enough to count by hand, one of them with its pool and answers.

Everything in it is written by the functions that the stages use.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from distill_app.records import Sample, Trace, Verdict
from distill_app.store import rows, runs
from distill_app.store.artifacts import Store
from distill_app.store.files import write_json
from distill_app.store.runs import Run
from tests import hand_made_selection as hand
from tests.reports.result_example import BASE, TRAINED, example, measured

MARKUP = '<img src=x onerror="document.title=1"><script>document.title=2</script> **bold** [a](http://example.test/)'
"""What must show as the text it is, wherever it comes from."""
MATHS = r"Then \(x_1 < 2\) and $$\frac{1}{2}$$ so \boxed{4}."
BENCHMARK = "words"
RECIPE = f"tiny {MARKUP}"


class LookedInto(NamedTuple):
    """`whole` has a pool, answers and a result (TRAINED over BASE); `other` a result alone, no better than BASE."""

    root: Path
    whole: Run
    other: Run


def write(root: Path) -> LookedInto:
    """Two epochs of three were chosen in `whole`: rows 1, 2 and 4, then 1, 3 and 4. Row 1 holds `MARKUP`."""
    second = hand.epoch(1, [0, 2, 3], scored=5, capability=0.5, overlap=0.5, warnings=["Hm."])
    whole = hand.write(root, planned=3, epochs=[hand.epoch(0, [0, 1, 3]), second])
    _answers(root, whole)
    file = root / "artifacts" / "generate" / "generate-1" / "traces.parquet"
    first, *others = rows.read(file, Trace)
    changed = {"question": f"What is {MARKUP}?", "text": f"{MARKUP}\n{MATHS}", "teacher": f"ann {MARKUP}"}
    rows.write(file, Trace, [_with(first, changed), *others])
    write_json(whole.folder / "result.json", _named(example(whole.id, "quality", label="Quality", seed=0)))
    other = runs.create(root, "", "", {"selector": "random", "recipe": RECIPE, "seed": 1, "label": None, "stages": []})
    result = example(other.id, "random", BASE, label="Random", seed=1, arm="random", settings=_cold())
    write_json(other.folder / "result.json", _named(result))
    return LookedInto(root, whole, other)


def _cold() -> dict[str, Any]:
    return {"evaluation": {"temperature": 0.6}, "training": {"learning_rate": 0.5}}


def _named(result: Any) -> dict[str, Any]:
    for row in (*result["rows"], *result["base_rows"]):
        row["recipe"] = RECIPE
    return {**result, "recipe": RECIPE}


def _with(trace: Trace, changed: dict[str, str]) -> Trace:
    import dataclasses

    return dataclasses.replace(trace, **changed)


def _answers(root: Path, run: Run) -> None:
    """What both students answered, as `result_example` has it, and how it was graded."""
    store = Store(root)
    lock = run.lock_record()
    for role, outcomes in (("base", BASE), ("trained", TRAINED)):
        entry = measured(outcomes, cut=4 if role == "trained" else 0)
        samples = [
            Sample(one.id, one.problem_id, f"Question {one.problem_id}: $x^2$?", "1", f"{role} says {MARKUP}",
                   one.sample, 0, one.finish_reason, 5)
            for one in entry.samples
        ]  # fmt: skip
        folder = store.partial("evaluate", f"evaluate-{role}")
        rows.write(folder / "samples.parquet", Sample, samples)
        store.finish("evaluate", f"evaluate-{role}", {"inputs": {}})
        folder = store.partial("grade", f"grade-{role}")
        rows.write(folder / "verdicts.parquet", Verdict, list(entry.verdicts))
        store.finish("grade", f"grade-{role}", {"inputs": {"rows": [f"evaluate-{role}"]}})
        lock["stages"] += [
            {"name": f"evaluate[{role} {BENCHMARK}]", "kind": "evaluate", "fingerprint": f"evaluate-{role}"},
            {"name": f"grade[{role} {BENCHMARK}]", "kind": "grade", "fingerprint": f"grade-{role}"},
        ]
    write_json(run.folder / "lock.json", lock)
