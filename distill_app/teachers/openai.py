"""A teacher behind an OpenAI-compatible server: a provider's, vLLM's own, or any other.

Many requests are under way at once, up to `concurrency`, and no more than those are in memory. Answers come back as
they are finished, so an attempt that dies loses what was under way and nothing else. Greedy answers and seeds are as
repeatable as the server is; what is sent as seed is recorded with each row.

What servers keep apart as reasoning (`reasoning_content`, `reasoning`) is put back as a think block in front of the
answer, so that a trace is whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from distill_app import stopping
from distill_app.errors import StageError
from distill_app.records import Completion, Problem, Request

VERSION = 1
MODEL = True
FOLLOWS = "instructions"
LOCAL = frozenset({"base_url", "api_key_env", "concurrency", "timeout_seconds", "retries", "prices", "max_cost"})
"""Options that do not change what is written."""

_OWN = frozenset(
    {"model", "messages", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "response_format"}
)
_SECRET = re.compile(r"api.?key|secret|password|authorization|bearer|credential", re.IGNORECASE)
_UNFIT = frozenset({"n", "stream", "stream_options", "best_of"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """US dollars for a million tokens."""

    input: float
    output: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Mirrors schemas/teachers/openai.json."""

    model: str
    base_url: str
    api_key_env: str | None
    system_prompt: str | None
    temperature: float | None
    top_p: float | None
    max_tokens: int
    max_tokens_key: Literal["max_tokens", "max_completion_tokens"]
    thinking: bool | None
    structured: Literal["json_schema", "guided_json"] | None
    seeds: bool
    extra: Mapping[str, Any]
    concurrency: int
    timeout_seconds: float
    retries: int
    prices: Prices | None
    max_cost: float | None


class Trouble(NamedTuple):
    """An option that cannot work although it passes the schema: which, why, and what to do."""

    key: str
    message: str
    hint: str


def content(options: Options) -> dict[str, str]:  # noqa: ARG001 - the teachers' contract
    """Nothing stands for a server's model but its name."""
    return {}


def check(options: Options) -> list[Trouble]:
    """What is wrong with the options without asking anybody. No message repeats a password."""
    found = []
    url = urlsplit(options.base_url)
    if url.username is not None or url.password is not None:
        found.append(
            Trouble(
                "base_url",
                "there is a user name or password in the address, and it would be written into every record.",
                "Take it out of the address, and name the environment variable with the key in api_key_env.",
            )
        )
    elif url.scheme not in ("http", "https") or not url.hostname or url.query or url.fragment or not _port_fits(url):
        found.append(
            Trouble(
                "base_url",
                f"{options.base_url!r} is not the address of a server.",
                "Write it as http://localhost:8000/v1 or https://api.openai.com/v1, with nothing after the path.",
            )
        )
    elif url.path.rstrip("/").endswith("/completions"):
        found.append(
            Trouble(
                "base_url",
                "the address names one call of the server, and is to be what comes before it.",
                f"Write {options.base_url.split('/chat/')[0].removesuffix('/completions')}.",
            )
        )
    if options.max_cost is not None and options.prices is None:
        found.append(
            Trouble(
                "max_cost",
                "without prices nothing can be held under max_cost.",
                "Write prices: {input: ..., output: ...} in US dollars for a million tokens, or leave max_cost out.",
            )
        )
    for key in options.extra:
        if _SECRET.search(key):
            found.append(
                Trouble(
                    f"extra.{key}",
                    "this looks like a secret, and extra is written into every record of the run.",
                    "Name the environment variable that holds the key in api_key_env.",
                )
            )
        elif key in _OWN:
            found.append(Trouble(f"extra.{key}", f"{key} is set by an option of its own.", "Take it out of extra."))
        elif key in _UNFIT:
            found.append(
                Trouble(
                    f"extra.{key}", f"with {key} the answers could not be read one by one.", "Take it out of extra."
                )
            )
    return found


def lacking(options: Options) -> list[Trouble]:
    """What this machine lacks to ask the server: a key in the environment."""
    from distill_app.teachers._openai_key import key_of

    try:
        key_of(options)
    except StageError as error:
        return [Trouble("api_key_env", error.message, error.hint)]
    return []


def complete(
    requests: Sequence[Request],
    options: Options,
    *,
    done: AbstractSet[str] = frozenset(),
    say: Callable[[str], None],
    progress: Callable[[int, int], None] | None = None,
    finished: Sequence[Completion] = (),
    **_unused: object,
) -> Iterator[list[Completion]]:
    """Answer every request whose id is not in `done`, in batches of what has finished since the last.

    `finished` are the rows that earlier attempts made: their tokens count against `max_cost`, and are in the line that
    `say` hears now and then. `progress` gets answers and tokens so far, of this call. Closing the iterator ends every
    request that is under way; a stop asked for waits for them and sends no more (see `stopping`). Raises `StageError`
    for what concerns all requests (see `Server.ask`), when `max_cost` is reached (see `Ledger`), and where 20 problems
    in a row are refused (200 for their length); whatever was under way is waited for and yielded first.

    A request that the server refuses by itself (a prompt too long for its context) is a "missing" row with its words
    as note, as soon as another one is answered.
    """
    import asyncio

    from distill_app.teachers._openai_asking import Asking
    from distill_app.teachers._openai_ledger import Ledger
    from distill_app.teachers._openai_server import Server

    for trouble in check(options):
        raise StageError(f"{trouble.key}: {trouble.message}", trouble.hint)
    left = sum(request.id not in done for request in requests)
    if not left:
        return
    server, ledger = Server(options, say), Ledger(options, finished)
    key = f" with the key in {options.api_key_env}" if options.api_key_env else ""
    say(f"{options.model} is asked at {options.base_url}{key}, {options.concurrency} requests at a time.")
    asking = Asking((request for request in requests if request.id not in done), options, server, ledger, say)
    asking.trusted = any(row.finish_reason != "missing" for row in finished) if finished else bool(done)
    rows = tokens = 0
    earlier = len(requests) - left
    with stopping.held(), asyncio.Runner() as runner:
        try:
            while batch := runner.run(asking.batch()):
                rows, tokens = rows + len(batch), tokens + sum(row.tokens or 0 for row in batch)
                yield batch
                if progress is not None:
                    progress(rows, tokens)
                if ledger.due():
                    ledger.tell(say, earlier + rows, len(requests))
        finally:
            runner.run(asking.close())
    if rows:
        ledger.tell(say, earlier + rows, len(requests))
    if asking.empty:
        say(f"{asking.empty:,} of {rows:,} answers held no text.")
    if asking.error is not None:
        raise asking.error


def survey(problems: Sequence[Problem], options: Options) -> dict[str, int]:  # noqa: ARG001 - the teachers' contract
    """Nothing to tell beyond the completions themselves."""
    return {}


def _port_fits(url: Any) -> bool:
    try:
        return url.port is None or url.port > 0
    except ValueError:
        return False
