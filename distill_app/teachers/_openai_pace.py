"""How fast a server may be asked: pauses that all requests share, and what rate-limit headers say."""

from __future__ import annotations

import asyncio
import email.utils
import random
import re
import time
from collections.abc import Callable, Mapping

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0
"""The back-off without word from the server: 0.5, 1, 2, ... 60 seconds, each drawn between half of it and all."""
LONGEST_PAUSE_SECONDS = 900.0
"""A server that asks for a longer pause than this (a daily limit) ends the stage; the person comes back later."""
WORTH_SAYING_SECONDS = 5.0

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")


class Pace:
    """One clock for all requests: where one of them meets the rate limit, every other waits with it."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._draw = random.Random()
        self._until = 0.0
        self._since = float("-inf")
        self.rounds = 0
        """Pauses for a rate limit since the last answer."""

    async def turn(self) -> None:
        """Return when a request may be sent. Those that waited together come back spread over a tenth of the pause."""
        while (left := self._until - time.monotonic()) > 0:
            await asyncio.sleep(left + self._draw.uniform(0, min(left / 10, 1.0)))

    async def back_off(self, attempt: int) -> None:
        """Wait after failed attempt number `attempt` (from 1) of one request."""
        await asyncio.sleep(self._back_off_seconds(attempt))

    def limited(self, sent: float, asked: float | None) -> None:
        """A request that was sent at `sent` (monotonic) was over the limit; the server asks for `asked` seconds.

        Refusals of requests that were under way when the pause began belong to that pause.
        """
        if sent >= self._since:
            self.rounds += 1
            self._since = time.monotonic()
            self.hold(asked or self._back_off_seconds(self.rounds))
        elif asked:
            self.hold(asked)

    def answered(self) -> None:
        """The server answers: the next pause without a word from it is a short one again."""
        self.rounds = 0

    def hold(self, seconds: float) -> None:
        """Nobody sends for `seconds` from now."""
        until = time.monotonic() + seconds
        if until > self._until:
            if until - max(self._until, time.monotonic()) >= WORTH_SAYING_SECONDS:
                self._say(f"The server's rate limit is reached: nothing is sent for {seconds:.0f} seconds.")
            self._until = until

    def _back_off_seconds(self, attempt: int) -> float:
        most = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(attempt - 1, 30))
        return self._draw.uniform(most / 2, most)


def pause_asked(headers: Mapping[str, str]) -> float | None:
    """Seconds that a refusal asks to wait: `retry-after-ms`, `retry-after` (seconds or a date), else a limit's reset.

    None where the headers say nothing that can be read.
    """
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    after = headers.get("retry-after")
    if after is not None:
        seconds = _seconds(after)
        if seconds is not None:
            return seconds
        try:
            return max(0.0, email.utils.parsedate_to_datetime(after).timestamp() - time.time())
        except ValueError:
            pass  # neither a number nor a date: the limit's own headers may say more
    return used_up(headers)


def used_up(headers: Mapping[str, str]) -> float | None:
    """Seconds until a limit of which 0 is left is reset, by the `x-ratelimit-*` headers; None where none is used up."""
    waits = []
    for kind in ("", "-requests", "-tokens"):
        if _seconds(headers.get(f"x-ratelimit-remaining{kind}")) == 0:
            wait = duration(headers.get(f"x-ratelimit-reset{kind}", ""))
            if wait is not None:
                waits.append(wait)
    return max(waits, default=None)


def duration(text: str) -> float | None:
    """Seconds from now of a limit's reset: `6m0s`, `20ms`, a number of seconds, or a Unix time in s or ms."""
    text = text.strip()
    number = _seconds(text)
    if number is not None:
        if number > 1e9:  # no pause is 30 years: a point in time
            return max(0.0, (number / 1000 if number > 1e12 else number) - time.time())
        return number
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        return None
    units = (86400.0, 3600.0, 60.0, 1.0, 0.001)
    return sum(unit * float(part) for unit, part in zip(units, found.groups(), strict=True) if part)


def _seconds(text: str | None) -> float | None:
    """A number that is not negative and not infinite, else None."""
    if text is None or not re.fullmatch(r"\s*\d{1,15}(\.\d*)?\s*", text):
        return None
    return float(text)
