"""A run's selection by columns: what the Inspect page needs of a pool of any size, without an object a row.

`Pool` is a `Selection` whose columns are arrays and whose rows are read one by one when they are asked for, so that
`inspect_row.row` works on it. It never holds the traces' texts.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from distill_app.recipe.model import build
from distill_app.records import Decision, Difficulty, Quality, Trace, TraceSkills, Verdict
from distill_app.reports import inspect, selections
from distill_app.reports.inspect import SCORE
from distill_app.reports.selections import Selection
from distill_app.skills.tree import ARROW
from distill_app.stages import difficulty, generate, grade, quality, select, skills, tokens
from distill_app.store.runs import Run

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]
    Codes = NDArray[np.int64]

T = TypeVar("T")
COLOURS = ("kept or left", "teacher", "augmentation", "skill", "graded answer")
"""What the points of the scatter may be coloured by; the first is known of every run."""
_COLUMNS = {
    "teacher": ("traces", generate.FILE, "teacher"),
    "augmentation": ("traces", generate.FILE, "augmentation"),
    "graded answer": ("verdicts", grade.FILE, "verdict"),
}
SEVERAL, NO_SKILL, UNKNOWN = "several skills", "no skill", "not known"
BATCH = 1024
"""Rows of text that are in memory at once while one of them is looked for."""
OPEN = 4
"""Pools that stay open."""
DRAWN = 12
"""Figures of a pool that are kept."""


class Rows(Mapping[str, T], Generic[T]):
    """The rows of Parquet files by id, each read from disk when it is asked for. Only the ids are in memory."""

    def __init__(self, files: Sequence[Path], kind: type[T]) -> None:
        import pyarrow.parquet as pq

        self._kind = kind
        self._ids = [(file, pq.read_table(file, columns=["id"])["id"].combine_chunks()) for file in files]

    def _at(self, name: object) -> tuple[Path, int] | None:
        import pyarrow.compute as pc

        found = ((file, pc.index(ids, name).as_py()) for file, ids in self._ids if isinstance(name, str) and len(ids))
        return next(((file, place) for file, place in found if place >= 0), None)

    def __getitem__(self, name: str) -> T:
        import pyarrow.parquet as pq

        at = self._at(name)
        if at is None:
            raise KeyError(name)
        file, place = at
        with pq.ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=BATCH):
                if place < batch.num_rows:
                    return build(self._kind, batch.slice(place, 1).to_pylist()[0])
                place -= batch.num_rows
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return self._at(name) is not None

    def __iter__(self) -> Iterator[str]:
        return (name for _, ids in self._ids for name in ids.to_pylist())

    def __len__(self) -> int:
        return sum(len(ids) for _, ids in self._ids)


@dataclass(frozen=True, slots=True)
class Words:
    """A word for each candidate, `names[codes[place]]`; the most frequent comes first."""

    names: list[str]
    codes: Codes


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill, or a branch of the tree: how many rows need it, and the student's accuracy where it was asked."""

    chain: str
    pool: int
    candidates: int
    kept: int
    accuracy: float | None
    low: float | None
    high: float | None
    answers: int | None


