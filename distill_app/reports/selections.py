"""A run's selection as it lies in the store: what was there, what was kept, and what each row was known by."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from distill_app.errors import UsageError
from distill_app.records import Decision, Difficulty, Quality, Trace, TraceSkills, Verdict
from distill_app.stages import difficulty, generate, grade, quality, select, skills, tokens, train
from distill_app.store import rows
from distill_app.store.artifacts import WORK, Store
from distill_app.store.runs import Run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

T = TypeVar("T")
DERIVED = "ln_ifd"
"""nll - nll_alone, ln IFD: no signal of its own, made where both are there."""


@dataclass(frozen=True)
class Selection:
    """The selection of one run. Columns are read when they are first asked for.

    `inputs` maps a role of the selection stage to the folders that fill it; `trained` is the folder of the training,
    finished or at work, None before it began.
    """

    run: str
    folder: Path
    manifest: Mapping[str, Any]
    inputs: Mapping[str, tuple[Path, ...]]
    trained: Path | None

    @cached_property
    def facts(self) -> dict[str, Any]:
        """selection.json."""
        found: dict[str, Any] = json.loads((self.folder / select.FACTS).read_text(encoding="utf-8"))
        return found

    @property
    def label(self) -> str:
        return label(self.facts["label"], dynamic=bool(self.facts["plan"]["epochs"]))

    @cached_property
    def ids(self) -> list[str]:
        """Every row of the pool, in the pool's order."""
        return self._column("id")

    def of_rows(self, field: str) -> dict[str, Any]:
        """One field of every row of the pool, by id. The texts are most of a pool, and are left where they lie."""
        return dict(zip(self.ids, self._column(field), strict=True))

    def trace(self, name: str) -> Trace:
        """One row of the pool."""
        for folder in self.inputs["traces"]:
            for row in rows.read(folder / generate.FILE, Trace, only=name):
                return row
        raise KeyError(name)

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        return {row.id: row for row in self._read("verdicts", grade.FILE, Verdict)}

    @cached_property
    def quality(self) -> dict[str, Quality]:
        """Quality with its parts, of every row; empty where the run scored none."""
        return {row.id: row for row in self._read("quality", quality.FILE, Quality)}

    @cached_property
    def difficulty(self) -> dict[str, Difficulty]:
        return {row.id: row for row in self._read("difficulty", difficulty.FILE, Difficulty)}

    @cached_property
    def skills(self) -> dict[str, TraceSkills]:
        """The skills of every row; empty where the run attributed none."""
        return {row.id: row for row in self._read("skills", skills.FILE, TraceSkills)}

    @cached_property
    def decisions(self) -> dict[str, Decision]:
        """The decision on every row of the pool."""
        return {row.id: row for row in rows.read(self.folder / select.DECISIONS, Decision)}

    @cached_property
    def candidates(self) -> list[str]:
        """Ids of the candidates, in the order of `signals`."""
        return list(self._signals[0])

    @property
    def signals(self) -> Mapping[str, Floats]:
        """What the selector could read of each candidate, by name."""
        return self._signals[1]

    @cached_property
    def kept(self) -> set[str]:
        return {row.id for row in self.decisions.values() if row.kept}

    @cached_property
    def scores(self) -> Floats:
        """The selector's score of each candidate, NaN where it gave none."""
        import numpy as np

        given = [self.decisions[name].score for name in self.candidates]
        return np.array([np.nan if score is None else score for score in given], dtype=np.float64)

    @cached_property
    def live(self) -> list[str] | None:
        """Ids of the candidates that dynamic selection chooses from; None where it selects once."""
        path = self.folder / select.LIVE
        if not self.facts["plan"]["epochs"] or not path.exists():
            return None
        import pyarrow.parquet as pq

        found: list[str] = pq.read_table(path, columns=["id"])["id"].to_pylist()
        return found

    @cached_property
    def epochs(self) -> list[dict[str, Any]]:
        """What was chosen before each epoch so far, with `ids` and `scores`."""
        return epochs(self.trained) if self.trained else []

    def own_signals(self, name: str) -> dict[str, float]:
        """Every signal of one row: a candidate's as the selector had them, another's as far as they were made."""
        if name in self.places:
            place = self.places[name]
            return {signal: float(values[place]) for signal, values in self.signals.items()}
        found: dict[str, float] = {}
        if name in self.quality:
            found["quality"] = self.quality[name].quality
        if name in self.difficulty:
            row = self.difficulty[name]
            found |= {"nll": row.nll, "nll_alone": row.nll_alone, "rank_sum": row.rank_sum, "tokens_scored": row.tokens}
            found[DERIVED] = row.nll - row.nll_alone
        if name in self.tokens:
            found["tokens"] = self.tokens[name]
        return found | {f"numbers.{key}": value for key, value in self.trace(name).numbers}

    @cached_property
    def tokens(self) -> dict[str, int]:
        """Length of every row in tokens of the student, as far as the run counted them."""
        return {row.id: row.tokens for row in self._read("tokens", tokens.FILE, tokens.TraceTokens)}

    @cached_property
    def _signals(self) -> tuple[Sequence[str], dict[str, Floats]]:
        from distill_app.selection import choice

        pool = choice.read_signals(self.folder / select.SIGNALS)
        signals = dict(pool.signals)
        if {"nll", "nll_alone"} <= set(signals):
            signals[DERIVED] = signals["nll"] - signals["nll_alone"]
        return pool.ids, signals

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each candidate stands in `candidates`."""
        return {name: place for place, name in enumerate(self.candidates)}

    def _column(self, field: str) -> list[Any]:
        return [
            value for folder in self.inputs.get("traces", ()) for value in rows.column(folder / generate.FILE, field)
        ]

    def _read(self, role: str, name: str, kind: type[T]) -> list[T]:
        return [row for folder in self.inputs.get(role, ()) for row in rows.read(folder / name, kind)]


def of_run(root: Path, run: Run) -> Selection:
    """The selection of a run. Raises `UsageError` where it has none yet, or its rows are no longer in the store."""
    stages = run.lock_record().get("stages", [])
    by_kind = {stage["kind"]: stage["fingerprint"] for stage in stages}
    kinds = {stage["fingerprint"]: stage["kind"] for stage in stages}
    store = Store(root)
    manifest = store.manifest("select", by_kind["select"]) if "select" in by_kind else None
    if manifest is None:
        raise UsageError(
            f"Run {run.id} has no selection yet: it is {run.state()}.",
            f"`distill-app show {run.id[-6:]}` says how far it came; issuing its `run` command again goes on with it.",
        )
    folder = store.folder("select", by_kind["select"])
    if not (folder / select.FACTS).exists():
        raise UsageError(
            f"The selection of run {run.id} was made by an earlier version ({manifest.get('made_by', 'unknown')}).",
            "Issue its `run` command again to select anew; generating, grading and scoring are kept where they can be.",
        )
    inputs = {
        role: tuple(store.folder(kinds[print_], print_) for print_ in prints)
        for role, prints in manifest["inputs"].items()
    }
    gone = [folder for folders in inputs.values() for folder in folders if not folder.is_dir()]
    if gone:
        raise UsageError(
            f"The rows that run {run.id} selected from are no longer in the store: {gone[0]} is not there.",
            "Issue its `run` command again: what is missing is made anew.",
        )
    return Selection(
        run.id,
        folder,
        manifest,
        inputs,
        _training(store, by_kind.get("train")),
    )


def epochs(training: Path) -> list[dict[str, Any]]:
    """What dynamic selection chose before each epoch, in order, from the folder of a training; none where it is static.

    Each has `epoch` (from 0), `rows`, `scored`, `seconds`, `capability`, `overlap`, `ids`, `scores` (null in the first)
    and `warnings`.
    """
    found = [json.loads(path.read_text(encoding="utf-8")) for path in (training / train.EPOCHS).glob("epoch-*.json")]
    manifest, clock = training / "manifest.json", training / WORK / train.CLOCK
    seconds: dict[str, float] = {}
    if manifest.exists():
        seconds = json.loads(manifest.read_text(encoding="utf-8"))["facts"]["selection_seconds"]
    elif clock.exists():
        seconds = json.loads(clock.read_text(encoding="utf-8"))
    return [
        {"warnings": [], "seconds": seconds.get(str(epoch["epoch"])), **epoch}
        for epoch in sorted(found, key=lambda epoch: epoch["epoch"])
    ]


def warnings(selection: Mapping[str, Any]) -> list[str]:
    """What the selector warned of, by a result's `selection`, each sentence once: before training and before epochs."""
    said = dict.fromkeys(selection["warnings"], "")
    for epoch in selection["epochs"]:
        for warning in epoch["warnings"]:
            said.setdefault(warning, f" (before epoch {epoch['epoch'] + 1})")
    return [f"{selection['label']}{when}: {warning}" for warning, when in said.items()]


def label(name: str, *, dynamic: bool) -> str:
    """What a person reads of a selector: its label, and whether it selects again before each epoch."""
    return f"{name}, dynamic" if dynamic else name


def label_of(selector: str) -> str:
    """The label of a selector by its name in the recipe; the name itself where this version has no such selector."""
    try:
        module = importlib.import_module(f"distill_app.selectors.{selector}")
    except ModuleNotFoundError:
        return selector
    return str(module.LABEL)


def _training(store: Store, fingerprint: str | None) -> Path | None:
    """The folder of the training, finished or at work; None before it began. Nothing is made."""
    if fingerprint is None:
        return None
    folder = store.folder("train", fingerprint)
    partial = folder.with_name(f"{folder.name}.partial")
    return next((path for path in (folder, partial) if path.is_dir()), None)
