"""A workspace as large as the pages must bear: many finished runs over three benchmarks, and one large pool.

Everything that the pages read is written by the functions that the stages use; the numbers are drawn from a fixed seed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing import Pool
from pathlib import Path
from typing import Any

import numpy as np

from distill_app.records import Decision, Difficulty, Quality, Sample, Trace, TraceSkills, Verdict
from distill_app.reports import result
from distill_app.reports.result import Measured
from distill_app.selection import choice
from distill_app.selectors import Candidates
from distill_app.stages.tokens import TraceTokens
from distill_app.store import rows, runs
from distill_app.store.artifacts import Store
from distill_app.store.files import write_json
from distill_app.store.runs import Run

BENCHMARKS = {"gsm8k": 1319, "math500": 500, "aime24": 30}
"""Problems of each."""
SAMPLES = 8
SELECTORS = ("random", "quality", "dmc", "skill_aware", "ifd")
SEEDS = 4
STAGES = ("generate", "grade", "quality", "tokens", "difficulty", "skills", "select", "train", "evaluate", "report")
STEPS = 300
"""Losses in each run's log."""
EPOCHS, KEPT = 3, 0.1
"""Of the run with the pool: epochs chosen, and the share of the pool that each trains."""
SENTENCES = (
    "First write down what is given.",
    "So the total is \\(a + b\\) before anything is taken away.",
    "Half of them leave, and the rest stay until the end of the day.",
    "Wait, that counts one of them twice; take it away again.",
    "Then $$\\frac{n}{m} = 3.5$$ which is what was asked for.",
    "Check: putting it back gives the number we began with.",
)


def write(root: Path, count: int, size: int) -> Run:
    """`count` finished runs under `root`; the newest, which is returned, selected from a pool of `size` rows."""
    for number in range(count):
        last = _run(root, number)
    with Pool(2) as pool:
        pool.starmap(_report, [(run, number) for number, run in enumerate(runs.all_runs(root))], chunksize=4)
    _write_pool(root, last, size)
    return last


def live(root: Path) -> Run:
    """A run that has begun to train. It is at work for as long as another process than the page's holds its lock."""
    run = _create(root, 0, "dmc")
    log = runs.EventLog(run.events_path)
    log.append({"type": "run_started", "run": run.id, "stages": list(STAGES)})
    for name in STAGES[:7]:
        log.append({"type": "stage_cached", "stage": name, "rows": 8, "tokens": None, "counts": {"rows": 8}})
    log.append({"type": "stage_started", "stage": "train", "resumed": False})
    log.close()
    return run


def loss(step: int) -> dict[str, Any]:
    """What training reports of a step."""
    value = 0.4 + 1 / (1 + step / 40) + 0.05 * random.Random(step).random()
    shown = {"step": step, "steps": STEPS, "epoch": step * EPOCHS / STEPS, "loss": value}
    return {"type": "loss", "stage": "train", **shown, "learning_rate": 1e-4, "grad_norm": 1.0}


