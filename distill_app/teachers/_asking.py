"""Asking one teacher again and again, where what is asked next depends on what it said."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from distill_app.recipe.model import Runtime, build
from distill_app.records import Completion, Request
from distill_app.store.rows import RowLog


class Asker:
    """Answers requests through a teacher; every answer is in the log before it is returned, and never asked for twice.

    `options` are the teacher's, with its `backend`. A resumed stage that asks the same requests gets the answers of the
    attempt before from the log.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        runtime: Runtime,
        log: Path,
        say: Callable[[str], None],
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._module: Any = importlib.import_module(f"distill_app.teachers.{options['backend']}")
        names = self._module.Options.__dataclass_fields__
        self._options = build(self._module.Options, {key: options[key] for key in names})
        self._runtime = runtime
        self._log = RowLog(log, Completion)
        self._known = {answer.id: answer for answer in self._log.rows}
        self._say = say
        self._said: set[str] = set()
        self._progress = progress

    def __call__(self, requests: list[Request]) -> list[Completion]:
        """A completion for each request, in order."""
        done = frozenset(request.id for request in requests if request.id in self._known)
        if len(done) < len(requests):
            batches = self._module.complete(
                requests,
                self._options,
                runtime=self._runtime,
                done=done,
                finished=tuple(self._known.values()),
                say=self._once,
                problems=[request.problem for request in requests],
                progress=self._told,
            )
            for batch in batches:
                new = [answer for answer in batch if answer.id not in done]
                self._log.append(new)
                self._known |= {answer.id: answer for answer in new}
        return [self._known[request.id] for request in requests]

    @property
    def answers(self) -> int:
        """Answers so far."""
        return len(self._known)

    @property
    def tokens(self) -> int:
        """Tokens that the teacher wrote, so far."""
        return sum(answer.tokens or 0 for answer in self._known.values())

    def close(self) -> None:
        self._log.close()

    def _once(self, sentence: str) -> None:
        """Each call of the teacher says what it runs on; a person needs to hear it once."""
        if sentence not in self._said:
            self._said.add(sentence)
            self._say(sentence)

    def _told(self, answers: int, tokens: int) -> None:
        if self._progress is not None:
            self._progress(len(self._known) + answers, self.tokens + tokens)
