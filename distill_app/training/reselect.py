"""Dynamic selection: before every epoch, the rows for it, by the scores of the student as it is then.

The student's live weights score the candidates, adapter in place and dropout off; the selector ranks them with the
same options, seed and frozen normalisations as before training; the trainer swaps the rows and goes on with the same
optimizer and schedule. The first epoch's rows are the ones selected before training: the untrained student's scores
are there already.

What an epoch trains is written down before it begins and read again by a run that is resumed, whose weights are
later ones by then.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_app.errors import StageError
from distill_app.selection import choice
from distill_app.selection.capability import Scale
from distill_app.selectors import Candidates
from distill_app.store.files import write_json
from distill_app.students.scoring import Score, ScoreRequest, score

LIVE_SIGNALS = frozenset({"nll", "nll_alone", "rank_sum", "tokens_scored"})
"""Signals that change while the student learns; the others are of the data or of the untrained student."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What dynamic selection chooses from.

    `pool` are the candidates, `reference` in it the whole pool before training; `requests` the same rows for the
    scorer; `first` the ids trained in the first epoch, which fix how many every epoch trains. `reads` are the signals
    that the selector looks at. `placement` and `scale` make the capability, where the selector uses it.
    """

    pool: Candidates
    requests: Sequence[ScoreRequest]
    first: Sequence[str]
    reads: frozenset[str]
    placement: Sequence[ScoreRequest]
    scale: Scale | None


class Reselection:
    """The rows of each epoch, as positions in `live.pool`; `(epoch, model)` makes or reads them.

    Each epoch leaves `epoch-<n>.json` in `folder`: ids, scores of all candidates, capability, overlap with the epoch
    before (Jaccard) and rows scored. The seconds spent are in the file `clock`, apart, so that what is chosen is the
    same bytes whenever it is. `tell` hears the same figures, less the lists.
    """

    def __init__(
        self,
        folder: Path,
        clock: Path,
        plan: choice.Plan,
        live: Live,
        *,
        start_id: int,
        max_tokens: int | None,
        pack_tokens: int,
        tell: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self.folder = folder
        self.clock = clock
        self.plan = plan
        self.live = live
        self.start_id = start_id
        self.max_tokens = max_tokens
        self.pack_tokens = pack_tokens
        self.tell = tell
        self.places = {name: place for place, name in enumerate(live.pool.ids)}
        folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, epoch: int, model: Any) -> list[int]:
        """Positions of the epoch's rows in the pool. The model is not touched where the epoch was chosen before."""
        path = self._path(epoch)
        if path.exists():
            found = self._read(epoch)
        else:
            began = time.monotonic()
            if epoch == 0:
                found = self._first()
            elif epoch % self.plan.options.get("every", 1):
                found = self._same(epoch)
            else:
                found = self._choose(epoch, model)
            seconds = {**self.seconds(), str(epoch): round(time.monotonic() - began, 3)}
            write_json(self.clock, seconds)
            write_json(path, found)
            figures = {key: value for key, value in found.items() if key not in ("ids", "scores")}
            self.tell({**figures, "seconds": seconds[str(epoch)]})
        return [self.places[name] for name in found["ids"]]

    def seconds(self) -> dict[str, float]:
        """Seconds spent on choosing, by epoch."""
        found: dict[str, float] = json.loads(self.clock.read_text(encoding="utf-8")) if self.clock.exists() else {}
        return found

    def _path(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch}.json"

    def _read(self, epoch: int) -> dict[str, Any]:
        """What was chosen for an epoch. Raises `StageError` where that is damaged: the weights it was chosen with may
        be gone, and chosen with others it could differ."""
        path = self._path(epoch)
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            strange = set(found["ids"]) - set(self.places)
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(path, f"{type(error).__name__}: {error}") from error
        if strange or len(found["ids"]) != len(self.live.first):
            raise _damaged(path, "its rows are not those of the pool")
        return found

    def _first(self) -> dict[str, Any]:
        return {
            "epoch": 0,
            "rows": len(self.live.first),
            "scored": 0,
            "capability": self.live.pool.capability,
            "overlap": None,
            "ids": list(self.live.first),
            "scores": None,
        }

    def _same(self, epoch: int) -> dict[str, Any]:
        """The rows of the epoch before: it is not yet time to select again."""
        before = self._read(epoch - 1)
        return {**before, "epoch": epoch, "scored": 0, "overlap": 1.0, "scores": None, "warnings": []}

    def _choose(self, epoch: int, model: Any) -> dict[str, Any]:
        reads = self.live.reads & LIVE_SIGNALS
        scored = self._score(model, self.live.requests, alone="nll_alone" in reads) if reads else []
        placed = self._score(model, self.live.placement, alone=False) if self.live.scale else []
        pool = dataclasses.replace(
            self.live.pool,
            signals=self._signals(scored, alone="nll_alone" in reads),
            capability=self.live.scale.capability([row.nll for row in placed])
            if self.live.scale
            else self.live.pool.capability,
            epoch=epoch,
            epochs=self.plan.epochs,
        )
        decisions, ranking = choice.again(self.plan, pool, len(self.live.first))
        kept = sorted((row for row in decisions if row.kept), key=lambda row: row.rank or 0)
        if len(kept) != len(self.live.first):
            raise StageError(
                f"Dynamic selection found {len(kept)} rows for epoch {epoch + 1}, and every epoch trains"
                f" {len(self.live.first)}.",
                "Loosen the selector, or raise selector.candidates.",
            )
        ids = [row.id for row in kept]
        before = set(self._read(epoch - 1)["ids"])
        return {
            "epoch": epoch,
            "rows": len(ids),
            "scored": len(scored) + len(placed),
            "capability": pool.capability,
            "overlap": len(before & set(ids)) / len(before | set(ids)),
            "ids": ids,
            "scores": {row.id: row.score for row in decisions},
            "warnings": list(ranking.warnings),
        }

    def _score(self, model: Any, requests: Sequence[ScoreRequest], *, alone: bool) -> list[Score]:
        found: dict[str, Score] = {}
        for batch in score(
            model,
            requests,
            start_id=self.start_id,
            alone=alone,
            max_tokens=self.max_tokens,
            pack_tokens=self.pack_tokens,
        ):
            found |= {row.id: row for row in batch}
        return [found[request.id] for request in requests]

    def _signals(self, scored: Sequence[Score], *, alone: bool) -> dict[str, Any]:
        """The pool's signals with the live ones put in; one that is stale and was not made again is left out."""
        import numpy as np

        signals = {name: values for name, values in self.live.pool.signals.items() if name not in LIVE_SIGNALS}
        if scored:
            signals["nll"] = np.array([row.nll for row in scored])
            signals["rank_sum"] = np.array([row.rank_sum for row in scored], dtype=np.float64)
            signals["tokens_scored"] = np.array([row.tokens for row in scored], dtype=np.float64)
        if scored and alone:
            signals["nll_alone"] = np.array([row.nll_alone for row in scored])
        return signals


def _damaged(path: Path, what: str) -> StageError:
    return StageError(
        f"{path} is damaged ({what}), and what it says cannot be found out again.",
        f"Remove {path.parents[1]} and issue the command again: this training begins anew.",
    )
