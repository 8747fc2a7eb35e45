"""A trace as a reward model reads it: the part that is scored, through the model's own chat template, cut to fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from distill_app.errors import StageError
from distill_app.records import Trace
from distill_app.thinking import split


@dataclass(frozen=True, slots=True)
class Read:
    """What the model is to read of one trace: the conversation's tokens, and whether the trace was cut."""

    id: str
    tokens: tuple[int, ...]
    cut: bool


def part_of(text: str, part: str) -> str:
    """The whole trace, or its answer: what follows the last think block, all where there is none.

    The answer of a trace whose think block was never closed is empty.
    """
    if part == "trace":
        return text
    thought = split(text)
    return text if thought.state == "none" else thought.answer.strip()


def read_of(tokenizer: Any, trace: Trace, part: str, limit: int | None) -> Read:
    """What the model reads of `trace`: where that is longer than `limit` tokens, as much of its end as fits.

    `StageError` where the tokenizer has no chat template, or not even an empty answer fits.
    """
    text = part_of(trace.text, part)
    tokens = _conversation(tokenizer, trace.question, text)
    if limit is None or len(tokens) <= limit:
        return Read(trace.id, tokens, False)
    starts = [
        start for start, _ in tokenizer(text, add_special_tokens=False, return_offsets_mapping=True).offset_mapping
    ]
    first = 0
    while len(tokens) > limit:
        # The cut text may fall into tokens otherwise than the whole did: then a few more are left out.
        first += len(tokens) - limit
        if first >= len(starts):
            shortest = len(_conversation(tokenizer, trace.question, ""))
            raise StageError(
                f"The question of {trace.id} takes {shortest} of the {limit} tokens that the reward model reads: "
                "none of the trace fits.",
                "Raise quality.max_tokens if the model reads more, or leave this problem out.",
            )
        tokens = _conversation(tokenizer, trace.question, text[starts[first] :])
    return Read(trace.id, tokens, True)


def _conversation(tokenizer: Any, question: str, text: str) -> tuple[int, ...]:
    """Tokens of the two turns. The template writes all special tokens, so the tokenizer adds none: one BOS, not two."""
    ids = tokenizer(conversation_text(tokenizer, question, text), add_special_tokens=False)["input_ids"]
    return tuple(ids)


def conversation_text(tokenizer: Any, question: str, text: str) -> str:
    """The two turns as the template writes them. `StageError` where there is no template, or it refuses them."""
    from jinja2.exceptions import TemplateError

    if not tokenizer.chat_template:
        raise StageError(
            "The reward model has no chat template, so there is no telling how it is to be asked.",
            "Choose another reward model, or give a folder whose tokenizer has a chat_template.",
        )
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
    try:
        rendered: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=False)
    except TemplateError as error:
        raise StageError(
            f"The reward model's chat template refuses the conversation: {error}.", "Choose another reward model."
        ) from error
    return rendered
