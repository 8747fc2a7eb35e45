"""The requests of one call that are under way, and what their replies say about the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from distill_app import stopping
from distill_app.errors import StageError
from distill_app.records import Completion, Request
from distill_app.teachers._openai_answer import prompt_bytes
from distill_app.teachers._openai_ledger import Ledger
from distill_app.teachers._openai_server import Reply, Server

if TYPE_CHECKING:
    from distill_app.teachers.openai import Options

IN_A_ROW = 20
"""Problems in a row that a server refuses (or answers with nothing, from the start) before the stage ends."""
LONG_IN_A_ROW = 200
"""The same for prompts that are too long, where others were answered: such problems come in clusters."""


class Asking:
    """The requests under way, and what their replies say about the server."""

    def __init__(
        self, todo: Iterator[Request], options: Options, server: Server, ledger: Ledger, say: Callable[[str], None]
    ) -> None:
        self._todo, self._options, self._server, self._ledger, self._say = todo, options, server, ledger, say
        self._next: Request | None = None
        self._open: dict[asyncio.Task[Reply | None], tuple[Request, int]] = {}
        self._ended: asyncio.Queue[asyncio.Task[Reply | None]] = asyncio.Queue()
        self._held: list[Completion] = []
        self._doubted: set[str] = set()
        self._lengthy: set[str] = set()
        self._note: str | None = None
        self._counts_said = False
        self.trusted = False
        """Whether the server has answered anything, now or in an earlier attempt."""
        self.empty = 0
        self.error: BaseException | None = None

    async def batch(self) -> list[Completion]:
        """What has finished since the last call, one row at least; nothing once all is over."""
        while True:
            self._fill()
            if not self._open:
                return self._rest()
            tasks = [await self._ended.get()]
            while not self._ended.empty():
                tasks.append(self._ended.get_nowait())
            rows = [row for task in tasks for row in self._settled(task)]
            if rows:
                return rows

    async def close(self) -> None:
        """End what is under way."""
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.close()

    def _fill(self) -> None:
        """Send on, as far as concurrency and `max_cost` allow, until Ctrl-C."""
        if stopping.asked():
            self._end(KeyboardInterrupt())
        while self.error is None and len(self._open) < self._options.concurrency:
            request = self._next or next(self._todo, None)
            if request is None:
                return
            size = prompt_bytes(request, self._options)
            if not self._ledger.set_aside(size):
                self._next = request
                if not self._open:
                    self._end(self._ledger.exceeded(size))
                return
            self._next = None
            task = asyncio.create_task(self._server.ask(request))
            self._open[task] = request, size
            task.add_done_callback(self._ended.put_nowait)

    def _settled(self, task: asyncio.Task[Reply | None]) -> list[Completion]:
        """The rows to hand on now that a task has ended."""
        request, size = self._open.pop(task)
        self._ledger.release(size)
        if task.cancelled():
            return []
        error = task.exception()
        if error is not None:
            self._end(error)
            return []
        reply = task.result()
        if reply is None:
            return []
        if reply.kind == "refused":
            return self._refused(request, reply)
        self._count(reply.completion)
        if reply.kind == "empty":
            self.empty += 1
            if not self.trusted:
                self._doubt(request, reply)
            return [reply.completion]
        self.trusted = True
        self._doubted.clear()
        self._lengthy.clear()
        held, self._held = self._held, []
        return [*held, reply.completion]

    def _refused(self, request: Request, reply: Reply) -> list[Completion]:
        """A refusal is a row's own fault only beside rows that are answered: until one is, it is held back."""
        self._held.append(reply.completion)
        self._doubt(request, reply)
        return []

    def _doubt(self, request: Request, reply: Reply) -> None:
        """Count a problem without an answer; `IN_A_ROW` of them end the stage, `LONG_IN_A_ROW` for their length."""
        self._note = reply.completion.note
        lengthy = reply.too_long and self.trusted
        doubted = self._lengthy if lengthy else self._doubted
        doubted.add(request.problem.id)
        if len(doubted) >= (LONG_IN_A_ROW if lengthy else IN_A_ROW):
            self._end(self._hopeless(len(doubted)))

    def _rest(self) -> list[Completion]:
        """What was held back, once no request is left; where nothing was ever answered, that is an error."""
        if self.error is None and not self.trusted and self._doubted:
            self._end(self._hopeless(len(self._doubted)))
        rest, self._held = ([] if self.error is not None else self._held), []
        return rest

    def _hopeless(self, problems: int) -> StageError:
        return StageError(
            f"{self._options.model} at {self._options.base_url} gave no text for {problems} "
            f"{'problems in a row, the last one' if problems > 1 else 'problem'}: {self._note}",
            "Check max_tokens against the server's context length, and what else is asked of it (structured, thinking, "
            "extra, max_tokens_key). Finished rows are kept.",
        )

    def _count(self, completion: Completion) -> None:
        """Count an answer's tokens; where the server reports none, say so once, or end if money depends on them."""
        self._ledger.add(completion)
        if completion.tokens is not None and completion.prompt_tokens is not None:
            return
        if self._options.max_cost is not None:
            self._end(
                StageError(
                    f"{self._options.base_url} does not report the tokens of its answers, so max_cost cannot be held.",
                    "Leave max_cost out. Finished rows are kept.",
                )
            )
        elif not self._counts_said:
            self._counts_said = True
            self._say(f"{self._options.base_url} does not report the tokens of its answers: none are counted.")

    def _end(self, error: BaseException) -> None:
        """Send nothing more. What is under way may end; what only waits for its next attempt ends now."""
        if self.error is None:
            self.error = error
        self._server.closing = True
        for task in self._open:
            if self._server.waits(task):
                task.cancel()
