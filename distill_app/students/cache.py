"""A key/value cache with room to spare: a new token is written into it, and what came before stays where it is.

transformers' own grows by `torch.cat`, which copies the whole cache for every token: on one core, an eighth of a step
of SmolLM2-135M with 96 rows of 60 tokens. Here room is added in steps, and the rows that stay move up within it.
Layers of other kinds (sliding windows, state spaces) are transformers' own.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SPARE_TOKENS = 32
"""Room added at a time, in tokens a row,"""
SPARE_SHARE = 8
"""or one part in so many of what is there, where that is more."""


def roomy(config: Any, most: int) -> Any:
    """An empty cache for a model of this configuration; no row is to hold more than `most` tokens."""
    from transformers.cache_utils import DynamicCache, DynamicLayer

    cache = DynamicCache(config=config)
    cache.layers = [_layer()(most) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def take(cache: Any, rows: Sequence[int], device: torch.device) -> None:
    """Have the cache hold these of its rows, in this order; a row may be wanted several times."""
    import torch

    indices = torch.tensor(rows, device=device)
    unmoved = next((place for place, row in enumerate(rows) if place != row), len(rows))
    for layer in cache.layers:
        if isinstance(layer, _layer()):
            layer.take(indices, unmoved)
        else:
            layer.batch_select_indices(indices)


@lru_cache(maxsize=1)
def _layer() -> type[Any]:
    """The class of a layer with room; made here because what it derives from is not to be imported on top."""
    import torch
    from transformers.cache_utils import DynamicLayer

    class RoomyLayer(DynamicLayer):  # type: ignore[no-untyped-call]
        """`keys` and `values`, each (rows, heads, tokens, width), are the filled part of `rooms`."""

        def __init__(self, most: int) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.keys: torch.Tensor
            self.values: torch.Tensor
            self.most = most
            self.rooms: tuple[torch.Tensor, torch.Tensor] | None = None

        def update(
            self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
        ) -> tuple[torch.Tensor, torch.Tensor]:
            """Add the states of new tokens, and return all there are."""
            if not self.is_initialized:
                self.lazy_initialization(key_states, value_states)
            filled = self.get_seq_length()
            length = filled + key_states.shape[-2]
            if self.rooms is None or length > self.rooms[0].shape[-2]:
                spare = max(SPARE_TOKENS, length // SPARE_SHARE)
                self._make_rooms(key_states, value_states, filled, max(length, min(length + spare, self.most)))
            assert self.rooms is not None
            for room, states in zip(self.rooms, (key_states, value_states), strict=True):
                room[:, :, filled:length] = states
            self._show(length)
            return self.keys, self.values

        def _make_rooms(self, keys: torch.Tensor, values: torch.Tensor, filled: int, tokens: int) -> None:
            """Room for `tokens` a row, with the `filled` ones that are there in it."""
            rooms = []
            for old, new in ((self.keys, keys), (self.values, values)):
                room = new.new_empty(*new.shape[:2], tokens, new.shape[-1])
                if filled:
                    room[:, :, :filled] = old
                rooms.append(room)
            self.rooms = (rooms[0], rooms[1])

        def take(self, indices: torch.Tensor, unmoved: int) -> None:
            """Hold the rows of `indices` in this order; the first `unmoved` are where they are to be."""
            if self.rooms is None:
                return  # a layer that shares another one's states holds none
            filled, rows = self.get_seq_length(), len(indices)
            rooms = []
            for room, states in zip(self.rooms, (self.keys, self.values), strict=True):
                moved = states[indices[unmoved:]]
                wide = (
                    room if rows <= len(room) else torch.cat([room, room.new_empty(rows - len(room), *room.shape[1:])])
                )
                wide[unmoved:rows, :, :filled] = moved
                rooms.append(wide[:rows])
            self.rooms = (rooms[0], rooms[1])
            self._show(filled)

        def _show(self, length: int) -> None:
            assert self.rooms is not None
            keys, values = self.rooms
            self.keys, self.values = keys[:, :, :length], values[:, :, :length]

    return RoomyLayer