class Pool(Selection):
    """A `Selection` that stays small with a hundred thousand rows. Its dictionaries are `Rows`, which read lazily."""

    @cached_property
    def traces(self) -> dict[str, Trace]:
        return self._rows("traces", generate.FILE, Trace)

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        return self._rows("verdicts", grade.FILE, Verdict)

    @cached_property
    def quality(self) -> dict[str, Quality]:
        return self._rows("quality", quality.FILE, Quality)

    @cached_property
    def difficulty(self) -> dict[str, Difficulty]:
        return self._rows("difficulty", difficulty.FILE, Difficulty)

    @cached_property
    def skills(self) -> dict[str, TraceSkills]:
        return self._rows("skills", skills.FILE, TraceSkills)

    @cached_property
    def decisions(self) -> dict[str, Decision]:
        return cast("dict[str, Decision]", Rows([self.folder / select.DECISIONS], Decision))

    @cached_property
    def tokens(self) -> dict[str, int]:
        table = self._table([folder / tokens.FILE for folder in self.inputs.get("tokens", ())], ["id", "tokens"])
        return {} if table is None else dict(zip(table["id"].to_pylist(), table["tokens"].to_pylist(), strict=True))

    @cached_property
    def kept(self) -> set[str]:
        table = self._decided
        return set(table["id"].filter(table["kept"]).to_pylist())

    @cached_property
    def scores(self) -> Floats:
        import numpy as np

        given = self._of_candidates(self._decided, "score")
        return cast("Floats", given.to_numpy(zero_copy_only=False).astype(np.float64))

    @cached_property
    def ranks(self) -> Floats:
        """The rank of each candidate, NaN where it was never ranked."""
        import numpy as np

        given = self._of_candidates(self._decided, "rank")
        return cast("Floats", given.to_numpy(zero_copy_only=False).astype(np.float64))

    @cached_property
    def is_kept(self) -> Flags:
        """Whether each candidate was kept."""
        return cast("Flags", self._of_candidates(self._decided, "kept").to_numpy(zero_copy_only=False))

    @cached_property
    def columns(self) -> dict[str, Floats]:
        """The signals of the candidates, and the selector's score."""
        return {**self.signals, SCORE: self.scores}

    @property
    def reasons(self) -> list[str]:
        """Why each row of the pool that was left was left."""
        import pyarrow.compute as pc

        table = self._decided
        found: list[str] = table["reason"].filter(pc.invert(table["kept"])).to_pylist()
        return found

    @cached_property
    def reasons_counted(self) -> list[dict[str, Any]]:
        """Why rows of the pool were left, as `inspect.reasons` puts them together."""
        return inspect.reasons(self.reasons)

    @cached_property
    def drawn(self) -> OrderedDict[tuple[str, ...], Any]:
        """The last figures that were made of it, by what was asked for; whoever makes one keeps at most `DRAWN`."""
        return OrderedDict()

    def words(self, colour: str) -> Words:
        """What each candidate is coloured by, one of `COLOURS`."""
        if colour in _COLUMNS:
            return self._words(*_COLUMNS[colour])
        if colour == "skill":
            return _words([self._top(name) for name in self._chains_of_candidates])
        return _words(["kept" if kept else "left" for kept in self.is_kept])

    def composition(self, colour: str) -> list[tuple[str, int, int, int]]:
        """Rows of the pool, of the candidates and kept, by teacher, augmentation or graded answer; most rows first."""
        import numpy as np

        role, name, column = _COLUMNS[colour]
        table = self._input(role, name, ["id", column])
        if table is None:
            return []
        words = self.words(colour)
        candidates = np.bincount(words.codes, minlength=len(words.names)).tolist()
        kept = np.bincount(words.codes[self.is_kept], minlength=len(words.names)).tolist()
        found = dict(zip(words.names, zip(candidates, kept, strict=True), strict=True))
        whole = {one["values"]: one["counts"] for one in table[column].value_counts().to_pylist()}
        order = sorted(whole, key=lambda word: (-whole[word], word))
        return [(word, whole[word], *found.get(word, (0, 0))) for word in order]

    @cached_property
    def tree(self) -> list[Skill]:
        """Every skill and every branch above one, a branch before what hangs on it; empty without skills."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        table = self._input("skills", skills.FILE, ["id", "chains"])
        if table is None:
            return []
        row, code, chains = _flat(table["chains"])
        kept = _flags(pc.is_in(table["id"], self._decided["id"].filter(self._decided["kept"]).combine_chunks()))
        candidate = _flags(pc.is_in(table["id"], pa.array(self.candidates, pa.string())))
        leaves = {one["skill"]: one for one in self.facts["facts"].get("leaves", ()) if isinstance(one, Mapping)}
        found = []
        for node in sorted({ARROW.join(names[: at + 1]) for names in map(_split, chains) for at in range(len(names))}):
            below = np.array([chain == node or chain.startswith(node + ARROW) for chain in chains])
            rows = np.unique(row[below[code]])
            counts = len(rows), int(candidate[rows].sum()), int(kept[rows].sum())
            known = leaves.get(node, {})
            found.append(Skill(node, *counts, *(known.get(name) for name in ("accuracy", "low", "high", "answers"))))
        return found

    @cached_property
    def trained_in(self) -> Flags:
        """Under dynamic selection, whether each candidate (second axis) was trained in each epoch so far (first)."""
        import numpy as np

        found = np.zeros((len(self.epochs), len(self.candidates)), dtype=bool)
        for line, epoch in zip(found, self.epochs, strict=True):
            line[[self.places[name] for name in epoch["ids"]]] = True
        return found

    def flows(self) -> list[dict[str, int]]:
        """For each epoch so far, from 1: rows that stayed from the one before, came in, and went out."""
        import numpy as np

        found = []
        before = np.zeros(len(self.candidates), dtype=bool)
        for number, now in enumerate(self.trained_in, 1):
            stayed, came, went = int((before & now).sum()), int((now & ~before).sum()), int((before & ~now).sum())
            found.append({"epoch": number, "stayed": stayed, "came": came, "went": went})
            before = now
        return found

    def patterns(self) -> list[tuple[str, int, str]]:
        """Each way of being in and out of the epochs so far, `in in out`, with its rows and the first of them.

        Most rows first; what was in no epoch comes last.
        """
        import numpy as np

        if not len(self.trained_in):
            return []
        ways, first, times = np.unique(self.trained_in.T, axis=0, return_index=True, return_counts=True)
        found = [
            (" ".join("in" if there else "out" for there in way), int(rows), self.candidates[at])
            for way, rows, at in zip(ways, times, first, strict=True)
        ]
        return sorted(found, key=lambda one: ("in" not in one[0].split(), -one[1], one[0]))

    @property
    def size(self) -> int:
        """Rows of the pool."""
        return int(self._decided.num_rows)

    def first(self, wanted: int) -> list[str]:
        """Ids of the best rows kept and the best left, as many of each, by rank."""
        import numpy as np

        order = np.argsort(self.ranks)[: int((~np.isnan(self.ranks)).sum())]
        kept = [place for place in order if self.is_kept[place]][:wanted]
        left = [place for place in order if not self.is_kept[place]][:wanted]
        return [self.candidates[place] for place in (*kept, *left)]

    @cached_property
    def _decided(self) -> pa.Table:
        table = self._table([self.folder / select.DECISIONS], ["id", "kept", "rank", "score", "reason"])
        assert table is not None
        return table

    @cached_property
    def _chains_of_candidates(self) -> list[list[str] | None]:
        table = self._input("skills", skills.FILE, ["id", "chains"])
        if table is None:
            return [None] * len(self.candidates)
        found: list[list[str] | None] = self._of_candidates(table, "chains").to_pylist()
        return found

    @staticmethod
    def _top(chains: list[str] | None) -> str:
        tops = {_split(chain)[0] for chain in chains or ()}
        return UNKNOWN if chains is None else NO_SKILL if not tops else tops.pop() if len(tops) == 1 else SEVERAL

    def _words(self, role: str, name: str, column: str) -> Words:
        table = self._input(role, name, ["id", column])
        if table is None:
            return _words([UNKNOWN] * len(self.candidates))
        return _words([word or UNKNOWN for word in self._of_candidates(table, column).to_pylist()])

    def _of_candidates(self, table: pa.Table, column: str) -> pa.Array:
        """A column in the order of the candidates, null where a candidate has none: order joins no rows, ids do."""
        import pyarrow as pa
        import pyarrow.compute as pc

        at = pc.index_in(pa.array(self.candidates, pa.string()), value_set=table["id"].combine_chunks())
        return table[column].combine_chunks().take(at)

    def _rows(self, role: str, name: str, kind: type[T]) -> dict[str, T]:
        return cast("dict[str, T]", Rows([folder / name for folder in self.inputs.get(role, ())], kind))

    def _input(self, role: str, name: str, columns: list[str]) -> pa.Table | None:
        return self._table([folder / name for folder in self.inputs.get(role, ())], columns)

    @staticmethod
    def _table(files: Sequence[Path], columns: list[str]) -> pa.Table | None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        return pa.concat_tables([pq.read_table(file, columns=columns) for file in files]) if files else None


def of_run(root: Path, run: Run) -> Pool:
    """The selection of a run, kept open for the next who asks. Raises `UsageError` as `selections.of_run` does."""
    found = selections.of_run(root, run)
    epochs = sorted(path.name for path in (found.trained / "epochs").glob("*.json")) if found.trained else []
    key = (found.run, found.folder, found.trained, tuple(epochs))
    with _lock:
        if key not in _open:
            _open[key] = Pool(found.run, found.folder, found.manifest, found.inputs, found.trained)
            while len(_open) > OPEN:
                _open.popitem(last=False)
        _open.move_to_end(key)
        return _open[key]


_open: OrderedDict[tuple[Any, ...], Pool] = OrderedDict()
_lock = threading.Lock()


def _split(chain: str) -> list[str]:
    return chain.split(ARROW)


def _flags(column: pa.ChunkedArray) -> Flags:
    return cast("Flags", column.combine_chunks().to_numpy(zero_copy_only=False))


def _words(given: Sequence[str]) -> Words:
    import numpy as np

    if not given:
        return Words([], np.zeros(0, dtype=np.int64))
    names, codes, times = np.unique(np.array(given, dtype=object), return_inverse=True, return_counts=True)
    order = np.lexsort((names, -times))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return Words([str(names[at]) for at in order], place[codes])


def _flat(column: pa.ChunkedArray) -> tuple[Codes, Codes, list[str]]:
    """Lists of words as pairs: the row, and which of the words named last it has."""
    import numpy as np
    import pyarrow.compute as pc

    whole = column.combine_chunks()
    encoded = pc.list_flatten(whole).dictionary_encode()
    row = pc.list_parent_indices(whole).to_numpy(zero_copy_only=False).astype(np.int64)
    return row, encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary.to_pylist()
