"""One selection: a selector's ranking of the candidates, cut to what is trained. The first, and those before epochs.

Dynamic selection uses the same function before every epoch, on the signals of the student as it is then.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_app.errors import StageError
from distill_app.recipe.model import build
from distill_app.records import Decision
from distill_app.selectors import Candidates, Ranking, _top, signal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Plan:
    """A selector with its options and seed; `epochs` is 0 where it selects once."""

    selector: str
    options: Mapping[str, Any]
    seed: int
    epochs: int

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A decision on every row given; `reads` names the signals that the ranking looked at.

    `live` are the ids that dynamic selection scores again, in the order given; all where it is static.
    """

    decisions: list[Decision]
    live: list[str]
    reads: list[str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class _Recorded(Mapping[str, Any]):
    """Signals that remember which of them were asked for."""

    def __init__(self, signals: Mapping[str, Any]) -> None:
        self.signals = signals
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return self.signals[name]

    def __contains__(self, name: object) -> bool:
        return name in self.signals

    def __iter__(self) -> Iterator[str]:
        return iter(self.signals)

    def __len__(self) -> int:
        return len(self.signals)

    def values(self) -> ValuesView[Any]:
        """All of them, as their lengths are checked: that is no reading."""
        return self.signals.values()


def first(plan: Plan, pool: Candidates) -> Chosen:
    """The selection before training, out of all candidates, or with `candidates` out of the best by quality.

    `warnings` are of the ranking of all candidates and of the cut by quality, `facts` of those chosen from.

    `top` counts of all candidates either way. Raises `StageError` where the selection is impossible, and where a signal
    that the selector reads is the same for all candidates.
    """
    module, options = _module(plan)
    recorded = _Recorded(pool.signals)
    whole = dataclasses.replace(pool, signals=recorded, epochs=max(plan.epochs, 1))
    ranking: Ranking = module.rank(whole, options, plan.seed)
    live = _live(plan, options, pool, ranking)
    given, warnings = pool, ranking.warnings
    if live is not None:
        given = part(pool, live)
        warnings = (*warnings, *_cut_through(pool, live, options.candidates))
        ranking = module.rank(dataclasses.replace(given, epochs=plan.epochs), options, plan.seed)
    _refuse_constant(module.LABEL, pool, recorded.read)
    decisions = _top.keep(given, ranking, options.top, options.per_problem, options.unit)
    if live is not None:
        decisions = _with_rest(pool, decisions, options.candidates)
    return Chosen(decisions, list(given.ids), sorted(recorded.read), ranking.facts, warnings)


def again(plan: Plan, pool: Candidates, wanted: int) -> tuple[list[Decision], Ranking]:
    """The selection before an epoch: `wanted` rows of those given, whose `reference` is the pool before training.

    Every epoch trains as many rows. Where the selector leaves out so many by now that they no longer suffice (IFD rises
    above 1 with learning, say), the best of those left out fill the epoch up, and a warning says so.
    """
    module, options = _module(plan)
    ranking: Ranking = module.rank(pool, options, plan.seed)
    try:
        return _top.keep(pool, ranking, wanted, options.per_problem, options.unit), ranking
    except StageError as error:
        if ranking.eligible is None:
            raise
        filled = dataclasses.replace(
            ranking, eligible=None, warnings=(*ranking.warnings, f"{error.message} The best of them fill the epoch up.")
        )
        return _top.keep(pool, filled, wanted, options.per_problem, options.unit), filled


def part(pool: Candidates, positions: Sequence[int]) -> Candidates:
    """Some of the candidates, with the whole pool as their reference."""
    import numpy as np

    take = np.asarray(positions, dtype=np.int64)

    def some(column: Sequence[Any]) -> list[Any]:
        return [column[position] for position in positions] if len(column) else []

    return dataclasses.replace(
        pool,
        ids=some(pool.ids),
        problem_ids=some(pool.problem_ids),
        signals={name: pool.signals[name][take] for name in pool.signals},
        groups=some(pool.groups),
        skills=some(pool.skills),
        reference=pool.reference or pool,
    )


def write_signals(path: Path, pool: Candidates) -> None:
    """Every candidate with its problem, its group and its signals, as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {"id": list(pool.ids), "problem_id": list(pool.problem_ids)}
    if len(pool.groups):
        columns["group"] = list(pool.groups)
    columns |= {f"signal.{name}": pool.signals[name] for name in sorted(pool.signals)}
    pq.write_table(pa.table(columns), path, compression="zstd")


def read_signals(path: Path) -> Candidates:
    """What `write_signals` wrote."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    signals: dict[str, NDArray[np.float64]] = {
        name.removeprefix("signal."): table[name].to_numpy()
        for name in table.column_names
        if name.startswith("signal.")
    }
    groups = table["group"].to_pylist() if "group" in table.column_names else ()
    return Candidates(table["id"].to_pylist(), table["problem_id"].to_pylist(), signals, groups=groups)


