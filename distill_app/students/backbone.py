"""The two ways through a model's layers to the states its LM head reads: packed without padding, or padded.

Both give the same numbers. The packed way is the faster one and not open to every model; `can_pack` finds out.
`base` is always the causal LM itself, without gradients and in evaluation mode; its attention implementation is
left changed, for the caller to set back.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from distill_app.students import packed_attention, packing

if TYPE_CHECKING:
    import torch

    from distill_app.students.packing import Ints


def can_pack(base: Any, made: Sequence[packing.Row], start_id: int) -> bool:
    """Whether the packed way gives what the padded one gives: by what the model says of itself, then by trial.

    The trial is the beginnings of a row, run both ways. It finds out layers that carry a state along the pack and
    biases by place in it, whatever the model is called.
    """
    import numpy as np
    import torch

    config, layers = base.config.get_text_config(), base.base_model
    kinds = set(getattr(config, "layer_types", None) or ())
    if (
        not base._supports_attention_backend
        or kinds - {"full_attention", "sliding_attention"}
        or "position_ids" not in inspect.signature(layers.forward).parameters
        or _rope_bend(config) < math.inf
    ):
        return False
    first = min(made, key=lambda row: row.id)
    row = packing.Row(first.id, first.prompt[:8], first.target[:8], False)
    other = packing.Row(first.id, row.prompt, row.target[::-1], False)
    start = np.array([start_id])
    sequences = [row.after(row.prompt), other.after(other.prompt), row.after(start), other.after(start)]
    tree = packing.merge(sequences)
    pack = packed_attention.layout(tree, base.device)
    before = base.config._attn_implementation
    try:
        output = _run_tree(base, tree, pack)
    except packed_attention.UnpackableError:
        return False
    finally:
        base.set_attn_implementation(before)
    slides = "sliding_attention" in kinds if kinds else getattr(config, "sliding_window", None) is not None
    if slides and pack.windows <= {None}:
        # The window is in the mask alone, which the packed way does not make.
        return False
    ours = output.last_hidden_state[0]
    theirs, places = padded(base, sequences, 64, sequences)
    whole = theirs.last_hidden_state[0].float()
    same = torch.cat([ours[torch.from_numpy(path).to(ours.device)] for path in tree.paths]).float()
    order = torch.cat([torch.from_numpy(place) for place in places]).to(ours.device)
    near = 1e-3 if ours.dtype == torch.float32 else 5e-2
    # With numbers that are none this is False: the padded way then keeps the fault to the row that has it.
    return bool((same - whole[order]).norm() <= near * whole.norm())


def packed(base: Any, sequences: Sequence[Ints]) -> tuple[Any, list[Ints]]:
    """The backbone's output on all sequences at once, and each sequence's places in it."""
    tree = packing.merge(sequences)
    return _run_tree(base, tree, packed_attention.layout(tree, base.device)), tree.paths


def padded(base: Any, sequences: Sequence[Ints], limit: int, targets: Sequence[Ints]) -> tuple[Any, list[Ints]]:
    """The same from batches filled up on the right, of about `limit` positions; states of targets alone are kept."""
    import numpy as np
    import torch

    config = base.config.get_text_config()
    if getattr(config, "attn_logit_softcapping", None) is not None and config._attn_implementation == "sdpa":
        # transformers' sdpa leaves the cap out without a word.
        base.set_attn_implementation("eager")
    bend = _rope_bend(config)
    order = sorted(range(len(sequences)), key=lambda number: len(sequences[number]), reverse=True)
    places: list[Any] = [None] * len(sequences)
    states, kept = [], 0
    output = None
    while order:
        longest = len(sequences[order[0]])
        take = order[: max(1, limit // longest)]
        take = [number for number in take if (len(sequences[number]) > bend) == (longest > bend)]
        order = order[len(take) :]
        ids, mask = torch.zeros(len(take), longest, dtype=torch.long), torch.zeros(len(take), longest, dtype=torch.long)
        wanted = torch.zeros(len(take), longest, dtype=torch.bool)
        for line, number in enumerate(take):
            length, scored = len(sequences[number]), len(targets[number])
            ids[line, :length], mask[line, :length] = torch.from_numpy(sequences[number]), 1
            wanted[line, length - scored : length] = True
            places[number] = np.arange(kept, kept + scored)
            kept += scored
        output = base.base_model(input_ids=ids.to(base.device), attention_mask=mask.to(base.device), use_cache=False)
        states.append(output.last_hidden_state[wanted.to(base.device)])
    return with_states(output, torch.cat(states)), places


def with_states(output: Any, states: torch.Tensor) -> Any:
    """A copy of a backbone's `output` with `states` (positions, width) in place of its own."""
    output = copy.copy(output)
    output.last_hidden_state = states[None]
    return output


def _run_tree(base: Any, tree: packing.Tree, pack: packed_attention.Layout) -> Any:
    import torch

    packed_attention.register()
    if base.config._attn_implementation != packed_attention.NAME:
        base.set_attn_implementation(packed_attention.NAME)
    with packed_attention.using(pack):
        return base.base_model(
            input_ids=torch.from_numpy(tree.tokens)[None].to(base.device),
            position_ids=torch.from_numpy(tree.depths)[None].to(base.device),
            use_cache=False,
        )


def _rope_bend(config: Any) -> float:
    """The length beyond which a model with long rotary scaling (Phi 3) sees all of a batch's positions otherwise."""
    rope = getattr(config, "rope_parameters", None) or {}
    if rope.get("rope_type") != "longrope":
        return math.inf
    return float(rope.get("original_max_position_embeddings") or config.original_max_position_embeddings)
