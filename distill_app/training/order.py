"""In what order rows are trained: batches of like length, shuffled anew every epoch, the same on every machine."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from distill_app.seeds import derive


class BatchOrder:
    """The batches of every epoch, decided by (seed, epoch) and the rows' lengths alone.

    `rows` are the indices trained in an epoch; re-selecting rows between epochs means putting others in, as
    many as before, since the number of steps and the learning rate schedule rest on it. `epoch` says which epoch
    iteration yields; whoever trains sets it.

    Iterating yields forward passes: lists of at most `pass_rows` indices. An optimizer step is
    `passes_per_step` of them (fewer in an epoch's last step), so which rows share a step does not depend on
    `pass_rows`. The order has to be made by us: transformers' own grouping sorts windows of 50 batches, which
    puts a set of some hundred rows into one descending order, the same in every epoch.
    """

    def __init__(
        self, lengths: Sequence[int], *, batch_size: int, pass_rows: int, seed: int, group_by_length: bool
    ) -> None:
        """`lengths` are tokens of each row, prompt and target together; `pass_rows` is at most `batch_size`."""
        self.lengths = tuple(lengths)
        self.rows: tuple[int, ...] = tuple(range(len(lengths)))
        self.batch_size = batch_size
        self.pass_rows = min(pass_rows, batch_size)
        self.seed = seed
        self.group_by_length = group_by_length
        self.epoch = 0

    @property
    def passes_per_step(self) -> int:
        """Forward passes in a full optimizer step."""
        return -(-self.batch_size // self.pass_rows)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in an epoch; the last one may hold fewer rows, none is dropped."""
        return -(-len(self.rows) // self.batch_size)

    def steps(self, epoch: int) -> list[list[int]]:
        """The rows of each optimizer step of `epoch`, a partial one last.

        With `group_by_length` rows are sorted by length (ties in random order), cut into batches of
        neighbours, and the batches shuffled; the partial batch is cut out at a random place of the sorted rows,
        or the same longest rows would meet the smallest batch every time.
        """
        draw = random.Random(derive(self.seed, "order", epoch))
        rows = list(self.rows)
        draw.shuffle(rows)
        full, spare = divmod(len(rows), self.batch_size)
        partial: list[int] = []
        if self.group_by_length:
            rows.sort(key=lambda row: self.lengths[row])
            start = draw.randint(0, full) * self.batch_size
            partial = rows[start : start + spare]
            del rows[start : start + spare]
        else:
            partial = rows[full * self.batch_size :]
            del rows[full * self.batch_size :]
        batches = [rows[i : i + self.batch_size] for i in range(0, len(rows), self.batch_size)]
        if self.group_by_length:
            draw.shuffle(batches)
        return batches + ([partial] if partial else [])

    def passes(self, epoch: int) -> list[list[int]]:
        """The rows of each forward pass of `epoch`, in order."""
        return [step[i : i + self.pass_rows] for step in self.steps(epoch) for i in range(0, len(step), self.pass_rows)]

    def padding_share(self, epoch: int) -> float:
        """Share of the positions computed in `epoch` that hold padding: 0 when every pass is of one length."""
        passes = self.passes(epoch)
        positions = sum(len(rows) * max(self.lengths[row] for row in rows) for rows in passes)
        return 1 - sum(self.lengths[row] for rows in passes for row in rows) / positions

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.passes(self.epoch))

    def __len__(self) -> int:
        full, spare = divmod(len(self.rows), self.batch_size)
        return full * self.passes_per_step - (-spare // self.pass_rows)