def _module(plan: Plan) -> tuple[Any, Any]:
    module = importlib.import_module(f"distill_app.selectors.{plan.selector}")
    return module, build(module.Options, plan.options)


def _refuse_constant(label: str, pool: Candidates, read: Iterable[str]) -> None:
    """Raise `StageError` for a signal that the selector read and that tells no candidates apart."""
    for name in sorted(read):
        values = pool.signals[name]
        if len(values) > 1 and float(values.min()) == float(values.max()):
            raise StageError(
                f"{label} selects by {name}, and {name} is {float(values[0]):g} for all {len(values)} candidates: its"
                " choice would be a draw under another name.",
                "Take another scorer or selector, or loosen pool.keep so that candidates differ. selector.name: random"
                " draws and says so.",
            )


def _live(plan: Plan, options: Any, pool: Candidates, ranking: Ranking) -> list[int] | None:
    """Positions of the best by quality that are scored again, in the pool's order; None for all.

    Rows of equal quality come in the order of the ranking before training: a program's check gives many rows the same
    score, and a draw among them would leave out what the selector wants most.
    """
    import numpy as np

    share = getattr(options, "candidates", "100%")
    if not plan.epochs or share == "100%":
        return None
    count = math.floor(Fraction(share.removesuffix("%")) / 100 * len(pool.ids))
    wanted = _top.count(options.top, len(pool.ids))
    if count < wanted:
        raise StageError(
            f"selector.candidates {share} of {len(pool.ids)} candidates are {count} rows, and top asks for {wanted}.",
            "Raise selector.candidates, or lower selector.top.",
        )
    ranks = np.empty(len(pool.ids), dtype=np.int64)
    ranks[ranking.order] = np.arange(len(pool.ids))
    order = np.lexsort((ranks, -signal(pool, "quality")))
    return sorted(order[:count].tolist())


def _cut_through(pool: Candidates, live: Sequence[int], share: str) -> tuple[str, ...]:
    """A warning where many rows are as good as the last of `live` and not among them."""
    quality = signal(pool, "quality")
    at = float(quality[live].min())
    equal = int((quality == at).sum())
    inside = int((quality[live] == at).sum())
    if (equal - inside) * 10 <= len(live):
        return ()
    needed = math.ceil(Fraction(100 * (len(live) - inside + equal), len(quality)))
    return (
        f"{equal} candidates have the quality {at:g} at which selector.candidates {share} cuts, and {equal - inside}"
        " of them are never scored again: what the student would want of those as it learns is not found. Set"
        f" selector.candidates to {needed}%, or take a quality that tells them apart.",
    )


def _with_rest(pool: Candidates, decisions: Sequence[Decision], share: str) -> list[Decision]:
    """Decisions on all candidates, in the pool's order: those outside the best by quality are left."""
    by_id = {row.id: row for row in decisions}
    reason = f"left: not among the best {share} by quality, which dynamic selection chooses from"
    return [by_id.get(name) or Decision(name, False, None, None, reason) for name in pool.ids]
