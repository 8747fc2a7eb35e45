"""How likely a model finds given answers: the one scorer behind PPL, CPPL, IFD, mean loss and rank-surprisal.

One forward pass a pack takes the answers after their prompts and alone, each different prefix once (`packing`),
without padding (`packed_attention`). A model that cannot go that way is run on padded batches, with the same
numbers. Logits are made by the model's own code, of the answers' positions alone and a chunk at a time, so memory
does not grow with vocabulary times length.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distill_app import stopping
from distill_app.errors import StageError
from distill_app.students import backbone, packing
from distill_app.students.packing import ScoreRequest

if TYPE_CHECKING:
    import torch

    from distill_app.students.packing import Ints

__all__ = ["Score", "ScoreRequest", "score", "start_token"]

RANK_CLIP = 100
"""A token's rank counts no higher than this [paper: code, RSR 2601.14249]."""

HEAD_POSITIONS = 256
"""Positions whose logits are held at once."""

_CACHED_LOGITS = 2**19
"""Logits turned into probabilities at once on a CPU, in float32: 2 MB, so that the passes over them stay in cache."""

_PROGRESS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Score:
    """What a model makes of one answer, in nats; `tokens` of the answer were scored, all unless `cut`.

    `nll` is the mean a token given the prompt (ln CPPL), `nll_alone` of the same tokens after the start token
    alone (ln PPL; None where not asked for). `rank_sum` adds up the tokens' ranks given the prompt: 1 for the
    likeliest, one more for each token that is strictly likelier (equals share the better rank), at most
    `RANK_CLIP`.
    """

    id: str
    tokens: int
    nll: float
    nll_alone: float | None
    rank_sum: int
    cut: bool


def start_token(tokenizer: Any) -> int:
    """What stands before an answer scored alone: the BOS token, else end-of-text, else the eos token."""
    if tokenizer.bos_token_id is not None:
        return int(tokenizer.bos_token_id)
    for token, entry in tokenizer.added_tokens_decoder.items():
        if entry.content == "<|endoftext|>":
            return int(token)
    if tokenizer.eos_token_id is None:
        raise StageError(
            "The tokenizer has neither a BOS nor an eos token, so no answer can be scored without its question.",
            "Give the tokenizer a bos_token, or choose another student.",
        )
    return int(tokenizer.eos_token_id)


