"""Rows to score, cut to length, put into packs of about equal work, and merged so that no prefix stands twice.

A pack holds token sequences that begin alike: every chat template opens the same way, the answers to one question
share its whole prompt, and all answers without a question share the start token. Causal layers compute the same
for equal prefixes, so the sequences of a pack are merged into a tree and each node is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distill_app.errors import StageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """An answer to score: `prompt_ids` with the generation prompt, `target_ids` without the end token."""

    id: str
    prompt_ids: Sequence[int]
    target_ids: Sequence[int]


@dataclass(frozen=True, slots=True)
class Row:
    """A request as arrays; `cut` where `target` has lost its end."""

    id: str
    prompt: Ints
    target: Ints
    cut: bool

    def after(self, context: Ints) -> Ints:
        """What the model reads to score the target after `context`: the last token predicts nothing."""
        import numpy as np

        return np.concatenate([context, self.target[:-1]])


def rows(requests: Sequence[ScoreRequest], max_tokens: int | None, room: int | None) -> list[Row]:
    """The requests in order, each answer cut to `max_tokens` and to what the context of `room` tokens leaves.

    `StageError`, naming the row, where an answer or a prompt is empty, and where a prompt fills the context.
    """
    import numpy as np

    made = []
    for request in requests:
        prompt, target = len(request.prompt_ids), len(request.target_ids)
        if target == 0 or prompt == 0:
            raise StageError(
                f"Row {request.id} has no {'answer' if target == 0 else 'prompt'} tokens to score.",
                "Leave it out of the pool." if target == 0 else "This is a fault in distill-app: please report it.",
            )
        if room is not None and prompt >= room:
            raise StageError(
                f"Row {request.id}: its prompt of {prompt} tokens leaves no room for an answer in the model's "
                f"context of {room} tokens.",
                "Leave this problem out, or choose a student with a longer context.",
            )
        keep = min(
            limit for limit in (target, max_tokens, None if room is None else room - prompt) if limit is not None
        )
        made.append(
            Row(
                request.id,
                np.asarray(request.prompt_ids, dtype=np.int64),
                np.asarray(request.target_ids[:keep], dtype=np.int64),
                keep < target,
            )
        )
    return made


def packs(made: Sequence[Row], pack_tokens: int, alone: bool) -> list[list[Row]]:
    """Packs of about `pack_tokens` different tokens, whatever the order of `made`; a longer row has its own.

    Rows with one prompt stand together, prompts by the length of their longest row. Only the sharing of whole
    prompts is counted, so a pack is rather smaller than asked for.
    """
    groups: dict[bytes, list[Row]] = {}
    for row in made:
        groups.setdefault(row.prompt.tobytes(), []).append(row)
    for group in groups.values():
        group.sort(key=lambda row: (len(row.target), row.id))

    def place(group: list[Row]) -> tuple[int, str]:
        return len(group[-1].prompt) + len(group[-1].target), min(row.id for row in group)

    out: list[list[Row]] = []
    pack: list[Row] = []
    filled = 0
    for group in sorted(groups.values(), key=place):
        for number, row in enumerate(group):
            answer = (len(row.target) - 1) * (2 if alone else 1)
            cost = answer + (len(row.prompt) if number == 0 or not pack else 0)
            if pack and filled + cost > pack_tokens:
                out.append(pack)
                pack, filled, cost = [], 0, answer + len(row.prompt)
            pack.append(row)
            filled += cost
    return [*out, pack] if pack else out


@dataclass(frozen=True, slots=True)
class Tree:
    """Sequences merged. `tokens` and `depths` are by node; `paths[i]` are the nodes of sequence i.

    The nodes of sequence i from `starts[i]` on are its own: no sequence merged before it passes there.
    """

    tokens: Ints
    depths: Ints
    paths: list[Ints]
    starts: list[int]


def merge(sequences: Sequence[Ints]) -> Tree:
    """Merge the sequences into the tree of their different prefixes, independent of their order up to numbering."""
    import numpy as np

    # In this order no earlier sequence shares more with one than the sequence just before it.
    order = sorted(range(len(sequences)), key=lambda number: sequences[number].astype(">u4").tobytes())
    paths: list[Any] = [None] * len(sequences)
    starts = [0] * len(sequences)
    tokens, depths = [], []
    last, path, nodes = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), 0
    for number in order:
        sequence = sequences[number]
        least = min(len(last), len(sequence))
        differ = np.flatnonzero(last[:least] != sequence[:least])
        shared = int(differ[0]) if len(differ) else least
        fresh = len(sequence) - shared
        path = np.concatenate([path[:shared], np.arange(nodes, nodes + fresh)])
        tokens.append(sequence[shared:])
        depths.append(np.arange(shared, len(sequence)))
        paths[number], starts[number] = path, shared
        last, nodes = sequence, nodes + fresh
    return Tree(np.concatenate(tokens), np.concatenate(depths), paths, starts)
