"""Attention of one new token over a cache, without copying the cache for every query head.

With a mask, transformers' sdpa repeats keys and values once for each query head of a group before every call.
For one query token the heads of a group can be laid out as query positions instead: the same product, no copy.
Measured on one core with SmolLM2-135M in bfloat16, 96 rows: 2.1 times the tokens a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

NAME = "distill_grouped"


@contextmanager
def grouped(model: Any) -> Iterator[None]:
    """Let `model` decode with grouped attention for a while, where it runs on a CPU with sdpa attention."""
    before = model.config._attn_implementation
    if before != "sdpa" or model.device.type != "cpu" or not model._supports_attention_backend:
        yield
        return
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(NAME, _forward)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _forward(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Shapes as transformers hands them over: (rows, heads, positions, width)."""
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    rows, heads, positions, width = query.shape
    groups, length = key.shape[1], key.shape[2]
    plain = kwargs.get("position_bias") is None and kwargs.get("cache") is None
    shared = attention_mask is None or attention_mask.shape[1] == 1
    if positions != 1 or heads == groups or not plain or not shared:
        answer: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return answer
    each = heads // groups
    mask = None if attention_mask is None else attention_mask.expand(rows, 1, each, length)
    out = torch.nn.functional.scaled_dot_product_attention(
        query.reshape(rows, groups, each, width), key, value, attn_mask=mask, scale=scaling
    )
    return out.reshape(rows, 1, heads, value.shape[-1]), None