def score(
    model: Any,
    requests: Sequence[ScoreRequest],
    *,
    start_id: int,
    alone: bool,
    max_tokens: int | None,
    pack_tokens: int,
    done: AbstractSet[str] = frozenset(),
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[list[Score]]:
    """Score every request whose id is not in `done`; yield the scores pack by pack, in no promised order.

    `model` is a causal LM or a PEFT model over one, also in the midst of training: it is scored without dropout
    and gradients, and is as it was found whenever this generator hands over. Answers are cut to `max_tokens` and
    to the model's context, the same tokens in both conditionings. A pack holds about `pack_tokens` different
    tokens. `requests` must be the full list also when resuming: packs are formed of it whatever its order, those
    wholly in `done` are skipped, others computed anew and yielded less what is done.

    `progress` is called about once a second with rows and answer tokens scored, of those this call yields.
    Raises `StageError`, naming the row, where an answer is empty, a prompt fills the context, or a result is not
    a finite number.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    room = getattr(base.config.get_text_config(), "max_position_embeddings", None)
    made = packing.rows(requests, max_tokens, room)
    packed: bool | None = None
    rows = tokens = 0
    told = time.monotonic()
    for pack in packing.packs(made, pack_tokens, alone):
        if all(row.id in done for row in pack):
            continue
        with stopping.held():
            with _evaluating(model, base):
                if packed is None:
                    # Of all rows, so that a resumed call takes the same way.
                    packed = backbone.can_pack(base, made, start_id)
                scores = _score_pack(base, pack, start_id if alone else None, pack_tokens, packed)
            scores = [one for one in scores if one.id not in done]
            rows, tokens = rows + len(scores), tokens + sum(one.tokens for one in scores)
            if progress is not None and time.monotonic() - told >= _PROGRESS_SECONDS:
                told = time.monotonic()
                progress(rows, tokens)
            yield scores


@contextmanager
def _evaluating(model: Any, base: Any) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards every module's mode, attention and adapter are what they were.

    Adapters are run in the base's number type, as autocast trains them on a GPU: in float32 over bfloat16 scoring takes
    a third more time on a CPU, and what they add is rounded to the base's type either way.
    """
    import torch

    adapters = {} if model is base else {one: one.data for one in model.parameters() if one.requires_grad}
    training = [module for module in model.modules() if module.training]
    parts = {key: getattr(base.config, key) for key in base.config.sub_configs}
    attention = {"": base.config._attn_implementation} | {
        key: part._attn_implementation for key, part in parts.items() if part is not None
    }
    model.eval()
    for one, data in adapters.items():
        one.data = data.to(base.dtype)
    try:
        # Not inference_mode: what a module keeps of it (rotary frequencies) could not be trained with.
        with torch.no_grad():
            yield
    finally:
        if base.config._attn_implementation != attention[""]:
            base.set_attn_implementation(attention)
        for one, data in adapters.items():
            one.data = data
        for module in training:
            module.training = True


def _score_pack(base: Any, pack: list[packing.Row], start_id: int | None, limit: int, packed: bool) -> list[Score]:
    import numpy as np

    bare = [] if start_id is None else [row.after(np.array([start_id])) for row in pack]
    sequences = [*(row.after(row.prompt) for row in pack), *bare]
    targets = [row.target for row in pack] * (2 if bare else 1)
    output, places = backbone.packed(base, sequences) if packed else backbone.padded(base, sequences, limit, targets)
    # Rows that begin alike predict alike: each pair of a state and the token after it is scored once.
    pairs = np.concatenate([path[-len(target) :] << 32 | target for path, target in zip(places, targets, strict=True)])
    distinct, back = np.unique(pairs, return_inverse=True)
    nll, ranks = _token_scores(base, output, distinct >> 32, distinct & (2**32 - 1))
    ends = np.cumsum([len(target) for target in targets])[:-1]
    means = [float(part.mean()) for part in np.split(nll[back], ends)]
    sums = [int(part.sum()) for part in np.split(ranks[back], ends)]
    scores = [
        Score(row.id, len(row.target), means[i], means[len(pack) + i] if bare else None, sums[i], row.cut)
        for i, row in enumerate(pack)
    ]
    for one in scores:
        if not math.isfinite(one.nll) or not math.isfinite(one.nll_alone or 0.0):
            raise StageError(
                f"Row {one.id}: the model's likelihood of the answer is not a finite number.",
                "The model's weights or adapter are damaged or training has diverged; with float16 or bfloat16 "
                "weights, try student.dtype: float32.",
            )
    return scores


def _token_scores(base: Any, output: Any, nodes: Ints, tokens: Ints) -> tuple[Any, Any]:
    """Each token's negative log-likelihood (float64) and clipped rank after the state at its node."""
    import numpy as np
    import torch

    states = output.last_hidden_state[0]
    where, wanted = torch.from_numpy(nodes).to(states.device), torch.from_numpy(tokens).to(states.device)[:, None]
    nll, ranks = [], []
    for start in range(0, len(nodes), HEAD_POSITIONS):
        part = slice(start, start + HEAD_POSITIONS)
        logits = _own_logits(base, output, states[where[part]])
        lines = len(logits) if logits.device.type != "cpu" else max(1, _CACHED_LOGITS // logits.shape[1])
        for some, token in zip(torch.split(logits, lines), torch.split(wanted[part], lines), strict=True):
            values = some.float()
            # The comparison is written as numbers: torch sums those several times faster than truth values.
            likelier = torch.gt(values, values.gather(1, token), out=torch.empty_like(values))
            ranks.append(likelier.sum(1).add_(1).clamp_(max=RANK_CLIP))
            nll.append(values.log_softmax(1).gather(1, token)[:, 0].neg_())
    return (
        torch.cat(nll).double().cpu().numpy(),
        torch.cat(ranks).cpu().numpy().astype(np.int64),
    )


def _own_logits(base: Any, output: Any, states: torch.Tensor) -> torch.Tensor:
    """The logits (positions, vocabulary) the model itself makes of `states`: head, scaling, cap, whatever it does.

    The model's own forward is run with layers that answer with `states` at once, so that there is no list of
    models with special heads to keep.
    """
    import torch

    layers, called = base.base_model, []
    answer = backbone.with_states(output, states)

    def forward(*_: Any, **__: Any) -> Any:
        called.append(True)
        return answer

    if layers is base:
        raise StageError(*_NO_HEAD)
    before = vars(layers).get("forward")
    layers.forward = forward
    try:
        ids = torch.zeros(1, len(states), dtype=torch.long, device=states.device)
        logits: torch.Tensor = base(input_ids=ids, use_cache=False).logits
    finally:
        if before is None:
            del layers.forward
        else:
            layers.forward = before
    if len(called) != 1 or logits.shape[:2] != (1, len(states)):
        raise StageError(*_NO_HEAD)
    return logits[0]


_NO_HEAD = (
    "The student's layers and its LM head cannot be run apart, so its answers cannot be scored.",
    "Choose a student of a common causal architecture (Llama, Qwen, Mistral, Gemma, Phi and the like).",
)
