"""Answers that are instances of a JSON Schema: which tokens a row may draw next, by llguidance.

Instances are written on one line as `json.dumps` writes them, with ", " and ": ". A token is allowed where the text
so far and its own can still become an instance, so what a row draws is the model's distribution over allowed tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from distill_app.errors import StageError

if TYPE_CHECKING:
    import torch

_FORM = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Grammars:
    """The grammars of some JSON Schemas (as text) over one tokenizer, each made once.

    `stop_ids` end an answer: they are allowed where the text is a whole instance. `StageError` where the tokenizer
    or a schema (it is named) cannot be used: every keyword of a schema is kept to, or the schema refused.
    """

    def __init__(self, tokenizer: Any, stop_ids: Iterable[int], schemas: Iterable[str]) -> None:
        from llguidance.hf import from_tokenizer

        try:
            stops = sorted(stop for stop in stop_ids if stop < len(tokenizer))
            self._tokenizer = from_tokenizer(tokenizer, eos_token=stops)
        except ValueError as error:
            raise StageError(
                f"This model's tokenizer cannot keep an answer to a JSON schema ({error}).",
                "Choose a model with a tokenizer.json.",
            ) from error
        self._compiled = {schema: self._compile(schema) for schema in dict.fromkeys(schemas)}

    def start(self, schema: str) -> Grammar:
        """The grammar of `schema` before its first token, for one row."""
        return Grammar(self._compiled[schema].deep_copy(), schema)

    def _compile(self, schema: str) -> Any:
        from llguidance import LLMatcher

        try:
            matcher = LLMatcher(self._tokenizer, LLMatcher.grammar_from_json_schema(schema, overrides=_FORM))  # type: ignore[arg-type]
        except ValueError as error:
            raise _refused(schema, str(error)) from error
        if matcher.is_error():
            raise _refused(schema, matcher.get_error())
        return matcher


class Grammar:
    """How far one row's text has come in its grammar."""

    def __init__(self, matcher: Any, schema: str) -> None:
        self._matcher = matcher
        self._schema = schema

    def allowed(self) -> bytes:
        """The tokens that may come next, a bit each, the lowest bit of a byte first."""
        allowed: bytes = self._matcher.compute_bitmask()
        if self._matcher.is_error():
            raise _refused(self._schema, self._matcher.get_error())
        return allowed

    def take(self, token: int) -> bool:
        """Go on by `token`, which was allowed and is no stop token; True where the instance can only end now."""
        self._matcher.consume_token(token)
        if self._matcher.is_error():
            raise _refused(self._schema, self._matcher.get_error())
        stopped: bool = self._matcher.is_stopped()
        return stopped


def restrict(logits: torch.Tensor, grammars: Sequence[Grammar | None]) -> None:
    """Set the logits (rows, vocabulary), in place, of tokens that a row's grammar forbids to minus infinity.

    Rows without a grammar are left as they are.
    """
    import numpy as np
    import torch

    held = [(row, grammar.allowed()) for row, grammar in enumerate(grammars) if grammar is not None]
    if not held:
        return
    bits = np.frombuffer(b"".join(allowed for _, allowed in held), np.uint8).reshape(len(held), -1)
    allowed = torch.from_numpy(np.unpackbits(bits, axis=1, bitorder="little")).bool()
    # Embeddings are often wider than the tokenizer, for speed: those columns are no tokens.
    beyond = max(0, logits.shape[-1] - allowed.shape[-1])
    forbidden = ~torch.nn.functional.pad(allowed, (0, beyond))[:, : logits.shape[-1]].to(logits.device)
    rows = torch.tensor([row for row, _ in held], device=logits.device)
    logits[rows] = logits[rows].masked_fill(forbidden, float("-inf"))


def _refused(schema: str, why: str) -> StageError:
    short = schema if len(schema) <= 200 else f"{schema[:200]}..."
    return StageError(
        f"Answers cannot be kept to the JSON schema {short}: {why.strip().splitlines()[0]}.",
        "Ask for a simpler schema.",
    )
