"""Rows that say what another row says already: word for word, or nearly.

Of rows that repeat each other one stays. Rows are gone through by id, lowest first; one that repeats a row kept so far
is left out, every other is kept. So nothing depends on the order of the input, and no two rows that stay repeat each
other. Only rows of the same task are compared. A think block is part of the text.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from distill_app.hygiene import Lesson, Removed
from distill_app.records import Trace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]

PERMUTATIONS = 128
MISSED = 0.005
"""Our choice: most of the pairs right at the threshold that the index may fail to find; more alike, fewer."""

CACHED_ROWS = 1024


class Twin(NamedTuple):
    """The kept row that a row repeats, and how like it is: Jaccard similarity, from 0 to 1."""

    id: str
    alike: float


class _Index(Protocol):
    def find(self, trace: Trace) -> Twin | None: ...

    def add(self, trace: Trace) -> None: ...


def exact(units: Sequence[Lesson]) -> dict[str, Removed]:
    """Rows whose question and text are those of another, white space, letter case and form of accents (NFC) aside.

    Other signs count: `x²` is not `x2`.
    """
    reason = "repeats another row word for word"
    return _greedy(units, _Exact(), lambda row, twin: Removed(row, "exact", reason, f"it is {twin.id}", twin.id))


def near(
    units: Sequence[Lesson], threshold: float, ngram: int, progress: Callable[[int, int], None] | None = None
) -> dict[str, Removed]:
    """Rows that share at least `threshold` of their runs of `ngram` words with another: Jaccard similarity of the sets.

    The words are those of question and text, split at white space, in NFKC form and lower case; a text of fewer words
    is one run. Pairs come from MinHash signatures and are then compared by the sets themselves (64-bit hashes of the
    runs), so that no row is left out for less than `threshold`; of pairs right at it at most `MISSED` are not found.
    """

    def said(row: str, twin: Twin) -> Removed:
        detail = f"{round(twin.alike, 3)} of it and {twin.id} is the same"
        return Removed(row, "near", "nearly the same as another row", detail, twin.id)

    return _greedy(units, _Near(threshold, ngram), said, progress)


def _greedy(
    units: Sequence[Lesson],
    index: _Index,
    said: Callable[[str, Twin], Removed],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Removed]:
    found: dict[str, Removed] = {}
    for place, unit in enumerate(sorted(units, key=lambda unit: unit[0].id), start=1):
        twins = [(row, index.find(row)) for row in unit]
        repeated = {row.id: said(row.id, twin) for row, twin in twins if twin is not None}
        if len(repeated) == len(unit):
            found |= repeated
        else:
            for row in unit:
                index.add(row)
        if progress is not None and place % 1000 == 0:
            progress(place, len(units))
    return found


class _Exact:
    def __init__(self) -> None:
        self._kept: dict[bytes, str] = {}

    def find(self, trace: Trace) -> Twin | None:
        twin = self._kept.get(self._key(trace))
        return None if twin is None else Twin(twin, 1.0)

    def add(self, trace: Trace) -> None:
        self._kept.setdefault(self._key(trace), trace.id)

    @staticmethod
    def _key(trace: Trace) -> bytes:
        parts = (trace.task, _plain(trace.question), _plain(trace.text))
        return hashlib.blake2b("\x1f".join(parts).encode(errors="surrogatepass"), digest_size=16).digest()


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


class _Near:
    """The kept rows by signature, in an index of the library's for each task."""

    def __init__(self, threshold: float, ngram: int) -> None:
        from datasketch import MinHash

        self._threshold = threshold
        self._ngram = ngram
        self._empty = MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=int)
        self._kept: dict[str, Trace] = {}
        self._indexes: dict[str, Any] = {}
        self._shingles = lru_cache(CACHED_ROWS)(self._make_shingles)
        self._signature = lru_cache(16)(self._make_signature)  # a row is looked up, then added

    def find(self, trace: Trace) -> Twin | None:
        index = self._indexes.get(trace.task)
        if index is None:
            return None
        mine = self._shingles(trace)
        twins = []
        for name in index.query(self._signature(trace)):
            alike = jaccard(mine, self._shingles(self._kept[name]))
            if alike >= self._threshold:
                twins.append(Twin(name, alike))
        return min(twins, key=lambda twin: (-twin.alike, twin.id), default=None)

    def add(self, trace: Trace) -> None:
        from datasketch import MinHashLSH

        if trace.task not in self._indexes:
            self._indexes[trace.task] = MinHashLSH(num_perm=PERMUTATIONS, params=bands(self._threshold))
        self._kept[trace.id] = trace
        self._indexes[trace.task].insert(trace.id, self._signature(trace))

    def _make_shingles(self, trace: Trace) -> Hashes:
        return shingles(f"{trace.question}\n{trace.text}", self._ngram)

    def _make_signature(self, trace: Trace) -> Any:
        signature = self._empty.copy()
        signature.update_batch((self._shingles(trace) >> 32).tolist())
        return signature


def bands(threshold: float) -> tuple[int, int]:
    """Bands and rows a band of the index: as many rows, so as few pairs to look at, as `MISSED` allows.

    Sets of similarity s agree in one of b bands of r rows with probability 1 - (1 - s^r)^b (Leskovec, Rajaraman and
    Ullman, Mining of Massive Datasets, 3.4.2).
    """
    allowed = [
        (PERMUTATIONS // rows, rows)
        for rows in range(1, PERMUTATIONS // 2 + 1)
        if (1 - threshold**rows) ** (PERMUTATIONS // rows) <= MISSED
    ]
    return max(allowed, key=lambda found: found[1], default=(PERMUTATIONS, 1))


def shingles(text: str, ngram: int) -> Hashes:
    """The set of 64-bit hashes of the text's runs of `ngram` words, sorted; of all its words where it has fewer."""
    import numpy as np

    words = unicodedata.normalize("NFKC", text).casefold().split()
    hashes = np.fromiter(map(_word, words), dtype=np.uint64, count=len(words))
    size = min(ngram, len(words))
    runs = np.zeros(len(words) - size + 1, dtype=np.uint64)
    for place in range(size):
        # Wraps at 2^64, as it is to: a polynomial of the words' hashes, in which their order counts.
        runs = runs * np.uint64(0x9E3779B97F4A7C15) + hashes[place : place + len(runs)]
    return np.unique(runs)


@lru_cache(1 << 18)
def _word(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def jaccard(first: Hashes, second: Hashes) -> float:
    """Size of the intersection over size of the union of two sorted sets, neither empty."""
    import numpy as np

    shared = len(np.intersect1d(first, second, assume_unique=True))
    return shared / (len(first) + len(second) - shared)
