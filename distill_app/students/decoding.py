"""Decode one block of requests: prompts read once, rows that end leave, waiting rows take their place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from distill_app.students.drawing import draw

if TYPE_CHECKING:
    import torch

REFILL = 0.75
"""Waiting rows are let in once no more than this share of the rows is still being decoded."""

UNIFORMS = 256
"""Uniforms made at once for a row."""


@dataclass(frozen=True, slots=True)
class SamplingRequest:
    """One answer to draw. Requests with equal `prompt_ids` share the work of reading the prompt."""

    id: str
    prompt_ids: Sequence[int]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to draw, when to stop, and how many rows to decode at once."""

    temperature: float
    top_p: float
    max_tokens: int
    stop_ids: frozenset[int]
    rows: int


@dataclass(slots=True)
class Row:
    """A request being answered."""

    request: SamplingRequest
    draws: Any
    tokens: list[int] = field(default_factory=list)
    uniforms: Any = None
    reason: str = ""

    def uniform(self) -> float:
        """The row's next uniform; the stream is the same however many are made at once."""
        place = len(self.tokens) % UNIFORMS
        if place == 0:
            self.uniforms = self.draws.random(UNIFORMS)
        return float(self.uniforms[place])


def can_refill(model: Any) -> bool:
    """Whether rows can join a running batch: caches of sliding or recurrent layers cannot be lined up."""
    from transformers.cache_utils import DynamicCache, DynamicLayer

    return all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)


class Decoder:
    """Decodes one block: `cache`, `mask` (rows, length), `positions` (rows, 1) and `logits` stand row by row."""

    def __init__(self, model: Any, block: Sequence[SamplingRequest], settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.waiting = list(block)
        self.live: list[Row] = []
        self.cache: Any = None
        self.mask: Any = None
        self.positions: Any = None
        self.logits: Any = None

    @property
    def busy(self) -> bool:
        """Whether anything is left to decode."""
        return bool(self.waiting or self.live)

    def advance(self, watch: Callable[[Sequence[Row], Sequence[Row]], None]) -> list[Row]:
        """Let waiting rows in, then decode until there is room for more of them, or to the end.

        Returns the rows finished meanwhile.
        """
        import torch

        finished: list[Row] = []
        with torch.inference_mode():
            room = self.settings.rows - len(self.live)
            if self.waiting and room > 0:
                self._admit(self.waiting[:room])
                del self.waiting[:room]
            while self.live:
                ended = self._step()
                watch(self.live, ended)
                finished += ended
                if self.waiting and len(self.live) <= REFILL * self.settings.rows:
                    break
                if self.live:
                    self._forward()
        return finished

    def _admit(self, requests: Sequence[SamplingRequest]) -> None:
        """Read the prompts of `requests`, each different one once, and put their rows beside the live ones."""
        import numpy
        import torch
        from transformers.cache_utils import DynamicCache

        prompts = list(dict.fromkeys(tuple(request.prompt_ids) for request in requests))
        longest = max(len(prompt) for prompt in prompts)
        ids = torch.zeros(len(prompts), longest, dtype=torch.long)
        mask = torch.zeros(len(prompts), longest, dtype=torch.long)
        for number, prompt in enumerate(prompts):
            ids[number, longest - len(prompt) :] = torch.tensor(prompt)
            mask[number, longest - len(prompt) :] = 1
        ids, mask = ids.to(self.model.device), mask.to(self.model.device)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        cache = DynamicCache(config=self.model.config)
        logits = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        number_of = {prompt: number for number, prompt in enumerate(prompts)}
        take = torch.tensor([number_of[tuple(request.prompt_ids)] for request in requests], device=ids.device)
        cache.batch_select_indices(take)
        mask, positions, logits = mask[take], positions[take, -1:], logits[take]
        if self.live:
            # The rows still live have no logits yet for their newest token: they get them in the same step.
            self._forward()
            mask = _join(cache, mask, self.cache, self.mask)
            positions = torch.cat([self.positions, positions])
            logits = torch.cat([self.logits, logits])
        self.cache, self.mask, self.positions, self.logits = cache, mask, positions, logits
        self.live += [
            Row(request, numpy.random.Generator(numpy.random.Philox(key=request.seed))) for request in requests
        ]

    def _step(self) -> list[Row]:
        """Draw every live row's next token from its logits; rows that end leave the batch and are returned."""
        import torch

        settings = self.settings
        uniforms = torch.tensor([row.uniform() for row in self.live], device=self.logits.device)
        tokens = draw(self.logits, uniforms, settings.temperature, settings.top_p).tolist()
        stay = []
        for number, (row, token) in enumerate(zip(self.live, tokens, strict=True)):
            if token in settings.stop_ids:
                row.reason = "stop"
                continue
            row.tokens.append(token)
            if len(row.tokens) == settings.max_tokens:
                row.reason = "length"
                continue
            stay.append(number)
        ended = [row for row in self.live if row.reason]
        if ended:
            self.live = [self.live[number] for number in stay]
            self.logits = None
            if self.live:
                keep = torch.tensor(stay, device=self.mask.device)
                self.cache.batch_select_indices(keep)
                self.mask, self.positions = self.mask[keep], self.positions[keep]
        return ended

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


def _join(cache: Any, mask: torch.Tensor, old: Any, old_mask: torch.Tensor) -> torch.Tensor:
    """Put the rows of `old` before those of `cache`, in place, both ending in the same column; the joint mask."""
    import torch
    from torch.nn.functional import pad

    # Leading columns that only rows gone by now had used are dropped.
    unused = int((old_mask.sum(0) > 0).int().argmax())
    old_mask = old_mask[:, unused:]
    length = max(mask.shape[1], old_mask.shape[1])
    left, old_left = length - mask.shape[1], length - old_mask.shape[1]
    for layer, old_layer in zip(cache.layers, old.layers, strict=True):
        for name in ("keys", "values"):
            new, before = getattr(layer, name), getattr(old_layer, name)[:, :, unused:]
            joined = torch.cat([pad(before, (0, 0, old_left, 0)), pad(new, (0, 0, left, 0))])
            setattr(layer, name, joined)
            setattr(old_layer, name, None)
    return torch.cat([pad(old_mask, (old_left, 0)), pad(mask, (left, 0))])
