"""Traces as token rows: what the student reads, what it is trained to write, and the proof that both are right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from distill_app.errors import StageError

IGNORED = -100
"""The label of a position that takes no part in the loss (the convention of torch's cross entropy)."""


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """A question and the trace to learn for it."""

    id: str
    question: str
    text: str


@dataclass(frozen=True, slots=True)
class Example:
    """A row as tokens. `labels` is as long as `input_ids`: the same ids on the target, `IGNORED` on the prompt."""

    id: str
    input_ids: tuple[int, ...]
    labels: tuple[int, ...]

    @property
    def prompt_tokens(self) -> int:
        """Leading tokens without loss; all of them where nothing is labelled."""
        return next((place for place, label in enumerate(self.labels) if label != IGNORED), len(self.input_ids))

    @property
    def target_tokens(self) -> int:
        """Tokens the loss is taken on, the end token among them."""
        return sum(label != IGNORED for label in self.labels)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that is not trained: `reason` is "too_long" or "empty"; `tokens` counts prompt, target and end."""

    id: str
    reason: str
    tokens: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """Every row is in exactly one of the two."""

    examples: tuple[Example, ...]
    left_out: tuple[LeftOut, ...]


class Template(Protocol):
    """What is used of `students.template.ChatTemplate`."""

    @property
    def end_id(self) -> int: ...

    def prompt_ids(self, question: str) -> list[int]: ...

    def target_ids(self, text: str) -> list[int]: ...


def encode(rows: Iterable[TrainingRow], template: Template, max_length: int) -> Encoded:
    """Rows as tokens, loss on the trace and its end token alone.

    A row of more than `max_length` tokens is left out whole: cut, it would teach the student to stop midway or
    never to stop. A row whose trace is empty or blank is left out too. Order is kept.
    """
    examples: list[Example] = []
    left_out: list[LeftOut] = []
    for row in rows:
        prompt = tuple(template.prompt_ids(row.question))
        target = tuple(template.target_ids(row.text))
        tokens = len(prompt) + len(target)
        if not row.text.strip():
            left_out.append(LeftOut(row.id, "empty", tokens))
        elif tokens > max_length:
            left_out.append(LeftOut(row.id, "too_long", tokens))
        else:
            examples.append(Example(row.id, prompt + target, (IGNORED,) * len(prompt) + target))
    return Encoded(tuple(examples), tuple(left_out))


def check(example: Example, row: TrainingRow, template: Template, tokenizer: Any) -> None:
    """Prove one example right before anything is trained on it, or raise StageError saying what is wrong.

    Promised afterwards: the loss covers one unbroken stretch at the end of the row, from the first token after
    the prompt the student is asked with to the end token; the stretch ends with the end token and holds no
    other; without it, the stretch reads exactly as the trace, whole and once. "Reads as the trace" means up to
    the tokenizer's own round trip: some tokenizers normalise spaces or Unicode, and no template can undo that.
    """
    where = f"Training row {row.id}:"
    if len(example.labels) != len(example.input_ids):
        raise StageError(f"{where} {len(example.labels)} labels for {len(example.input_ids)} tokens.", _OUR_FAULT)
    start = example.prompt_tokens
    target = example.input_ids[start:]
    if not target:
        raise StageError(f"{where} no token of it carries loss.", _TEMPLATE)
    if example.labels[start:] != target:
        wrong = next(i for i, (a, b) in enumerate(zip(example.labels[start:], target, strict=True)) if a != b)
        raise StageError(
            f"{where} the loss mask does not cover the target: token {start + wrong} "
            f"({tokenizer.decode([target[wrong]])!r}) is left out of the loss or trained as another token.",
            _OUR_FAULT,
        )
    if example.input_ids[:start] != tuple(template.prompt_ids(row.question)):
        raise StageError(
            f"{where} the tokens before the loss are not the prompt the student is asked with: "
            f"{tokenizer.decode(list(example.input_ids[:start]))!r}.",
            "The loss mask must begin right after the prompt. " + _TEMPLATE,
        )
    if target[-1] != template.end_id:
        raise StageError(
            f"{where} the target does not finish with the end token ({tokenizer.decode([template.end_id])!r}) "
            f"but with {tokenizer.decode([target[-1]])!r}: the student would never learn to stop.",
            _TEMPLATE,
        )
    if template.end_id in target[:-1]:
        raise StageError(
            f"{where} the end token ({tokenizer.decode([template.end_id])!r}) stands inside the trace, before its "
            "end: the student would learn to stop there.",
            "Remove the marker from the trace, or leave the row out of the pool.",
        )
    _check_text(where, row.text, list(target[:-1]), tokenizer)


_OUR_FAULT = "This is a fault in distill-app, not in your recipe: please report it with this message."
_TEMPLATE = (
    "The chat template of the student does not render the trace as it is. Use a student whose template does, or "
    "set the template in its folder (chat_template.jinja)."
)


def _check_text(where: str, text: str, target: list[int], tokenizer: Any) -> None:
    def read(ids: list[int]) -> str:
        return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    rendered = read(target)
    expected = read(tokenizer.encode(text, add_special_tokens=False))
    if rendered == expected:
        return
    if expected not in rendered:
        kept = next(
            (i for i, (a, b) in enumerate(zip(expected, rendered, strict=False)) if a != b),
            min(len(expected), len(rendered)),
        )
        lost = "the beginning of it is gone or changed" if kept == 0 else f"it differs after {kept} characters"
        raise StageError(
            f"{where} the rendered target does not hold the whole trace; {lost}. Trace: {_short(expected)} "
            f"Target: {_short(rendered)}",
            "Many public templates drop what stands before or inside a think block. " + _TEMPLATE,
        )
    times = rendered.count(expected)
    if times > 1:
        raise StageError(f"{where} the rendered target holds the trace {times} times.", _TEMPLATE)
    before, _, after = rendered.partition(expected)
    raise StageError(
        f"{where} the rendered target holds more than the trace: {_short(before + after)} would be trained too.",
        _TEMPLATE,
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:60] + " ... " + text[-15:]) + "."


def render(example: Example, tokenizer: Any) -> str:
    """One example for the eye, a token a line: `prompt` lines carry no loss, `TARGET` lines do.

    The text goes into a run as it is, so that anybody can see what was trained.
    """
    lines = [
        f"row {example.id}: {len(example.input_ids)} tokens, loss on {example.target_tokens} of them",
        "loss    place   id      text",
    ]
    for place, (token, label) in enumerate(zip(example.input_ids, example.labels, strict=True)):
        part = "prompt" if label == IGNORED else "TARGET"
        lines.append(f"{part}  {place:>5}  {token:>6}  {tokenizer.decode([token])!r}")
    return "\n".join(lines) + "\n"
