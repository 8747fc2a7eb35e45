"""One OpenAI-compatible server: a request sent until it is answered, refused, or given up.

The `openai` package sends; trying again is done here, because its own retries know of one request only: they refuse a
`Retry-After` above two minutes, do not read the limits' headers, and let every worker run into the same limit alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from distill_app.errors import StageError
from distill_app.records import Completion, Request
from distill_app.teachers import _openai_answer as answers
from distill_app.teachers._openai_key import key_of, without_key
from distill_app.teachers._openai_pace import LONGEST_PAUSE_SECONDS, Pace, pause_asked, used_up

if TYPE_CHECKING:
    import openai

    from distill_app.teachers.openai import Options

CONNECT_SECONDS = 10.0
SECONDS_BETWEEN_COMPLAINTS = 15.0
KEPT = "Finished rows are kept; issue the command again to go on."

_TOO_LONG = re.compile(
    r"context[_ ](length|window|size)|max(imum)?[_ ]model[_ ]len|too (long|many tokens)|longer than the max|"
    r"exceeds? .*(token|context|length)",
    re.IGNORECASE,
)
_AGAIN = frozenset({408, 409, 425, 429})


@dataclass(frozen=True, slots=True)
class Reply:
    """How a request ended. `too_long`: the server refused it for its length, and would refuse it again."""

    completion: Completion
    kind: Literal["answered", "empty", "refused"]
    too_long: bool = False


class _Failed(Exception):
    """An attempt that may go better another time: what happened, in words; `asked` seconds of pause; of what kind."""

    def __init__(self, what: str, kind: Literal["down", "limit", "fault"], asked: float | None = None) -> None:
        super().__init__(what)
        self.what, self.kind, self.asked = what, kind, asked


class _Refused(Exception):
    """The server will not answer this request, however often it is asked."""


class Server:
    """Asks. Nothing that leaves it, to be shown or written down, holds the key."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        import openai

        self._options = options
        self._key = key_of(options)
        self._say = say
        self._client: openai.AsyncOpenAI = openai.AsyncOpenAI(
            base_url=options.base_url,
            api_key=self._key or "none",
            # Written out, so that no Authorization of the package's own environment variables goes to this server.
            default_headers={"Authorization": f"Bearer {self._key or 'none'}"},
            max_retries=0,
            # A redirection would take the prompts to an address that nobody wrote down.
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False),
            timeout=openai.Timeout(options.timeout_seconds, connect=min(CONNECT_SECONDS, options.timeout_seconds)),
        )
        self._pace = Pace(say)
        self._sending: set[asyncio.Task[Any] | None] = set()
        self._answered = 0
        self._said = float("-inf")
        self.closing = False
        """No further attempt is made; those under way may end."""

    def waits(self, task: asyncio.Task[Any]) -> bool:
        """Whether a task has no attempt under way, so that nothing is lost by ending it."""
        return task not in self._sending

    async def close(self) -> None:
        await self._client.close()

    async def ask(self, request: Request) -> Reply | None:
        """The reply to one request; None where the server object is closing and there is none.

        A limit (429) makes all requests wait, and ends the stage after `retries` pauses without an answer to anybody.
        Other failures are tried again with a growing, drawn wait. A request that has failed `retries` times is given
        up: as its own fault where others were answered since it first failed (a refused row with a note), else as the
        server's.
        Raises `StageError` for what concerns every request: a wrong key, an unknown model, a server that is down.
        """
        before, attempt = self._answered, 0
        while not self.closing:
            await self._pace.turn()
            if self.closing:
                break
            sent = time.monotonic()
            try:
                completion = await self._attempt(request)
            except _Refused as refused:
                what = str(refused)
                return Reply(
                    _missing(request, f"refused by the server: {what}"), "refused", bool(_TOO_LONG.search(what))
                )
            except _Failed as failed:
                if failed.kind == "limit":
                    self._limited(failed, sent)
                    continue
                attempt += 1
                if attempt == 1 and self._options.retries > 1:
                    before = self._answered
                if attempt >= self._options.retries:
                    if self._answered == before:
                        raise self._given_up(failed, attempt) from None
                    return Reply(_missing(request, f"failed {attempt} times: {failed.what}"), "refused")
                if failed.asked is not None:
                    self._hold(failed.asked, failed.what)
                if not self.closing:
                    self._told(f"{failed.what}; trying again (attempt {attempt + 1} of {self._options.retries}).")
                    await self._pace.back_off(attempt)
                continue
            self._pace.answered()
            self._answered += 1
            return Reply(completion, "empty" if completion.finish_reason == "missing" else "answered")
        return None

    async def _attempt(self, request: Request) -> Completion:
        """Send once and read the answer."""
        import openai

        task = asyncio.current_task()
        self._sending.add(task)
        try:
            # The client's own limit is one between two packets; this one holds for the whole answer.
            async with asyncio.timeout(self._options.timeout_seconds):
                raw = await self._client.chat.completions.with_raw_response.create(
                    model=self._options.model,
                    messages=answers.messages(request.prompt, self._options),  # type: ignore[arg-type]
                    extra_body=answers.fields(request, self._options),
                )
        except (TimeoutError, openai.APITimeoutError) as error:
            if type(error.__cause__).__name__ == "ConnectTimeout":
                raise _Failed(f"no connection within {CONNECT_SECONDS:g} seconds", "down") from None
            raise _Failed(f"no answer within {self._options.timeout_seconds:g} seconds", "fault") from None
        except openai.APIConnectionError as error:
            raise self._unconnected(error) from None
        except openai.APIStatusError as error:
            raise await self._status(
                error.status_code, answers.said_by(error.response.text, self._scrub), error.response.headers
            ) from None
        finally:
            self._sending.discard(task)
        pause = used_up(raw.headers)
        if pause is not None:
            self._pace.hold(min(pause, LONGEST_PAUSE_SECONDS))
        try:
            return self._clean(answers.read(request, self._options, raw.text))
        except answers.NotAnAnswer:
            status, what = answers.instead(raw.text, self._scrub)
        if status is not None:
            raise await self._status(status, what, raw.headers)
        raise _Failed(f"the answer is no chat completion ({what})", "fault")

    def _unconnected(self, error: openai.APIConnectionError) -> _Failed:
        cause: BaseException = error
        while (deeper := cause.__cause__ or cause.__context__) is not None:
            cause = deeper
        what = self._scrub(f"{type(cause).__name__}: {cause}".strip(": "))
        if type(error.__cause__).__name__ == "ConnectError":
            return _Failed(f"no connection ({what})", "down")
        return _Failed(f"the connection broke off ({what})", "fault")

    async def _status(self, status: int, said: str, headers: Any) -> Exception:
        """What an HTTP status comes to: an attempt to repeat, a row to give up, or the end of the stage."""
        options = self._options
        key = f"the key in {options.api_key_env}" if options.api_key_env else "no key (api_key_env is null)"
        if status in (401, 403):
            return self._end(
                f"{options.base_url} refuses {key}: {status}, {said}",
                f"Check {options.api_key_env or 'api_key_env'} and what its account may use. {KEPT}",
            )
        if status == 402 or (status == 429 and re.search(r"insufficient.quota|billing|balance", said, re.IGNORECASE)):
            return self._end(
                f"{options.base_url} has no credit left for {key}: {status}, {said}", f"Top the account up. {KEPT}"
            )
        if status == 404:
            self.closing = True
            return await self._unknown(said)
        if 300 <= status < 400:
            return self._end(
                f"{options.base_url} sends its callers to another address ({status}: "
                f"{headers.get('location', 'it does not say which')[:200]}), and nothing is sent where the recipe does "
                "not say.",
                f"If you trust that address, write it as base_url. {KEPT}",
            )
        if status in _AGAIN or status >= 500:
            return _Failed(f"{status}, {said}", "limit" if status == 429 else "fault", pause_asked(headers))
        return _Refused(f"{status}, {said}")

    async def _unknown(self, said: str) -> StageError:
        """The message for a 404: a model that is not there, or a path that is not."""
        import openai

        names: list[str] | None = None
        with contextlib.suppress(openai.OpenAIError, ValueError, AttributeError, TypeError):
            names = [
                model.id for model in (await self._client.with_options(timeout=CONNECT_SECONDS).models.list()).data
            ]
        options = self._options
        if names is None:
            return self._end(
                f"{options.base_url} has no chat completions: 404, {said}",
                "base_url is what comes before /chat/completions; for most servers it ends in /v1.",
            )
        if options.model in names:
            return self._end(
                f"{options.base_url} lists the model {options.model}, and has no chat completions of it: 404, {said}",
                "It may be a model of another kind, or base_url may lack a part of its path.",
            )
        near = difflib.get_close_matches(options.model, names, n=1, cutoff=0.4)
        listed = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        hint = f"Did you mean {near[0]}? " if near else ""
        return self._end(
            f"{options.base_url} does not know the model {options.model}: {said}",
            f"{hint}It lists {listed}." if names else "It lists no models at all.",
        )

    def _limited(self, failed: _Failed, sent: float) -> None:
        self._too_long_a_pause(failed.asked, failed.what)
        self._pace.limited(sent, failed.asked)
        if self._pace.rounds >= self._options.retries:
            raise self._end(
                f"{self._options.base_url} limits the rate and answered nothing between {self._pace.rounds} pauses: "
                f"{failed.what}",
                f"Lower concurrency ({self._options.concurrency} now), raise retries, or wait. {KEPT}",
            )

    def _hold(self, seconds: float, what: str) -> None:
        self._too_long_a_pause(seconds, what)
        self._pace.hold(seconds)

    def _too_long_a_pause(self, seconds: float | None, what: str) -> None:
        if seconds is not None and seconds > LONGEST_PAUSE_SECONDS:
            raise self._end(
                f"{self._options.base_url} asks to wait {seconds / 60:,.0f} minutes before the next request: {what}",
                f"A limit for the hour or the day, most likely. {KEPT}",
            )

    def _given_up(self, failed: _Failed, attempts: int) -> StageError:
        options = self._options
        if failed.kind == "down":
            return self._end(
                f"The server at {options.base_url} cannot be reached: {failed.what}, {attempts} attempts.",
                f"Check that it runs, and its host and port. {KEPT}",
            )
        hint = "Look at the server's own log"
        if failed.what.startswith("no answer"):
            hint = "Raise timeout_seconds, or lower max_tokens or concurrency"
        return self._end(f"{options.base_url} failed {attempts} times in a row: {failed.what}", f"{hint}. {KEPT}")

    def _end(self, message: str, hint: str) -> StageError:
        """The error that ends the stage; from now on no attempt is begun."""
        self.closing = True
        return StageError(self._scrub(message), self._scrub(hint))

    def _told(self, sentence: str) -> None:
        """Say what goes wrong, not for every request that it happens to."""
        now = time.monotonic()
        if now - self._said >= SECONDS_BETWEEN_COMPLAINTS:
            self._said = now
            self._say(f"{self._options.base_url}: {sentence}")

    def _scrub(self, text: str) -> str:
        """`text` without the key: servers like to quote it."""
        return without_key(text, self._key)

    def _clean(self, completion: Completion) -> Completion:
        """An answer without the key: what a server sends back is written down."""
        return replace(
            completion,
            text=self._scrub(completion.text),
            finish_reason=self._scrub(completion.finish_reason),
            note=None if completion.note is None else self._scrub(completion.note),
        )


def _missing(request: Request, note: str) -> Completion:
    return Completion(request.id, "", "missing", note=note)
