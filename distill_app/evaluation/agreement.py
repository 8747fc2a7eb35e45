"""Whether a trained student says the same through every way it is run: greedy answers compared token by token.

The ways are `transformers` (the adapter over the model, as in training), `merged` (the adapter worked into the
weights) and `vllm` (what evaluation uses). They round differently, so long answers part sooner or later; they part
where two tokens are nearly as likely. A fault (an adapter that is not applied, a wrong template, wrong positions)
parts them early and at tokens far apart, which `gap` and `margin` show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from distill_app.recipe.model import Runtime
from distill_app.students.decoding import SamplingRequest
from distill_app.students.template import ChatTemplate

END = -1
"""Stands after the last token of an answer that ended by itself, whichever of the stop tokens ended it."""

NEAR_TIE_NATS = 0.5
"""A gap that rounding in bfloat16 can turn (our choice): its logits from 16 to 32 are 0.125 apart. See `gap`."""


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two answers to one prompt (counted from 0) part: after `position` tokens in common.

    By `transformers`, at that place: `margin` is the difference of the two highest log-probabilities, `gap` that of
    the two tokens taken, in nats and not negative.
    """

    prompt: int
    position: int
    margin: float
    gap: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two ways compared. `identical`: share of the prompts with equal answers. `in_common`: mean share of an answer
    before the first difference (1 where there is none). `near_ties`: partings with a gap of at most `NEAR_TIE_NATS`.
    """

    ways: tuple[str, str]
    prompts: int
    identical: float
    in_common: float
    near_ties: int
    partings: tuple[Parting, ...]


def compare(left: Sequence[Sequence[int]], right: Sequence[Sequence[int]]) -> tuple[float, float, dict[int, int]]:
    """Share of identical answers, mean share in common, and where the others part, by prompt. One answer a prompt.

    The share in common of two answers is the number of tokens before the first difference over the length of the
    longer one, `END` counted as a token. Raises `ValueError` for no prompts or unequal numbers of them.
    """
    if not left:
        raise ValueError("no answers to compare")
    partings, shares = {}, []
    for prompt, (one, other) in enumerate(zip(left, right, strict=True)):
        longer = max(len(one), len(other))
        place = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
        if place < longer:
            partings[prompt] = place
        shares.append(place / longer if longer else 1.0)
    return 1 - len(partings) / len(left), sum(shares) / len(shares), partings


def measure(
    folder: Path,
    adapter: Path,
    template: ChatTemplate,
    questions: Sequence[str],
    *,
    tokens: int,
    device: Any,
    runtime: Runtime,
    say: Callable[[str], None],
    vllm: Path | None,
) -> tuple[Pair, ...]:
    """Greedy answers of up to `tokens` tokens to `questions` by every way, each pair of ways compared.

    `device` is a `students.device.Device`. `vllm` is the folder vLLM loads: `folder` itself to have it apply the
    adapter, one with merged weights to have it use those, None to leave vLLM out. One model at a time is in memory.
    Raises `StageError` as loading, sampling and vLLM do.
    """
    from distill_app.students.load import load

    prompts = [template.prompt_ids(question) for question in questions]
    answers: dict[str, list[list[int]]] = {}
    if vllm is not None:
        answers["vllm"] = _by_vllm(
            vllm, adapter if vllm == folder else None, template, prompts, tokens, device, runtime, say
        )
    model, _ = load(folder, device, adapter=adapter, merge=True)
    answers["merged"] = _by_transformers(model, prompts, template, tokens, runtime.sample_rows)
    del model
    model, _ = load(folder, device, adapter=adapter, merge=False)
    answers["transformers"] = _by_transformers(model, prompts, template, tokens, runtime.sample_rows)
    return tuple(_pairs(answers, model, prompts, template.stop_ids))


def _pairs(
    answers: Mapping[str, Sequence[Sequence[int]]], model: Any, prompts: Sequence[Sequence[int]], stops: Sequence[int]
) -> Iterator[Pair]:
    for one, other in combinations([way for way in ("transformers", "merged", "vllm") if way in answers], 2):
        left, right = answers[one], answers[other]
        identical, in_common, places = compare(left, right)
        partings = tuple(
            Parting(
                prompt,
                place,
                *_nats(
                    model,
                    [*prompts[prompt], *left[prompt][:place]],
                    _at(left[prompt], place),
                    _at(right[prompt], place),
                    stops,
                ),
            )
            for prompt, place in places.items()
        )
        near = sum(parting.gap <= NEAR_TIE_NATS for parting in partings)
        yield Pair((one, other), len(prompts), identical, in_common, near, partings)


def _at(answer: Sequence[int], place: int) -> int:
    """The token at `place`; an answer that is used up there was ended by a stop token."""
    return answer[place] if place < len(answer) else END


def _nats(model: Any, ids: Sequence[int], one: int, other: int, stops: Sequence[int]) -> tuple[float, float]:
    """`margin` and `gap` of the model's distribution after `ids`."""
    import torch

    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([list(ids)], device=model.device), logits_to_keep=1).logits[0, -1]
    nats = torch.log_softmax(logits.float(), dim=-1)
    first, second = nats.topk(2).values.tolist()

    def of(token: int) -> float:
        return float(nats[list(stops)].max() if token == END else nats[token])

    return first - second, abs(of(one) - of(other))


def _by_transformers(
    model: Any, prompts: Sequence[Sequence[int]], template: ChatTemplate, tokens: int, rows: int
) -> list[list[int]]:
    from distill_app.students import attention
    from distill_app.students.decoding import Decoder, Settings

    settings = Settings(temperature=0.0, top_p=1.0, max_tokens=tokens, stop_ids=frozenset(template.stop_ids))
    found: dict[int, list[int]] = {}
    by_length = sorted(range(len(prompts)), key=lambda place: len(prompts[place]))
    with attention.grouped(model):
        for start in range(0, len(by_length), rows):
            batch = [SamplingRequest(str(place), prompts[place], 0) for place in by_length[start : start + rows]]
            for row in Decoder(model, batch, settings).run(lambda _wrote, _ended: None):
                found[int(row.request.id)] = [*row.tokens, END] if row.reason == "stop" else row.tokens
    return [found[place] for place in range(len(prompts))]


def _by_vllm(
    folder: Path,
    adapter: Path | None,
    template: ChatTemplate,
    prompts: Sequence[Sequence[int]],
    tokens: int,
    device: Any,
    runtime: Runtime,
    say: Callable[[str], None],
) -> list[list[int]]:
    from distill_app.students.vllm_engine import Engine
    from distill_app.students.vllm_groups import asks

    requests = [SamplingRequest(str(place), prompt, 0) for place, prompt in enumerate(prompts)]
    stops = frozenset(template.stop_ids)
    left = asks(requests, frozenset(), 0.0, {})
    found: dict[int, list[int]] = {}
    engine = Engine(folder, dtype=device.dtype, runtime=runtime, adapter=adapter)
    try:
        for news in engine.answers(left, requests, top_p=1.0, max_tokens=tokens, stop_ids=stops, say=say):
            for answer in news.answers:
                place = int(left[answer.ask].rows[answer.sample].id)
                ended = answer.reason == "stop"
                found[place] = [*(token for token in answer.tokens if token not in stops), *([END] if ended else [])]
    finally:
        engine.close()
    return [found[place] for place in range(len(prompts))]
