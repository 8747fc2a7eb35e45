"""Ctrl-C in the process of a model stage: within a batch of rows it waits for the batch's end, elsewhere it leaves now.

`listen` is called by that process alone (`engine.worker`). Everywhere else Ctrl-C is Python's own, `asked` is False and
`held` and `free` do nothing. A second Ctrl-C does not come here: `engine.local` ends the process.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass(slots=True)
class _State:
    asked: bool = False
    depth: int = 0


_state = _State()


def listen() -> None:
    """Have SIGINT ask this process to stop, from now on."""
    signal.signal(signal.SIGINT, _heard)


def ask() -> None:
    """Ask for a stop as SIGINT does; raises `KeyboardInterrupt` unless a batch is at work."""
    _state.asked = True
    if _state.depth == 0:
        raise KeyboardInterrupt


def asked() -> bool:
    """Whether a stop was asked for: work in steps of its own (training) looks here between two of them."""
    return _state.asked


@contextmanager
def held() -> Iterator[None]:
    """A batch of rows at work: a stop asked for within takes effect at the end, as `KeyboardInterrupt`.

    A generator that yields a batch inside the block holds until its caller, who saves the batch, asks for the next.
    """
    _state.depth += 1
    try:
        yield
    finally:
        _state.depth -= 1
    _leave_if_asked()


@contextmanager
def free() -> Iterator[None]:
    """A part of a held block that can be left at any of its own batches, for all that came before it is saved."""
    depth, _state.depth = _state.depth, 0
    try:
        _leave_if_asked()
        yield
    finally:
        _state.depth = depth


def _leave_if_asked() -> None:
    if _state.asked and _state.depth == 0:
        raise KeyboardInterrupt


def _heard(_signal: int, _frame: FrameType | None) -> None:
    ask()
