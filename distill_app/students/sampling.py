"""Many answers at once from one model: exact sampling, each row with its own seed.

One prefill serves all samples of a prompt, and finished rows leave at once. Batches are cut from the whole list of
requests: a resumed call forms the same ones, so what it computes is computed beside the same rows as in a call
that was never interrupted. (Letting waiting rows take the place of finished ones was tried and gained nothing on
short answers, 237 against 240 tokens a CPU second, while more would be lost when a call is killed.)

The random numbers belong to the row (a Philox stream keyed by its seed), so what a row draws does not depend on
its neighbours, except where the model's own rounding does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from distill_app import stopping
from distill_app.errors import StageError
from distill_app.records import Completion
from distill_app.students import attention
from distill_app.students.decoding import Decoder, Row, SamplingRequest, Settings
from distill_app.students.grammar import Grammars

__all__ = ["SamplingRequest", "sample"]

Progress = Callable[[int, int], None]
"""Called about once a second with rows finished and tokens written, of the rows this call yields."""

_PROGRESS_SECONDS = 1.0


def sample(
    model: Any,
    tokenizer: Any,
    requests: Sequence[SamplingRequest],
    *,
    temperature: float,
    top_p: float,
    max_tokens: int,
    stop_ids: Sequence[int],
    rows: int,
    done: AbstractSet[str] = frozenset(),
    progress: Progress | None = None,
) -> Iterator[list[Completion]]:
    """Answer every request whose id is not in `done`; yield the answers batch by batch.

    `rows` answers are decoded at once. `requests` must be the full list also when resuming: batches of it
    that are wholly in `done` are skipped, others computed anew and yielded less what is done, so that the answers are
    those of an uninterrupted call. A completion's `tokens` and `text` are without the stop token;
    finish_reason is "stop", or "length" after `max_tokens` tokens. Where a request has a schema, the text of a
    completion that was not cut is an instance of it: it ends where nothing may follow, or at a stop token.

    Raises `StageError` before any work where a prompt and `max_tokens` exceed the model's context, naming the
    row, or where answers cannot be kept to a schema; and where the model's output is not a number.
    """
    settings = Settings(temperature=temperature, top_p=top_p, max_tokens=max_tokens, stop_ids=frozenset(stop_ids))
    _check_context(model, requests, max_tokens)
    done = frozenset(done)
    schemas = [request.schema for request in requests if request.schema is not None]
    grammars = Grammars(tokenizer, stop_ids, schemas) if schemas else None
    watch = _Watch(progress, done)
    with attention.grouped(model):
        for batch in _batches(requests, rows):
            if any(request.id not in done for request in batch):
                with stopping.held():
                    finished = Decoder(model, batch, settings, grammars).run(watch.step)
                    yield [_completion(row, tokenizer) for row in finished if row.request.id not in done]


def _check_context(model: Any, requests: Sequence[SamplingRequest], max_tokens: int) -> None:
    room = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if room is None or not requests:
        return
    longest = max(requests, key=lambda request: len(request.prompt_ids))
    prompt = len(longest.prompt_ids)
    if prompt + max_tokens > room:
        raise StageError(
            f"Row {longest.id}: its prompt of {prompt} tokens and an answer of up to {max_tokens} exceed the "
            f"model's context of {room} tokens.",
            f"Lower max_tokens to {room - prompt} or less." if prompt < room else "Leave this problem out.",
        )


def _batches(requests: Sequence[SamplingRequest], rows: int) -> Iterator[list[SamplingRequest]]:
    """The requests by prompt length (little padding), equal prompts together, cut into batches."""
    first: dict[tuple[int, ...], str] = {}
    for request in requests:
        prompt = tuple(request.prompt_ids)
        first[prompt] = min(first.get(prompt, request.id), request.id)

    def place(request: SamplingRequest) -> tuple[int, str, str]:
        return len(request.prompt_ids), first[tuple(request.prompt_ids)], request.id

    ordered = sorted(requests, key=place)
    for start in range(0, len(ordered), rows):
        yield ordered[start : start + rows]


@dataclass(slots=True)
class _Watch:
    """Counts for the progress display, and when it was last told."""

    tell: Progress | None
    done: AbstractSet[str]
    rows: int = 0
    tokens: int = 0
    told: float = field(default_factory=time.monotonic)

    def step(self, wrote: Sequence[Row], ended: Sequence[Row]) -> None:
        """Count what `Decoder.run` reports after a draw."""
        self.tokens += sum(row.request.id not in self.done for row in wrote)
        self.rows += sum(row.request.id not in self.done for row in ended)
        if self.tell is not None and time.monotonic() - self.told >= _PROGRESS_SECONDS:
            self.told = time.monotonic()
            self.tell(self.rows, self.tokens)


def _completion(row: Row, tokenizer: Any) -> Completion:
    # Some tokenizers take out spaces before punctuation on decoding: inside JSON they belong to the text.
    cleaning = {} if row.grammar is None else {"clean_up_tokenization_spaces": False}
    text = tokenizer.decode(row.tokens, skip_special_tokens=True, **cleaning)
    return Completion(row.request.id, text, row.reason, len(row.tokens))
