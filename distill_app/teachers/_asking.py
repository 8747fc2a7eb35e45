"""Asking one teacher again and again, where what is asked next depends on what it said."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from distill_app.errors import StageError
from distill_app.recipe.model import Runtime, build
from distill_app.records import Completion, Problem, Request
from distill_app.store.rows import RowLog


class Asker:
    """Answers requests through a teacher, none of them twice; to be closed.

    `options` are the teacher's, with its `backend`. A teacher that is a model (MODEL) has each batch in the log on disk
    before it is returned: a resumed stage that asks the same requests gets the answers of the attempt before from
    there, and what is all there does not reach the teacher. `problems` is the whole list that the requests are about;
    null takes those of the requests. `progress` is told how many of `requests` are answered, and tokens so far.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        runtime: Runtime,
        log: Path,
        say: Callable[[str], None],
        progress: Callable[[int, int], None] | None = None,
        problems: Sequence[Problem] | None = None,
    ) -> None:
        self.teacher: Any = importlib.import_module(f"distill_app.teachers.{options['backend']}")
        names = self.teacher.Options.__dataclass_fields__
        self.options = build(self.teacher.Options, {key: options[key] for key in names})
        self._runtime = runtime
        self._log = RowLog(log, Completion) if self.teacher.MODEL else None
        self._known = {answer.id: answer for answer in self._log.rows} if self._log else {}
        self._used: dict[str, Completion] = {}
        self._say = say
        self._said: set[str] = set()
        self._progress = progress
        self._problems = problems
        self.requests = 0
        """Asked so far, answered by the log or by the teacher."""

    def __call__(self, requests: Sequence[Request]) -> list[Completion]:
        """A completion for each request, in order. Raises `StageError` where the teacher leaves one out."""
        before, tokens = self.requests, self.tokens or 0
        self.requests += len(requests)
        done = frozenset(request.id for request in requests if request.id in self._known)

        def told(answers: int, written: int) -> None:
            if self._progress is not None:
                self._progress(before + len(done) + answers, tokens + written)

        if len(done) < len(requests):
            batches = self.teacher.complete(
                requests,
                self.options,
                runtime=self._runtime,
                done=done,
                finished=tuple(self._known.values()),
                say=self._once,
                problems=[request.problem for request in requests] if self._problems is None else self._problems,
                progress=told,
            )
            for batch in batches:
                self._keep([answer for answer in batch if answer.id not in done])
        lacking = [request.id for request in requests if request.id not in self._known]
        if lacking:
            raise StageError(
                f"The teacher gave no answer to {len(lacking)} of {len(requests)} prompts, such as {lacking[0]!r}.",
                "Issue the command again: what is answered is kept.",
            )
        self._used |= {request.id: self._known[request.id] for request in requests}
        return [self._known[request.id] for request in requests]

    @property
    def tokens(self) -> int | None:
        """Tokens that the teacher wrote in answer to what was asked; None where nobody counts them."""
        return _total(answer.tokens for answer in self._used.values())

    @property
    def prompt_tokens(self) -> int | None:
        """Tokens of all prompts asked; None where nobody counts them."""
        return _total(answer.prompt_tokens for answer in self._used.values())

    def close(self) -> None:
        if self._log:
            self._log.close()

    def _keep(self, new: list[Completion]) -> None:
        if self._log:
            self._log.append(new)
        self._known |= {answer.id: answer for answer in new}

    def _once(self, sentence: str) -> None:
        """Each call of the teacher says what it runs on; a person needs to hear it once."""
        if sentence not in self._said:
            self._said.add(sentence)
            self._say(sentence)


def _total(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
