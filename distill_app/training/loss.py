"""The training loss with the LM head run on target positions alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distill_app.training.rows import IGNORED

if TYPE_CHECKING:
    import torch

CHUNK_POSITIONS = 1024
"""Positions whose logits are held at once: 1024 over a vocabulary of 50 k are 200 MB in float32."""


def target_loss(hidden: torch.Tensor, labels: torch.Tensor, head: Any) -> torch.Tensor:
    """Summed negative log-likelihood, in nats, of the labelled tokens given the positions before them.

    `hidden` is (rows, length, width), `labels` (rows, length) with -100 where no loss is taken; position i
    predicts label i + 1. `head` maps width to vocabulary. The cross entropy is taken in float32. Beyond
    `CHUNK_POSITIONS` targets the logits are made chunk by chunk and again in the backward pass, so that memory
    does not grow with the length of the traces.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    wanted = labels[:, 1:] != IGNORED
    states, targets = hidden[:, :-1][wanted], labels[:, 1:][wanted]
    if len(targets) <= CHUNK_POSITIONS:
        return _nll(states, targets, head)
    total = states.new_zeros((), dtype=torch.float32)
    for start in range(0, len(targets), CHUNK_POSITIONS):
        part = slice(start, start + CHUNK_POSITIONS)
        total = total + checkpoint(_nll, states[part], targets[part], head, use_reentrant=False)
    return total


def _nll(states: torch.Tensor, targets: torch.Tensor, head: Any) -> torch.Tensor:
    from torch.nn.functional import cross_entropy

    return cross_entropy(head(states).float(), targets, reduction="sum")


def has_plain_head(config: Any) -> bool:
    """Whether the model's logits are its LM head and nothing else.

    False for models that scale or cap logits (Gemma 2, Cohere, Granite, ...) or add a router loss (mixtures of
    experts): `target_loss` would train those on something else than they compute, so TRL's own loss has to.
    The names are the ones TRL's `add_fused_lm_head` knows.
    """
    text = config.get_text_config()
    scales = (
        "final_logit_softcapping",
        "logit_scale",
        "output_multiplier",
        "lm_head_multiplier",
        "logits_scaling",
    )
    plain = all(getattr(text, name, None) in (None, 1) for name in scales)
    return plain and not hasattr(text, "output_router_logits")
