"""Turn logits and one uniform a row into a token: exact temperature and nucleus sampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distill_app.errors import StageError

if TYPE_CHECKING:
    import torch

NUCLEUS = 64
"""Most likely tokens looked at before a row's nucleus is sought by sorting the whole vocabulary."""


def draw(logits: torch.Tensor, uniforms: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """One token a row, shape (rows,), from `logits` (rows, vocabulary) and `uniforms` (rows,) in [0, 1).

    Token i is drawn with probability softmax(logits / temperature)[i], in float32; with `top_p` below 1 among
    the fewest most likely tokens that hold at least that share, scaled up to 1. Temperature 0 takes the most
    likely token. The draw inverts the cumulative distribution (torch.multinomial over a large vocabulary costs
    a CPU about ten times as much). `StageError` where the model gives numbers that are no logits.
    """
    import torch

    if temperature == 0:
        return logits.argmax(-1)
    # In place from the copy on: over a whole vocabulary, fresh memory for every step costs more than the arithmetic.
    weights = logits.to(torch.float32, copy=True)
    weights.sub_(weights.amax(-1, keepdim=True)).div_(temperature).exp_()
    uniforms = uniforms.float()
    if top_p < 1:
        return _nucleus(weights, uniforms, top_p)
    return _invert(weights.cumsum_(-1), uniforms)


def _invert(cumulative: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """The first place where `cumulative` passes that share of its last column."""
    import torch

    total = cumulative[:, -1:]
    if not bool(torch.isfinite(total).all()):
        raise StageError(
            "The model gives logits that are not numbers.", "Set dtype to float32, or check the model's weights."
        )
    # A uniform near 1 may round up to the whole: no column passes that, so it is taken as the number before it.
    wanted = torch.minimum(uniforms[:, None] * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulative, wanted, right=True)[:, 0]


def _nucleus(weights: torch.Tensor, uniforms: torch.Tensor, top_p: float) -> torch.Tensor:

    wanted = top_p * weights.sum(-1)
    best, tokens = weights.topk(min(NUCLEUS, weights.shape[-1]))
    short = best.sum(-1) < wanted
    chosen = _within(best, tokens, uniforms, wanted)
    if bool(short.any()):
        # The nucleus of these rows is wider than the first look: sort all of it.
        best, tokens = weights[short].sort(-1, descending=True)
        chosen[short] = _within(best, tokens, uniforms[short], wanted[short])
    return chosen


def _within(best: torch.Tensor, tokens: torch.Tensor, uniforms: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Draw among the leading columns of `best` (descending) that together first reach `wanted`."""
    cumulative = best.cumsum(-1)
    before = cumulative - best
    kept = cumulative.where(before < wanted[:, None], 0.0).amax(-1, keepdim=True)
    place = _invert(cumulative.minimum(kept), uniforms)
    return tokens.gather(-1, place[:, None])[:, 0]
