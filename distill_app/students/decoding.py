"""Decode one batch of requests: each different prompt is read once, and rows that end leave at once.

A row with a grammar draws among the tokens the grammar allows, and ends where the grammar does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from distill_app.students import cache
from distill_app.students.drawing import draw
from distill_app.students.grammar import Grammar, Grammars, restrict

UNIFORMS = 256
"""Uniforms made at once for a row."""


@dataclass(frozen=True, slots=True)
class SamplingRequest:
    """One answer to draw. Requests with equal `prompt_ids` share the work of reading the prompt.

    `schema`: a JSON Schema, as text, that the answer is to be an instance of.
    """

    id: str
    prompt_ids: Sequence[int]
    seed: int
    schema: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to draw and when to stop."""

    temperature: float
    top_p: float
    max_tokens: int
    stop_ids: frozenset[int]


@dataclass(slots=True)
class Row:
    """A request being answered."""

    request: SamplingRequest
    draws: Any
    grammar: Grammar | None = None
    tokens: list[int] = field(default_factory=list)
    uniforms: Any = None
    reason: str = ""

    def uniform(self) -> float:
        """The row's next uniform; the stream is the same however many are made at once."""
        place = len(self.tokens) % UNIFORMS
        if place == 0:
            self.uniforms = self.draws.random(UNIFORMS)
        return float(self.uniforms[place])


class Decoder:
    """Decodes one batch: `cache`, `mask` (rows, length), `positions` (rows, 1) and `logits` stand row by row."""

    def __init__(
        self, model: Any, batch: Sequence[SamplingRequest], settings: Settings, grammars: Grammars | None = None
    ) -> None:
        """`grammars` holds those of the batch's schemas; it may be None where no request has one."""
        from numpy.random import Generator, Philox

        self.model = model
        self.settings = settings
        self.rows = [Row(request, Generator(Philox(key=request.seed))) for request in batch]
        if grammars is not None:
            for row in self.rows:
                if row.request.schema is not None:
                    row.grammar = grammars.start(row.request.schema)
        self.live = self.rows
        self.cache: Any = None
        self.mask: Any = None
        self.positions: Any = None
        self.logits: Any = None

    def run(self, watch: Callable[[Sequence[Row], Sequence[Row]], None]) -> list[Row]:
        """Decode to the end and return all rows; `watch` hears after each draw which wrote a token and which ended."""
        import torch

        with torch.inference_mode():
            self._read_prompts()
            while self.live:
                wrote, ended = self._draw()
                watch(wrote, ended)
                if self.live:
                    self._forward()
        return self.rows

    def _read_prompts(self) -> None:
        """Run the model on the different prompts, filled up on the left, and copy the outcome to their rows."""
        import torch

        places: dict[tuple[int, ...], int] = {}
        for row in self.rows:
            places.setdefault(tuple(row.request.prompt_ids), len(places))
        longest = max(len(prompt) for prompt in places)
        ids = torch.zeros(len(places), longest, dtype=torch.long)
        mask = torch.zeros(len(places), longest, dtype=torch.long)
        for prompt, place in places.items():
            ids[place, longest - len(prompt) :] = torch.tensor(prompt)
            mask[place, longest - len(prompt) :] = 1
        ids, mask = ids.to(self.model.device), mask.to(self.model.device)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        self.cache = cache.roomy(self.model.config, longest + self.settings.max_tokens)
        logits = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        wanted = [places[tuple(row.request.prompt_ids)] for row in self.rows]
        cache.take(self.cache, wanted, ids.device)
        self.mask, self.positions, self.logits = mask[wanted], positions[wanted, -1:], logits[wanted]

    def _draw(self) -> tuple[list[Row], list[Row]]:
        """Draw every live row's next token from its logits. Rows that end leave the batch.

        Returned are the rows that wrote a token (a stop token is not written), and those that ended.
        """
        import torch

        restrict(self.logits, [row.grammar for row in self.live])
        uniforms = torch.tensor([row.uniform() for row in self.live], device=self.logits.device)
        tokens = draw(self.logits, uniforms, self.settings.temperature, self.settings.top_p).tolist()
        wrote, ended, stay = [], [], []
        for number, (row, token) in enumerate(zip(self.live, tokens, strict=True)):
            if token in self.settings.stop_ids:
                row.reason = "stop"
            else:
                row.tokens.append(token)
                wrote.append(row)
                if row.grammar is not None and row.grammar.take(token):
                    row.reason = "stop"
                elif len(row.tokens) == self.settings.max_tokens:
                    row.reason = "length"
            if row.reason:
                ended.append(row)
            else:
                stay.append(number)
        if ended:
            self.live = [self.live[number] for number in stay]
        if ended and self.live:
            cache.take(self.cache, stay, self.mask.device)
            self.mask, self.positions = self.mask[stay], self.positions[stay]
        return wrote, ended

    def _forward(self) -> None:
        """Run the model on every live row's newest token."""
        import torch

        newest = torch.tensor([[row.tokens[-1]] for row in self.live], device=self.mask.device)
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.live), 1)], dim=-1)
        self.positions = self.positions + 1
        self.logits = self.model(
            input_ids=newest,
            attention_mask=self.mask,
            position_ids=self.positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