def _run(root: Path, number: int) -> Run:
    run = _create(root, number, SELECTORS[number // SEEDS % len(SELECTORS)])
    log = runs.EventLog(run.events_path)
    log.append({"type": "run_started", "run": run.id, "stages": list(STAGES)})
    for name in STAGES:
        log.append({"type": "stage_started", "stage": name, "resumed": False})
        for step in range(1, STEPS + 1) if name == "train" else ():
            log.append(loss(step))
        log.append({"type": "stage_finished", "stage": name, "seconds": 1.5, "rows": 8, "counts": {"rows": 8}})
    log.append({"type": "run_finished", "run": run.id})
    log.close()
    return run


def _create(root: Path, number: int, selector: str) -> Run:
    prints = [{"name": name, "kind": name, "fingerprint": f"{name}-{number}"} for name in STAGES if name != "evaluate"]
    asked = {"selector": selector, "recipe": _recipe(number), "seed": number % SEEDS, "label": ""}
    made = {"distill_app": "0.1.0", "python": "3.11.9", "packages": {"torch": "2.13.0", "transformers": "5.16.1"}}
    return runs.create(root, "", "", {"plan": f"{number:016x}", "file": None, **asked, "stages": prints, **made})


def _recipe(number: int) -> str:
    return f"matrix-{number // (SEEDS * len(SELECTORS))}"


def _report(run: Run, number: int) -> None:
    """The result of a run: its students better by as much as its selector and its seed say."""
    group = number // (SEEDS * len(SELECTORS))
    selector = SELECTORS[number // SEEDS % len(SELECTORS)]
    better = 0.02 * SELECTORS.index(selector) + 0.002 * (number % SEEDS)
    found = result.build(
        run=run.id,
        recipe=_recipe(number),
        selector=selector,
        label=selector.replace("_", " "),
        seed=number % SEEDS,
        arm=f"arm-{number // SEEDS}",
        setting=f"setting-{group}",
        status="finished",
        trained=[_answered(name, better, number) for name in BENCHMARKS],
        base=[_base(name) for name in BENCHMARKS],
        samples=SAMPLES,
        k=[SAMPLES],
        train_tokens=1_000_000 + number,
        seconds=600.0 + number,
        selection={
            "label": selector, "dynamic": False, "rows": 800, "reads": ["quality"], "capability": None, "facts": {},
            "warnings": [], "epochs": [],
        },
        counts={"pool": {"rows": 8000, "left out": {"wrong answer": 500}}},
        timings=dict.fromkeys(STAGES, 60.0),
        settings={
            "student": "a/student",
            "evaluation": {"temperature": 0.6, "max_tokens": 2048},
            "training": {"learning_rate": 1e-4, "batch_size": 16 + group},
        },
        notes=[],
    )  # fmt: skip
    write_json(run.folder / "result.json", found)


@cache
def _base(benchmark: str) -> Measured:
    return _answered(benchmark, 0.0, -1)


def _answered(benchmark: str, better: float, seed: int) -> Measured:
    """Answers right as often as a problem's ease and `better` say."""
    draw = np.random.default_rng([len(benchmark), seed + 1])
    ease = np.random.default_rng(len(benchmark)).beta(1.2, 1.6, BENCHMARKS[benchmark])
    right = draw.random((len(ease), SAMPLES)) < np.clip(ease + better, 0, 1)[:, None]
    samples, verdicts, labels = [], [], {}
    for problem, line in enumerate(right.tolist()):
        for number, is_right in enumerate(line):
            name = f"{benchmark}-{problem:04d}"
            key = f"{name}/{number}"
            how = "length" if not is_right and number == 7 else "stop"
            samples.append(Sample(key, name, f"Question {problem} of {benchmark}?", "4", _text(problem, number),
                                  number, 0, how, 300))  # fmt: skip
            verdicts.append(Verdict(key, "correct" if is_right else "wrong", "4" if is_right else "5", "boxed"))
            labels[key] = 0 if is_right else 1
    return Measured(benchmark, samples, verdicts, labels)


def _text(one: int, other: int, sentences: int = 24) -> str:
    return " ".join(SENTENCES[(one * 7 + other * 3 + at * at) % len(SENTENCES)] for at in range(sentences))


@dataclass(frozen=True)
class _Columns:
    """The signals of every row of the pool."""

    quality: np.ndarray
    nll: np.ndarray
    nll_alone: np.ndarray
    tokens: np.ndarray
    pass_rate: np.ndarray


def _write_pool(root: Path, run: Run, size: int) -> None:
    """A pool of `size` traces, all but a tenth of them candidates, chosen from again before each of three epochs."""
    draw = np.random.default_rng(0)
    names = [f"problem-{at // 4:06d}/trace-{at % 4}-{at:06d}" for at in range(size)]
    columns = _Columns(draw.beta(6, 2, size), draw.gamma(4, 0.2, size), draw.gamma(6, 0.2, size),
                       draw.gamma(3, 160, size).round(), np.repeat(draw.random(size // 4 + 1), 4)[:size])  # fmt: skip
    chains = [f"{top} -> {low} {leaf}" for top in ("Algebra", "Counting", "Geometry", "Number theory")
              for low in ("basic", "applied") for leaf in range(8)]  # fmt: skip
    verdicts = draw.choice(["correct", "wrong", "no_answer"], size, p=[0.8, 0.15, 0.05]).tolist()
    teachers = draw.choice(["teacher-a", "teacher-b", "teacher-c"], size).tolist()
    augmentations = draw.choice(["chain_of_thought", "rephrase", "backward"], size).tolist()
    tags = draw.integers(0, len(chains), (size, 2)).tolist()
    store = Store(root)

    def put(kind: str, name: str, record: type, content: Sequence[Any]) -> None:
        rows.write(store.partial(kind, _print(run, kind)) / f"{name}.parquet", record, content)
        store.finish(kind, _print(run, kind), {})

    put("generate", "traces", Trace, [
        Trace(name, name.split("/")[0], f"Question {at // 4}: how many are left? {_text(at // 4, 1, 3)}", "4",
              _text(at, at % 13), teachers[at], augmentations[at], at % 4, at, "stop")
        for at, name in enumerate(names)
    ])  # fmt: skip
    put("grade", "verdicts", Verdict, [Verdict(n, v, "4", "boxed") for n, v in zip(names, verdicts, strict=True)])
    put("quality", "quality", Quality, [
        Quality(name, value, (("answer", value), ("form", 1.0)))
        for name, value in zip(names, columns.quality.tolist(), strict=True)
    ])  # fmt: skip
    lengths = [int(value) for value in columns.tokens]
    put("tokens", "tokens", TraceTokens, [TraceTokens(n, t) for n, t in zip(names, lengths, strict=True)])
    put("difficulty", "difficulty", Difficulty, [
        Difficulty(name, tokens, nll, alone, 100, False)
        for name, tokens, nll, alone in zip(names, lengths, columns.nll.tolist(), columns.nll_alone.tolist(),
                                            strict=True)
    ])  # fmt: skip
    put("skills", "skills", TraceSkills, [
        TraceSkills(name, tuple(dict.fromkeys(chains[at] for at in pair)), None)
        for name, pair in zip(names, tags, strict=True)
    ])  # fmt: skip
    _select(store, run, names, columns)
    _answers(store, run)


def _print(run: Run, kind: str) -> str:
    by_kind: dict[str, str] = {stage["kind"]: stage["fingerprint"] for stage in run.lock_record()["stages"]}
    return by_kind[kind]


def _select(store: Store, run: Run, names: list[str], columns: _Columns) -> None:
    there = len(names) - len(names) // 10
    kept = int(KEPT * len(names))
    scores = columns.quality[:there] - 0.1 * columns.nll[:there]
    order = np.argsort(-scores)
    decisions: list[Any] = [Decision(name, False, None, None, f"longer than {2000 + at % 7} tokens; 2,345 of them")
                            for at, name in enumerate(names)]  # fmt: skip
    for rank, place in enumerate(order.tolist(), 1):
        score = float(scores[place])
        word = f"kept: {rank} of {kept}" if rank <= kept else f"left: the {kept} rows are full before rank {rank}"
        decisions[place] = Decision(names[place], rank <= kept, rank, score, f"{word}; score {score:.4g}")
    folder = store.partial("select", _print(run, "select"))
    rows.write(folder / "decisions.parquet", Decision, decisions)
    fields = ("quality", "nll", "nll_alone", "tokens", "pass_rate")
    signals = {name: getattr(columns, name)[:there].astype(np.float64) for name in fields}
    choice.write_signals(
        folder / "signals.parquet", Candidates(names[:there], [n.split("/")[0] for n in names[:there]], signals)
    )
    live_rows = [Trace(names[at], "", "", "", "", "", "", 0, 0, "stop") for at in order[: 2 * kept].tolist()]
    rows.write(folder / "live.parquet", Trace, live_rows)
    write_json(folder / "selection.json", {
        "label": "DMC (inferred form)",
        "plan": {"selector": "dmc", "options": {}, "seed": 0, "epochs": EPOCHS},
        "capability": {"mode": "fixed", "value": 0.25},
        "reads": ["nll", "quality"],
        "max_tokens": 2000,
        "rows": kept,
        "facts": {},
        "warnings": [],
    })  # fmt: skip
    roles = {"traces": "generate", "verdicts": "grade", "quality": "quality", "tokens": "tokens",
             "difficulty": "difficulty", "skills": "skills"}  # fmt: skip
    store.finish("select", _print(run, "select"), {"inputs": {role: [_print(run, kind)]
                                                              for role, kind in roles.items()}})  # fmt: skip
    epochs = store.partial("train", _print(run, "train")) / "epochs"
    epochs.mkdir(exist_ok=True)
    for number in range(EPOCHS):
        ids = [names[place] for place in order[number * kept // 4 : number * kept // 4 + kept].tolist()]
        write_json(epochs / f"epoch-{number}.json", {
            "epoch": number, "rows": len(ids), "scored": 2 * kept, "seconds": 1.0, "capability": 0.25 + number / 10,
            "overlap": None if number == 0 else 0.75, "ids": ids, "scores": None,
        })  # fmt: skip
    store.finish("train", _print(run, "train"), {"facts": {"selection_seconds": {}}})


def _answers(store: Store, run: Run) -> None:
    """What both students answered on every benchmark, graded."""
    lock = run.lock_record()
    for benchmark in BENCHMARKS:
        for role, entry in (("base", _base(benchmark)), ("trained", _answered(benchmark, 0.08, 1))):
            asked, graded = f"evaluate-{role}-{benchmark}", f"grade-{role}-{benchmark}"
            rows.write(store.partial("evaluate", asked) / "samples.parquet", Sample, entry.samples)
            store.finish("evaluate", asked, {"inputs": {}})
            rows.write(store.partial("grade", graded) / "verdicts.parquet", Verdict, entry.verdicts)
            store.finish("grade", graded, {"inputs": {"rows": [asked]}})
            lock["stages"] += [
                {"name": f"evaluate[{role} {benchmark}]", "kind": "evaluate", "fingerprint": asked},
                {"name": f"grade[{role} {benchmark}]", "kind": "grade", "fingerprint": graded},
            ]
    # The pool's verdicts stay the ones that `select` names: they come by kind, the last of which counts.
    lock["stages"].sort(key=lambda stage: stage["name"] == "grade")
    write_json(run.folder / "lock.json", lock)
