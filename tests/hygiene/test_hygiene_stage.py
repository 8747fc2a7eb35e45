"""The stage: the rules in their order over a pool of several parts, what it writes, and what selection reads of it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from distill_app.errors import StageError
from distill_app.hygiene import FILE, Removed
from distill_app.recipe.model import Runtime
from distill_app.records import Problem, Trace, Verdict
from distill_app.stages import Context, Summary, _candidates, generate, grade, hygiene, problems, tokens
from distill_app.store import rows
from tests.hygiene.rows import problem, trace

KEEP = {"correct": True, "max_tokens": 50, "min_tokens": None, "finished": True, "think": "any"}
OPTIONS = {
    "keep": KEEP,
    "deduplicate": {"exact": True, "near": 0.8, "ngram": 3},
    "decontaminate": {"ngram": 8},
    "benchmarks": ["plain", "built in"],
    "weights": {"ann": 1.0, "bob": 1.0},
    "seed": 0,
}
LEAKED = "A farmer has nine sheep and all but two run away at night. How many stay?"
TEMPLATE = "Mia has 3 bags with 4 pens in each of the bags. How many pens?"
LONG = " ".join(f"w{n}" for n in range(40))
# id: text, question, verdict, tokens, finish_reason, and why it is left out
ROWS: dict[str, tuple[str, str, str, int, str, str | None]] = {
    "p1/ann/0": ("Four.", "One?", "correct", 9, "stop", None),
    "p1/ann/1": ("four. ", "One?", "correct", 9, "stop", "repeats another row word for word; it is p1/ann/0"),
    # Its twin is left out, so this one stays:
    "p2/ann/0": ("Five.", "Two?", "wrong", 9, "stop", "wrong answer"),
    "p2/ann/1": ("Five.", "Two?", "correct", 9, "stop", None),
    "p3/ann/0": ("Six.", "Three?", "correct", 51, "length", "cut at the token limit"),
    "p3/ann/1": ("Six.", LEAKED, "correct", 51, "stop", "longer than 50 tokens"),
    "p4/ann/0": (
        "Two.", f"Oh! {LEAKED}", "correct", 50, "stop",
        "contaminated; 16 words in common with plain/leak: a farmer has nine sheep and all but two run away at night"
        " how many stay",
    ),
    "p5/ann/0": ("Pens.", TEMPLATE.replace("4", "5"), "correct", 9, "stop", None),
    "p5/ann/1": (
        "Pens!", TEMPLATE, "correct", 9, "stop",
        "contaminated; the same question as built in/test: mia has 3 bags with 4 pens in each of the bags how many"
        " pens",
    ),
    "p6/ann/0": (LONG, "Six?", "correct", 9, "stop", None),
    # 41 words and 42: 39 runs of 3 and 40.
    "p6/bob/0": (
        LONG + " end", "Six?", "correct", 9, "stop",
        "nearly the same as another row; 0.975 of it and p6/ann/0 is the same",
    ),
    "p7/bob/0": ("Seven.", "Seven?", "correct", 9, "stop", None),
    "p8/bob/0": ("Eight.", "Eight?", "correct", 9, "stop", None),
    "p9/eve/0": ("Nine.", "Nine?", "correct", 9, "stop", None),
}  # fmt: skip
WEIGHTED = "more than its teacher's weight takes; 2 rows of ann are in proportion"


def stage(
    folder: Path, *, options: dict[str, Any] | None = None, backwards: bool = False, verdict: str | None = None
) -> tuple[Context, Summary]:
    """Run the stage on `ROWS` in two parts, ann's and the others', with two benchmarks."""
    names = list(ROWS)[::-1] if backwards else list(ROWS)
    parts = {True: "ann", False: "others"}
    inputs: dict[str, list[Path]] = {"traces": [], "verdicts": [], "tokens": [], "benchmarks": []}
    for mine, label in parts.items():
        part = [name for name in names if ("/ann/" in name) is mine]
        given = [
            trace(name, ROWS[name][0], ROWS[name][1], teacher=name.split("/")[1], finish_reason=ROWS[name][4])
            for name in part
        ]
        here = folder / label
        here.mkdir(parents=True)
        rows.write(here / generate.FILE, Trace, given)
        rows.write(here / grade.FILE, Verdict, [Verdict(name, verdict or ROWS[name][2], "4", "boxed") for name in part])
        counted = [tokens.TraceTokens(name, ROWS[name][3]) for name in part]
        rows.write(here / tokens.FILE, tokens.TraceTokens, counted)
        for role in ("traces", "verdicts", "tokens"):
            inputs[role].append(here)
    for label, asked in (
        ("plain", [problem("leak", LEAKED)]),
        ("built in", [problem("test", TEMPLATE, "builtin:word_problems")]),
    ):
        (folder / label).mkdir()
        rows.write(folder / label / problems.FILE, Problem, asked)
        inputs["benchmarks"].append(folder / label)
    runtime: Runtime = None  # type: ignore[assignment]
    out = folder / "out"
    out.mkdir()
    given_inputs = {role: tuple(folders) for role, folders in inputs.items()}
    context = Context("hygiene", options or OPTIONS, given_inputs, {}, runtime, out, lambda *_: None)
    return context, hygiene.run(context)


def select_from(context: Context) -> _candidates.Pool:
    inputs = {"traces": context.inputs["traces"], "hygiene": (context.folder,)}
    return _candidates.read(dataclasses.replace(context, name="select", options={}, inputs=inputs))


def test_every_row_is_left_out_for_its_reason_whatever_the_order(tmp_path: Path) -> None:
    context, summary = stage(tmp_path / "a")
    removed = {row.id: row.said for row in rows.read(context.folder / FILE, Removed)}
    expected = {name: row[-1] for name, row in ROWS.items() if row[-1]}
    # Of ann four rows are left and of bob two: ann has two too many, which two the hash of seed and id says.
    weighted = {name: said for name, said in removed.items() if said == WEIGHTED}
    assert len(weighted) == 2
    assert all("/ann/" in name for name in weighted)
    assert removed == expected | weighted
    assert list(removed) == sorted(removed)
    again, _ = stage(tmp_path / "b", backwards=True)
    assert (again.folder / FILE).read_bytes() == (context.folder / FILE).read_bytes()
    assert summary.rows == 5
    assert summary.counts == {
        "traces": 14, "kept": 5, "left out: correct": 1, "left out: decontaminate": 2, "left out: exact": 1,
        "left out: finished": 1, "left out: max_tokens": 1, "left out: near": 1, "left out: weight": 2,
    }  # fmt: skip
    assert summary.facts == {"contaminated": {"plain": 1, "built in": 1}}


def test_what_people_read(tmp_path: Path) -> None:
    context, _ = stage(tmp_path)
    lines = [json.loads(line) for line in (context.folder / "removed.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == [row.id for row in rows.read(context.folder / FILE, Removed)]
    assert next(line for line in lines if line["id"] == "p4/ann/0") == {
        "id": "p4/ann/0",
        "rule": "decontaminate",
        "reason": "contaminated",
        "detail": str(ROWS["p4/ann/0"][-1]).removeprefix("contaminated; "),
        "other": "plain/leak",
        "teacher": "ann",
        "augmentation": "chain_of_thought",
        "question": f"Oh! {LEAKED}",
        "other_question": LEAKED,
    }


def test_selection_takes_what_is_left_and_tells_the_reasons(tmp_path: Path) -> None:
    context, summary = stage(tmp_path)
    pool = select_from(context)
    removed = {row.id: row.said for row in rows.read(context.folder / FILE, Removed)}
    assert {row.id for row in pool.traces} == ROWS.keys() - removed.keys()
    assert {row.id: row.reason for row in pool.left} == removed
    assert (len(pool.left), len(pool.traces)) == (9, summary.rows)
    assert _candidates.reasons_of(pool.left)["contaminated"] == 2


def test_switched_off_rules_leave_all_but_the_empty(tmp_path: Path) -> None:
    off = {
        "keep": {"correct": False, "max_tokens": None, "min_tokens": None, "finished": False, "think": "any"},
        "deduplicate": {"exact": False, "near": None, "ngram": 3},
        "decontaminate": {"ngram": None},
        "benchmarks": ["plain", "built in"],
        "weights": {"ann": None, "bob": None},
        "seed": 0,
    }
    context, summary = stage(tmp_path, options=off)
    assert (summary.rows, summary.counts) == (14, {"traces": 14, "kept": 14})
    assert rows.read(context.folder / FILE, Removed) == []
    assert (context.folder / "removed.jsonl").read_text() == ""


def test_nothing_left_is_told_by_reason(tmp_path: Path) -> None:
    context, _ = stage(tmp_path, options={**OPTIONS, "weights": {}}, verdict="wrong")
    with pytest.raises(StageError, match=r"None of the 14 traces is a candidate \(14 wrong answer\)"):
        select_from(context)
