"""The replicas of vLLM that a stage works with: started, fed, heard and ended. vLLM itself is not imported here.

Each replica is a process of its own (`students.vllm_worker`) with the whole model, on GPUs of its own where there
are any: its memory comes back when it ends, and a fault in the engine takes the replica, not the stage.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_app import stopping
from distill_app.students.vllm_faults import explain

WINDOW = 2
"""Rows given to a replica ahead, as a multiple of those it decodes at once: it never waits, and little is in flight."""

STOP_SECONDS = 10
WORKER = "distill_app.students.vllm_worker"
_PACKAGE_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Answer:
    """A row that finished: which ask (by its place in the list), which of its samples, and what vLLM said of it."""

    ask: int
    sample: int
    tokens: list[int]
    reason: str


@dataclass(frozen=True, slots=True)
class News:
    """What arrived at once: rows that finished, and how many tokens were written for these and others."""

    answers: list[Answer]
    tokens: int


class Replicas:
    """Replicas of one engine, `environments` holding what each has set differently from this process."""

    def __init__(self, config: Mapping[str, Any], environments: Sequence[Mapping[str, str]]) -> None:
        self._config = config
        self._team: list[_Replica] = []
        try:
            for environment in environments:
                self._team.append(_Replica(config, environment))
        except BaseException:
            self.stop()
            raise

    def wait_until_ready(self) -> None:
        """Return when every replica has its model loaded. `StageError` where one cannot start."""
        with self._selector() as selector:
            while any(replica.seqs == 0 for replica in self._team):
                for _ in self._hear(selector):
                    pass  # nothing is asked yet

    def work(self, asks: Sequence[Mapping[str, Any]]) -> Iterator[News]:
        """Have the asks answered (each holds `samples`, the rows it is for); yields news about once a second or sooner.

        `StageError` where a replica fails, after what others finished was yielded. If the caller stops listening
        midway, or on an error, all replicas are ended: they hold rows that nobody waits for. Asked to stop, they are
        given nothing more, and what is at work in them is finished.
        """
        waiting = deque(enumerate(asks))
        whole = False
        try:
            with stopping.held(), self._selector() as selector:
                while (waiting and not stopping.asked()) or any(replica.open for replica in self._team):
                    while waiting and not stopping.asked():
                        replica = min(self._team, key=lambda replica: replica.open)
                        if replica.open >= WINDOW * replica.seqs:
                            break
                        key, ask = waiting.popleft()
                        replica.send({**ask, "key": key}, ask["samples"])
                    yield from self._hear(selector)
            whole = True
        finally:
            if not whole:
                self.stop()

    def _hear(self, selector: selectors.BaseSelector) -> Iterator[News]:
        answers: list[Answer] = []
        tokens, failed = 0, None
        for key, _ in selector.select(1.0):
            replica: _Replica = key.data
            messages = replica.receive()
            for message in messages or ():
                if message["type"] == "ready":
                    replica.seqs = message["seqs"]
                elif message["type"] == "rows":
                    new = [Answer(*row) for row in message["rows"]]
                    replica.open -= len(new)
                    answers += new
                    tokens += message["tokens"]
                else:
                    failed = explain(message["kind"], message["text"], self._config)
            if messages is None and failed is None:
                failed = explain("", f"exit {replica.process.wait()}", self._config)
        yield News(answers, tokens)
        if failed is not None:
            raise failed

    def _selector(self) -> selectors.BaseSelector:
        selector = selectors.DefaultSelector()
        for replica in self._team:
            selector.register(replica.reading, selectors.EVENT_READ, replica)
        return selector

    def stop(self) -> None:
        """End every replica and what it started; returns when their memory is back. Calling it again does nothing."""
        for replica in self._team:
            replica.ask_to_end()
        for replica in self._team:
            replica.end()
        self._team = []


class _Replica:
    """One process. `open`: rows given and not answered. `seqs`: rows it decodes at once, 0 until it is ready."""

    def __init__(self, config: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self.open = 0
        self.seqs = 0
        self._buffer = b""
        self.reading, writing = os.pipe()
        paths = [str(_PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-m", WORKER, str(writing), str(os.getpid())],
                stdin=subprocess.PIPE,
                pass_fds=[writing],
                env={**os.environ, **environment, "PYTHONPATH": os.pathsep.join(paths)},
                start_new_session=True,  # a group of its own, so that it can be ended with all that it started
            )
        finally:
            os.close(writing)
        self._write(config)

    def send(self, ask: Mapping[str, Any], rows: int) -> None:
        self.open += rows
        self._write(ask)

    def _write(self, message: Mapping[str, Any]) -> None:
        """A replica that died meanwhile is noticed when its answers end, not here."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write((json.dumps(message) + "\n").encode())
            self.process.stdin.flush()

    def receive(self) -> list[dict[str, Any]] | None:
        """The messages that have arrived; None at the end: the replica is dead."""
        data = os.read(self.reading, 1 << 20)
        if not data:
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def ask_to_end(self) -> None:
        """An idle replica ends by itself when its input does; one at work is told to."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        if self.open or self.seqs == 0:
            self.process.terminate()

    def end(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):  # the group is gone with its last process
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.reading)
