"""An OpenAI-compatible server for tests: real HTTP on loopback, answers that follow from the request alone.

In a thread of the test, with a script that says what each call gets:

    with FakeServer(script) as server: ... server.url, server.calls

or as a process to kill: `python -m tests.teachers.fake_server PORT LATENCY FIRST`, whose counts are at /counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MODELS = ("tiny-teacher", "tiny-teacher-large", "other")


@dataclass(frozen=True)
class Call:
    """One POST to /v1/chat/completions. `number` counts from 1."""

    body: dict[str, Any]
    headers: dict[str, str]
    number: int
    at: float

    @property
    def prompt(self) -> str:
        return str(self.body["messages"][-1]["content"])


@dataclass(frozen=True)
class Reply:
    """What a call gets. `cut` closes the connection after that many bytes of the response; 0 sends none."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: int | None = None


@dataclass
class Counts:
    calls: int = 0
    answers: int = 0
    read: int = 0
    written: int = 0
    now: int = 0
    most: int = 0
    """Most calls under way at once."""
    gone: int = 0
    """Calls whose client hung up before the answer."""


def text_of(prompt: str, seed: object) -> str:
    """The one answer of a prompt and a seed: 1 to 9 words that say nothing, then a number."""
    digest = hashlib.sha256(f"{prompt}\x1f{seed}".encode()).digest()
    return "so " * (digest[0] % 9 + 1) + f"Answer: {int.from_bytes(digest[1:4], 'big')}"


def tokens_of(prompt: str, text: str) -> tuple[int, int]:
    """Tokens read and written, as the server counts: words, and 4 for the template."""
    return len(prompt.split()) + 4, len(text.split())


def completion(call: Call, text: str | None = None, **changed: Any) -> dict[str, Any]:
    """The body of a good answer; `changed` replaces fields of the message, `finish_reason` and `usage`."""
    said = text_of(call.prompt, call.body.get("seed")) if text is None else text
    read, written = tokens_of(call.prompt, said)
    finish = changed.pop("finish_reason", "stop")
    usage = changed.pop("usage", {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written})
    message = {"role": "assistant", "content": said} | changed
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "error", **more}}


def good(call: Call) -> Reply:
    return Reply(completion(call))


class FakeServer:
    """Serves in a thread while the `with` block runs. `calls` are kept, in order.

    An answer takes `latency` seconds, one of the first 32 at least `first`.
    """

    def __init__(
        self,
        script: Callable[[Call], Reply] = good,
        latency: float = 0.0,
        first: float = 0.0,
        port: int = 0,
        keep: bool = True,
        models: tuple[str, ...] | None = MODELS,
    ) -> None:
        self.script, self.latency, self.port, self.models = script, latency, port, models
        self.first = first
        self.counts = Counts()
        self.calls: list[Call] = []
        self._keep = keep

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> FakeServer:
        started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self.serve(started.set)))
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        self._loop.close()

    async def serve(self, started: Callable[[], None]) -> None:
        self._over = asyncio.Event()
        listening = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        self.port = listening.sockets[0].getsockname()[1]
        started()
        await self._over.wait()
        listening.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while await self._exchange(reader, writer):
                pass
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its response; False where the connection is to end."""
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        method, path, _ = first.split()
        content = await reader.readexactly(int(headers.get("content-length", "0")))
        if method == "POST" and path == "/v1/chat/completions":
            self.counts.now += 1
            self.counts.most = max(self.counts.most, self.counts.now)
            try:
                reply = await self._answer(json.loads(content), headers, reader)
            except (asyncio.IncompleteReadError, ConnectionError):
                self.counts.gone += 1
                raise
            finally:
                self.counts.now -= 1
        elif path == "/v1/models" and self.models is not None:
            reply = Reply({"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]})
        elif path == "/counts":
            reply = Reply(vars(self.counts))
        else:
            reply = Reply({"detail": "Not Found"}, 404)
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        named = {"content-type": "application/json", "content-length": str(len(body)), **reply.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        writer.write((f"HTTP/1.1 {reply.status} X\r\n{head}\r\n".encode() + body)[: reply.cut])
        await writer.drain()
        return reply.cut is None

    async def _answer(self, body: dict[str, Any], headers: dict[str, str], reader: asyncio.StreamReader) -> Reply:
        self.counts.calls += 1
        call = Call(body, headers, self.counts.calls, time.monotonic())
        if self._keep:
            self.calls.append(call)
        reply = self.script(call)
        await asyncio.sleep(self.latency if call.number > 32 else max(self.latency, self.first))
        if reply.delay:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.readexactly(1), reply.delay)  # a client that waits says nothing
        if reply.status == 200 and isinstance(reply.body, dict) and reply.body.get("usage"):
            self.counts.answers += 1
            self.counts.read += reply.body["usage"]["prompt_tokens"]
            self.counts.written += reply.body["usage"]["completion_tokens"]
        return reply


def main() -> None:
    port, latency, first = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    server = FakeServer(latency=latency, first=first, port=port, keep=False)
    asyncio.run(server.serve(lambda: print("ready", flush=True)))


if __name__ == "__main__":
    main()
