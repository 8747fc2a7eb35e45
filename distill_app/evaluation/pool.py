"""Worker processes with a hard limit on every row: what is over the limit is killed, and its worker replaced.

Plain subprocesses speaking JSON lines, so that the pool works from any thread, inside a process that may have no
children of `multiprocessing`'s kind, and whatever the caller's `__main__` is.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Literal

from distill_app.errors import StageError

Outcome = Literal["equal", "unequal", "over"]
"""`over`: the row was over its limit of time or memory, so nothing is known about it."""

Pair = tuple[str | None, str, float | None]
"""(answer, gold, tolerance); without an answer: is the gold understood at all?"""

START_SECONDS = 300.0
WORKER = "distill_app.evaluation.worker"
_PACKAGE_ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """One process and the row it is on. `row` is None while idle, `since` is None until the row has started."""

    def __init__(self, limit_seconds: float) -> None:
        self.limit_seconds = limit_seconds
        paths = [str(_PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`, with the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", WORKER, str(limit_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        self.row: int | None = None
        self.since: float | None = None
        self.ready = False
        self.born = time.monotonic()
        self.buffer = b""

    def send(self, row: int, pair: Pair) -> None:
        """Hand over a pair. A worker that died meanwhile is noticed when its output ends, not here."""
        assert self.process.stdin is not None
        self.row, self.since = row, None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write((json.dumps([row, *pair]) + "\n").encode())
            self.process.stdin.flush()

    def receive(self) -> list[list[object]] | None:
        """The messages that have arrived; None at the end of the output: the worker is dead."""
        assert self.process.stdout is not None
        data = os.read(self.process.stdout.fileno(), 65536)
        if not data:
            return None
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def end(self) -> str:
        """Kill and reap the process; returns the last lines it wrote to its standard error."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        self.errors.seek(0)
        text = self.errors.read().decode(errors="replace")
        self.errors.close()
        return "\n".join(text.strip().splitlines()[-5:])


_idle: list[Worker] | None = None
"""Workers of calls before, within `kept`."""
KEPT = 2
"""Each holds 100 MB or so, also while a model is at work."""


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """`KEPT` workers stay for the next call till the end of this: starting one takes a second. For one thread alone."""
    global _idle
    _idle = []
    try:
        yield
    finally:
        for worker in _idle:
            worker.end()
        _idle = None


def _worker(limit_seconds: float) -> Worker:
    """One that was kept and still lives, or a new one."""
    while _idle:
        worker = _idle.pop()
        if worker.limit_seconds == limit_seconds and worker.process.poll() is None:
            return worker
        worker.end()
    return Worker(limit_seconds)


def outcomes(
    pairs: Sequence[Pair],
    *,
    workers: int,
    limit_seconds: float,
    name: Callable[[int], str],
    progress: Callable[[int], None] | None = None,
) -> list[Outcome]:
    """What `equivalence.equivalent` says of each pair, in the order given; "equal" for a gold that is understood.

    The clock of a pair starts when a worker has started on it, never while it waits or while a worker starts up.
    Over `limit_seconds`, or over `worker.MEMORY_BYTES`, the outcome is "over". A worker that dies by itself has its
    pair tried once more, alone; if that kills it too, `StageError` names the pair by `name(index)`. No process is left
    behind, on Ctrl-C or an error either, but idle ones within `kept`. `progress` is told the index of each pair that is
    done.
    """
    found: list[Outcome | None] = [None] * len(pairs)
    waiting = deque(range(len(pairs)))
    suspects: deque[int] = deque()
    for row, outcome in _work(pairs, waiting, suspects, max(1, workers), limit_seconds, name):
        found[row] = outcome
        if progress is not None:
            progress(row)
    return [outcome for outcome in found if outcome is not None]


def _work(
    pairs: Sequence[Pair],
    waiting: deque[int],
    suspects: deque[int],
    workers: int,
    limit_seconds: float,
    name: Callable[[int], str],
) -> Iterator[tuple[int, Outcome]]:
    """Yields (index, outcome) as they come: first all pairs on all workers, then the suspects one at a time."""
    tried: set[int] = set()
    team: dict[int, Worker] = {}
    with selectors.DefaultSelector() as selector:

        def add() -> None:
            worker = _worker(limit_seconds)
            assert worker.process.stdout is not None
            team[worker.process.stdout.fileno()] = worker
            selector.register(worker.process.stdout, selectors.EVENT_READ)

        def remove(worker: Worker) -> str:
            assert worker.process.stdout is not None
            del team[worker.process.stdout.fileno()]
            selector.unregister(worker.process.stdout)
            return worker.end()

        try:
            while waiting or suspects or any(worker.row is not None for worker in team.values()):
                busy = sum(worker.row is not None for worker in team.values())
                wanted = min(workers, busy + len(waiting) + (1 if suspects and not busy else 0))
                while len(team) < wanted:
                    add()
                for worker in team.values():
                    if worker.ready and worker.row is None:
                        if waiting:
                            index = waiting.popleft()
                        elif suspects and not any(other.row is not None for other in team.values()):
                            index = suspects.popleft()
                        else:
                            continue
                        worker.send(index, pairs[index])
                for key, _ in selector.select(_patience(team.values(), limit_seconds)):
                    worker = team[key.fd]
                    messages = worker.receive()
                    if messages is None:
                        row, late = worker.row, _is_late(worker, limit_seconds)
                        said = remove(worker)
                        if row is None and worker.ready:  # it was kept, and has died idle
                            continue
                        if row is None:
                            raise StageError(f"A grading worker could not start: {said or 'it said nothing.'}")
                        if late:
                            yield row, "over"
                        elif row in tried:
                            raise StageError(
                                f"Grading {name(row)} killed the worker process twice "
                                f"(exit {worker.process.returncode}). {said}",
                                "Look at that row's text and gold answer; leave the problem out if it is broken.",
                            )
                        else:
                            tried.add(row)
                            suspects.append(row)
                        continue
                    for message in messages:
                        if message[0] == "ready":
                            worker.ready = True
                        elif message[0] == "started":
                            worker.since = time.monotonic()
                        else:
                            row, worker.row, worker.since = worker.row, None, None
                            assert row is not None
                            equal = message[2]
                            yield row, "over" if equal is None else "equal" if equal else "unequal"
                for worker in list(team.values()):
                    if _is_late(worker, limit_seconds):
                        row = worker.row
                        said = remove(worker)
                        if row is None:
                            raise StageError(f"A grading worker did not start in {START_SECONDS:.0f} s. {said}")
                        yield row, "over"
            for worker in list(team.values()):
                if _idle is not None and len(_idle) < KEPT and worker.ready:
                    del team[worker.process.stdout.fileno()]  # type: ignore[union-attr]
                    _idle.append(worker)
        finally:
            for worker in list(team.values()):
                remove(worker)


def _is_late(worker: Worker, limit_seconds: float) -> bool:
    now = time.monotonic()
    if not worker.ready:
        return now - worker.born > START_SECONDS
    return worker.since is not None and now - worker.since >= limit_seconds


def _patience(team: Iterable[Worker], limit_seconds: float) -> float:
    """Seconds until the next deadline, at least a moment and at most one second."""
    now = time.monotonic()
    left = [worker.since + limit_seconds - now for worker in team if worker.since is not None]
    return min(1.0, max(0.0, min(left, default=1.0)))
