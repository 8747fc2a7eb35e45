"""Attention over a pack: every node of the tree sees its own ancestors, and nothing else of the pack.

Linear layers run over the pack as one sequence without padding. Attention alone needs the rows apart: it gathers
each row's keys and values by index, runs torch's attention on rows of like length, and puts the results back where
the nodes stand. A row's queries are those of its own nodes; what it shares with another row is computed there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from distill_app.students.packing import Tree

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    Ints = npt.NDArray[np.int64]

NAME = "distill_packed"

MASK_CELLS = 2**24
"""Cells of a mask held at once: beyond it queries are taken block by block."""

_SILENT = frozenset({"position_ids", "cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k"})
"""Arguments some models hand over that say nothing the tree does not."""


class UnpackableError(Exception):
    """The model's attention asks for something that is not done here; say what, and score it padded."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Rows of like length. `queries` (rows, Q) and `keys` (rows, K) are nodes, `places` (rows, Q) depths of queries.

    Rows are filled up on the right. With `whole` the queries of each row are all of its nodes.
    """

    queries: torch.Tensor
    keys: torch.Tensor
    places: torch.Tensor
    whole: bool
    masks: dict[int | None, torch.Tensor] = field(default_factory=dict)


@dataclass(slots=True)
class Layout:
    """A pack's buckets; `source` (nodes) is where each node's result stands in the buckets' results end to end."""

    nodes: int
    buckets: list[Bucket]
    source: torch.Tensor
    windows: set[int | None] = field(default_factory=set)
    """Sliding windows that layers have asked for."""


_LAYOUT: ContextVar[Layout] = ContextVar("layout")


def layout(tree: Tree, device: Any) -> Layout:
    """Buckets for the sequences of `tree`, on `device`."""
    import numpy as np
    import torch

    like: dict[tuple[int, int, bool], list[tuple[Ints, int]]] = {}
    for path, start in zip(tree.paths, tree.starts, strict=True):
        if start < len(path):
            # Little shared: computing it again is cheaper than a mask.
            first = 0 if start * 4 < len(path) else start
            like.setdefault((_step(len(path)), _step(len(path) - first), first == 0), []).append((path, first))
    buckets, filled = [], 0
    source = np.zeros(len(tree.tokens), dtype=np.int64)
    for (_, _, whole), members in sorted(like.items(), key=lambda item: item[0]):
        longest = max(len(path) for path, _ in members)
        most = max(len(path) - first for path, first in members)
        keys = np.empty((len(members), longest), dtype=np.int64)
        queries = np.empty((len(members), most), dtype=np.int64)
        for number, (path, first) in enumerate(members):
            own = path[first:]
            keys[number, : len(path)], keys[number, len(path) :] = path, path[-1]
            queries[number, : len(own)], queries[number, len(own) :] = own, path[-1]
            source[own] = filled + number * most + np.arange(len(own))
        filled += queries.size
        places = torch.from_numpy(tree.depths[queries]).to(device)
        buckets.append(Bucket(torch.from_numpy(queries).to(device), torch.from_numpy(keys).to(device), places, whole))
    return Layout(len(tree.tokens), buckets, torch.from_numpy(source).to(device))


def _step(length: int) -> int:
    """`length` rounded up by at most an eighth (or 8): rows of one step go together."""
    step = max(8, 1 << length.bit_length() >> 4)
    return -(-length // step) * step


@contextmanager
def using(pack: Layout) -> Iterator[None]:
    """Let a model whose attention implementation is `NAME` read `pack` for a while."""
    token = _LAYOUT.set(pack)
    try:
        yield
    finally:
        _LAYOUT.reset(token)


def register() -> None:
    """Make `NAME` known to transformers. No mask is registered with it, so models make none."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(NAME, _forward)


def _forward(
    _module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    is_causal: bool | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Shapes as transformers hands them over: (1, heads, nodes, width); returns (1, nodes, heads, width)."""
    import torch

    pack = _LAYOUT.get()
    unknown = [
        name for name, given in kwargs.items() if name not in _SILENT and given is not None and given is not False
    ]
    if unknown or attention_mask is not None or is_causal is False or dropout:
        raise UnpackableError(f"attention with {', '.join(unknown) or 'a mask, dropout or no causality'}")
    if query.shape[0] != 1 or query.shape[2] != pack.nodes or key.shape[2] != pack.nodes:
        raise UnpackableError("attention over other positions than the pack's")
    pack.windows.add(sliding_window)
    query, key, value = (part[0].transpose(0, 1) for part in (query, key, value))
    done = []
    for bucket in pack.buckets:
        rows, most = bucket.queries.shape
        parts = [
            part.index_select(0, index.flatten()).view(*index.shape, *part.shape[1:]).transpose(1, 2)
            for part, index in ((query, bucket.queries), (key, bucket.keys), (value, bucket.keys))
        ]
        out = _attend(bucket, *parts, scaling=scaling, window=sliding_window, softcap=softcap)
        done.append(out.transpose(1, 2).reshape(rows * most, *out.shape[1:2], out.shape[3]))
    return torch.cat(done).index_select(0, pack.source)[None], None


def _attend(
    bucket: Bucket,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    *,
    scaling: float | None,
    window: int | None,
    softcap: float | None,
) -> torch.Tensor:
    """(rows, heads, positions, width) each; queries see keys up to their own place, `window` of them at most."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention as attention

    rows, longest = bucket.keys.shape
    if window is not None and window >= longest:
        window = None
    grouped = query.shape[1] != key.shape[1]
    if bucket.whole and window is None and softcap is None:
        return attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=grouped)
    if grouped and (softcap is not None or query.device.type != "cpu"):
        # Elsewhere torch has no fast kernel for grouped heads with a mask.
        key, value = (part.repeat_interleave(query.shape[1] // part.shape[1], 1) for part in (key, value))
        grouped = False
    done = []
    block = max(1, MASK_CELLS // (rows * longest))
    for start in range(0, query.shape[2], block):
        mask = _mask(bucket, slice(start, start + block), window, keep=block >= query.shape[2])
        some = query[:, :, start : start + block]
        if softcap is None:
            done.append(attention(some, key, value, attn_mask=mask, scale=scaling, enable_gqa=grouped))
        else:
            scale = query.shape[-1] ** -0.5 if scaling is None else scaling
            weights = torch.tanh(some @ key.transpose(2, 3) * scale / softcap) * softcap
            weights = weights.masked_fill(~mask, float("-inf")).softmax(-1, dtype=torch.float32)
            done.append(weights.to(query.dtype) @ value)
    return done[0] if len(done) == 1 else torch.cat(done, 2)


def _mask(bucket: Bucket, part: slice, window: int | None, *, keep: bool) -> torch.Tensor:
    """True where a query of `part` sees a key; the same in every layer, so small ones are kept."""
    import torch

    if window in bucket.masks:
        return bucket.masks[window]
    places = bucket.places[:, None, part, None]
    keys = torch.arange(bucket.keys.shape[1], device=places.device)
    mask = keys <= places
    if window is not None:
        mask &= keys > places - window
    if keep:
        bucket.masks[window] = mask
    return mask
