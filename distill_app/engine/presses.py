"""Ctrl-C: heard wherever it comes. While a model stage is at work in its own process it is counted and acted upon, not
raised in the midst of things.

The first (SIGINT of a terminal, SIGTERM of who stops a job) asks the stage to finish its batch of rows and to leave;
the second ends it at once. After SIGTERM there is a limit, for who sends it waits for an end.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

TERM_SECONDS = 10
"""After SIGTERM: time for the batch at work, then the stage is ended as by a second press."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


_pressed = False


def listen() -> None:
    """From now on SIGINT and SIGTERM raise `KeyboardInterrupt`, as Python's own handler does, and are remembered.

    Python drops an exception that comes while it takes an object down or loads a module: without `check` such a press
    would go unheard.
    """
    global _pressed
    _pressed = False
    for name in _SIGNALS:
        if signal.getsignal(name) != signal.SIG_IGN:
            signal.signal(name, _remember)


def check() -> None:
    """Raise `KeyboardInterrupt` for a press that was heard and dropped."""
    if _pressed:
        raise KeyboardInterrupt


def _remember(_number: int, _frame: FrameType | None) -> None:
    global _pressed
    _pressed = True
    raise KeyboardInterrupt


class Presses:
    """Within the block, SIGINT and SIGTERM are counted here; afterwards they mean what they meant before.

    Outside the main thread, and for a signal that this process was started to ignore, nothing is changed.
    """

    def __init__(self) -> None:
        self.count = 0
        self.until: float | None = None
        """When patience ends (monotonic seconds); None: never."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Presses:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        if threading.current_thread() is threading.main_thread():
            for name in _SIGNALS:
                if (before := signal.getsignal(name)) != signal.SIG_IGN:
                    self._before[name] = before
                    signal.signal(name, self._heard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        for name, before in self._before.items():
            signal.signal(name, before)
        os.close(self._reading)
        os.close(self._writing)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if number == signal.SIGTERM and self.until is None:
            self.until = time.monotonic() + TERM_SECONDS
        os.write(self._writing, b"x")

    @property
    def urgent(self) -> bool:
        """Whether the stage is to be ended at once."""
        return self.count > 1 or (self.until is not None and time.monotonic() >= self.until)

    def wait(self, reading: int | None, seconds: float | None = None) -> bool:
        """Until `reading` can be read (then True), a signal comes, patience ends, or `seconds` are over."""
        limits = [seconds, None if self.until is None else max(0.0, self.until - time.monotonic())]
        limit = min((one for one in limits if one is not None), default=None)
        given = [self._reading] if reading is None else [self._reading, reading]
        ready, _, _ = select.select(given, [], [], limit)
        if self._reading in ready:
            os.read(self._reading, 64)
        return reading in ready


def quietly(action: Callable[[], None]) -> None:
    """Do something that has to be done on the way out, and that another Ctrl-C must not cut short."""
    if threading.current_thread() is not threading.main_thread():
        action()
        return
    before = {name: signal.signal(name, signal.SIG_IGN) for name in _SIGNALS}
    try:
        action()
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
