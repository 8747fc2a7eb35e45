"""The process in which answers are compared by algebra, one row at a time in its main thread.

Started by `pool` as `python -m distill_app.evaluation.worker LIMIT_SECONDS`. Reads `[id, answer, gold, tolerance]` as a
JSON line (answer null: is the gold understood at all?), writes `["started", id]` and then
`["done", id, true | false | null]`; null says the row ran out of memory. It ends when its input ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys

MEMORY_BYTES = 4 * 2**30
"""Address space of one worker: a tower of powers must not take the machine down with it."""

GRACE_SECONDS = 5.0


def main(limit_seconds: float) -> None:
    """Serve rows until the input ends."""
    # The caller stops workers itself; a Ctrl-C at the terminal must not print a traceback for each.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # If the caller is killed while sympy holds the interpreter, only the kernel can end this process: on Linux at
    # once, elsewhere by the alarm.
    _die_with_caller()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Whatever the libraries print must not be taken for a reply.
    os.dup2(2, 1)
    _limit_memory()
    from distill_app.evaluation.equivalence import equivalent, understood

    equivalent("\\frac{1}{2}", "0.5")
    _send(replies.fileno(), ["ready"])
    for line in sys.stdin:
        row, extracted, gold, tolerance = json.loads(line)
        _send(replies.fileno(), ["started", row])
        signal.setitimer(signal.ITIMER_REAL, limit_seconds + GRACE_SECONDS)
        try:
            equal: bool | None
            equal = understood(gold) if extracted is None else equivalent(extracted, gold, tolerance)
        except MemoryError:
            equal = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        _send(replies.fileno(), ["done", row, equal])


def _send(descriptor: int, message: list[object]) -> None:
    os.write(descriptor, (json.dumps(message) + "\n").encode())


def _die_with_caller() -> None:
    if sys.platform == "linux":
        import ctypes

        set_parent_death_signal = 1
        ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGKILL)


def _limit_memory() -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    # A worker that dies is reported by name; a core file of it helps nobody.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(float(sys.argv[1]))
