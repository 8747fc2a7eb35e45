"""Recursive k-means over vectors: EvalTree's way to find groups within groups (arXiv 2503.08893, stage 3)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_CHILDREN = 10
"""Clusters that one node is split into at most (the paper's code)."""

NOISE = 1e-9
"""A silhouette up to here is rounding: not above 0."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Row numbers that belong together, and the clusters they fall into; none where they stay as they are."""

    rows: tuple[int, ...]
    parts: tuple[Cluster, ...] = ()

    def walk(self) -> Iterator[Cluster]:
        """This cluster and all below it, a parent before its parts."""
        yield self
        for part in self.parts:
            yield from part.walk()


def recursive(vectors: NDArray[np.float32], *, seed: int, leaf_items: int = 2) -> Cluster:
    """All rows as one cluster, split as far as it goes.

    For k = 2 .. min(10, n - 1): k-means++ with the seed, scored by the mean silhouette under cosine distance; the
    best k is taken and each part split in the same way. A cluster stays whole where n <= `leaf_items` (2 in the
    paper's code), where k-means finds one cluster only (all vectors alike), and where the best score is not above 0.
    Parts stand in the order of their first row.
    """
    return _split(vectors, tuple(range(len(vectors))), seed, max(2, leaf_items))


def _split(vectors: NDArray[np.float32], rows: tuple[int, ...], seed: int, leaf_items: int) -> Cluster:
    if len(rows) <= leaf_items:
        return Cluster(rows)
    labels = _best(vectors[list(rows)], seed)
    if labels is None:
        return Cluster(rows)
    members: dict[int, list[int]] = {}
    for row, label in zip(rows, labels, strict=True):
        members.setdefault(label, []).append(row)
    return Cluster(rows, tuple(_split(vectors, tuple(part), seed, leaf_items) for part in members.values()))


def _best(matrix: NDArray[np.float32], seed: int) -> list[int] | None:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    best: list[int] | None = None
    best_score = NOISE
    for clusters in range(2, min(MOST_CHILDREN, len(matrix) - 1) + 1):
        with warnings.catch_warnings():
            # Fewer distinct vectors than clusters: told by the labels, which are looked at below.
            warnings.simplefilter("ignore", ConvergenceWarning)
            labels = KMeans(n_clusters=clusters, init="k-means++", n_init=1, random_state=seed).fit(matrix).labels_
        if len(set(labels.tolist())) < 2:
            return None
        score = silhouette(matrix, labels)
        if score > best_score:
            best, best_score = labels.tolist(), score
    return best


def silhouette(vectors: NDArray[np.float32], labels: NDArray[np.int32]) -> float:
    """The mean silhouette under cosine distance: scikit-learn's `silhouette_score(vectors, labels, metric="cosine")`.

    The cosine distances of a row to all of a cluster add up to the cluster's size less the row times the sum of the
    cluster's unit vectors, so that time and memory grow with the rows, not with their pairs.
    """
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = np.divide(vectors, lengths, out=np.zeros(vectors.shape), where=lengths > 0)
    _, own, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.zeros((len(sizes), rows.shape[1]))
    np.add.at(sums, own, rows)
    distances = sizes - rows @ sums.T
    here = np.arange(len(rows)), own
    to_itself = 1.0 - np.square(rows).sum(axis=1)  # what is not 0 of it is rounding, or a vector without a direction
    within = (distances[here] - to_itself) / np.maximum(sizes[own] - 1, 1)
    distances /= sizes
    distances[here] = np.inf
    nearest = distances.min(axis=1)
    larger = np.maximum(within, nearest)
    # A row that is a cluster by itself counts as 0.
    counted = (sizes[own] > 1) & (larger > 0)
    return float(np.divide(nearest - within, larger, out=np.zeros(len(rows)), where=counted).mean())
