"""What a server's answers cost: tokens as it reports them, money by the recipe's prices."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from distill_app.errors import StageError
from distill_app.records import Completion

if TYPE_CHECKING:
    from distill_app.teachers.openai import Options

SECONDS_BETWEEN_LINES = 15.0
TEMPLATE_TOKENS = 512
"""Room for what a chat template adds to a prompt, in the worst case that is set aside for it. Our choice."""


class Ledger:
    """Tokens and dollars so far, those of earlier attempts included, and what is set aside for requests under way.

    The cap: a request is sent only where what was spent, the worst case of all requests under way, and its own worst
    case stay within `max_cost` together. The worst case of one is `max_tokens` written and as many tokens read as its
    prompt has bytes (no byte-level tokenizer makes more) and `TEMPLATE_TOKENS`. So the counted cost never passes
    `max_cost` on a server that keeps to `max_tokens`. What no answer reports cannot be counted: attempts that timed
    out, lost their connection, or were under way when this process was killed.
    """

    def __init__(self, options: Options, finished: Iterable[Completion]) -> None:
        self._prices, self._cap, self._max_tokens = options.prices, options.max_cost, options.max_tokens
        self._aside_read = self._aside_written = 0
        self._said = time.monotonic()
        self.read = self.written = 0
        for completion in finished:
            self.add(completion)

    def add(self, completion: Completion) -> None:
        """Count an answer's tokens."""
        self.read += completion.prompt_tokens or 0
        self.written += completion.tokens or 0

    @property
    def cost(self) -> float:
        """Dollars so far; 0 without prices."""
        return self._dollars(self.read, self.written)

    def set_aside(self, prompt_bytes: int) -> bool:
        """Set a request's worst case aside; False, and nothing done, where `max_cost` has no room for it."""
        if self._cap is not None and self._with(prompt_bytes) > self._cap:
            return False
        self._aside_read += prompt_bytes + TEMPLATE_TOKENS
        self._aside_written += self._max_tokens
        return True

    def release(self, prompt_bytes: int) -> None:
        """Give back what was set aside for a request that has ended."""
        self._aside_read -= prompt_bytes + TEMPLATE_TOKENS
        self._aside_written -= self._max_tokens

    def exceeded(self, prompt_bytes: int) -> StageError:
        """Why nothing more is sent; to be asked for with nothing under way."""
        worst = self._with(prompt_bytes) - self.cost
        return StageError(
            f"max_cost reached: {dollars(self.cost)} of at most {dollars(self._cap or 0)} dollars are spent, and the "
            f"next answer could cost {dollars(worst)} (max_tokens is {self._max_tokens:,}).",
            "Finished rows are kept; raise max_cost and issue the command again.",
        )

    def due(self) -> bool:
        """Whether it is time for another line."""
        return self._prices is not None and time.monotonic() - self._said >= SECONDS_BETWEEN_LINES

    def tell(self, say: Callable[[str], None], answers: int, of: int) -> None:
        """Say what there is and what it cost, where prices are given."""
        if self._prices is None:
            return
        self._said = time.monotonic()
        cap = "" if self._cap is None else f" of at most {dollars(self._cap)}"
        say(
            f"{answers:,} of {of:,} answers, {self.read:,} tokens in, {self.written:,} out, "
            f"{dollars(self.cost)} dollars{cap}."
        )

    def _with(self, prompt_bytes: int) -> float:
        """Dollars in the worst case of everything under way and one more request."""
        return self._dollars(
            self.read + self._aside_read + prompt_bytes + TEMPLATE_TOKENS,
            self.written + self._aside_written + self._max_tokens,
        )

    def _dollars(self, read: int, written: int) -> float:
        if self._prices is None:
            return 0.0
        return (read * self._prices.input + written * self._prices.output) / 1e6


def dollars(amount: float) -> str:
    """`3.12`; small sums with two digits that count: `0.0012`."""
    if amount == 0 or amount >= 0.1:
        return f"{amount:,.2f}"
    return f"{amount:.2g}" if amount >= 1e-4 else f"{amount:.6f}"
