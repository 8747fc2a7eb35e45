"""The order of batches: complete, repeatable, grouped, and the same steps whatever goes through the model at once."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest

from distill_app.training.order import BatchOrder

# Two clusters of lengths, as of pools that mix teachers: 75 rows of 20-40 tokens and 25 of 200-300.
DRAW = random.Random(0)
SKEWED = [DRAW.randint(20, 40) if i % 4 else DRAW.randint(200, 300) for i in range(100)]


def order(lengths: list[int] = SKEWED, **changes: object) -> BatchOrder:
    options: dict[str, object] = {"batch_size": 8, "pass_rows": 8, "seed": 3, "group_by_length": True}
    return BatchOrder(lengths, **{**options, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("group", [True, False])
@pytest.mark.parametrize("rows", [1, 7, 8, 9, 100])
def test_every_row_once_an_epoch_and_only_the_last_step_short(rows: int, group: bool) -> None:
    made = order(SKEWED[:rows], group_by_length=group)
    for epoch in range(3):
        steps = made.steps(epoch)
        assert sorted(row for step in steps for row in step) == list(range(rows))
        assert len(steps) == made.steps_per_epoch == -(-rows // 8)
        assert all(len(step) == 8 for step in steps[:-1])


@pytest.mark.parametrize("group", [True, False])
def test_order_depends_on_seed_and_epoch_alone(group: bool) -> None:
    made = order(group_by_length=group)
    first = [made.steps(epoch) for epoch in range(3)]
    random.seed(99)
    assert [order(group_by_length=group).steps(epoch) for epoch in (2, 0, 1)] == [first[2], first[0], first[1]]
    assert first[0] != first[1] != first[2]
    assert order(seed=4, group_by_length=group).steps(0) != first[0]


def test_order_is_the_same_in_another_process() -> None:
    code = (
        "from distill_app.training.order import BatchOrder\n"
        "print(BatchOrder([5, 3, 9, 3, 7], batch_size=2, pass_rows=2, seed=1, group_by_length=True).steps(4))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    here = BatchOrder([5, 3, 9, 3, 7], batch_size=2, pass_rows=2, seed=1, group_by_length=True).steps(4)
    assert told.strip() == str(here)


def test_batches_hold_neighbours_in_length_and_come_in_no_sorted_order() -> None:
    made = order([10, 80, 20, 70, 30, 60, 40, 50], batch_size=2)
    batches = made.steps(0)
    assert sorted(sorted(made.lengths[row] for row in step) for step in batches) == [
        [10, 20],
        [30, 40],
        [50, 60],
        [70, 80],
    ]
    firsts = {tuple(min(made.lengths[r] for r in step) for step in made.steps(epoch)) for epoch in range(20)}
    assert len(firsts) > 10


def test_the_short_batch_is_not_always_the_longest_rows() -> None:
    made = order()
    assert len({tuple(sorted(made.lengths[row] for row in made.steps(epoch)[-1])) for epoch in range(20)}) > 5


def test_padding_share_by_hand() -> None:
    made = order([10, 20, 30, 40], batch_size=2)
    # Whatever the order: batches {10, 20} and {30, 40}, 2 x 20 + 2 x 40 = 120 positions for 100 tokens.
    assert made.padding_share(0) == pytest.approx(1 - 100 / 120)
    assert order([10, 20, 30, 40], batch_size=2, pass_rows=1).padding_share(0) == 0


def test_grouping_pads_far_less_than_chance_on_skewed_lengths() -> None:
    grouped = [order().padding_share(epoch) for epoch in range(5)]
    by_chance = [order(group_by_length=False).padding_share(epoch) for epoch in range(5)]
    assert max(grouped) < 0.16
    assert min(by_chance) > 0.6


@pytest.mark.parametrize("pass_rows", [1, 3, 5, 8, 50])
@pytest.mark.parametrize("rows", [8, 21, 100])
def test_rows_at_once_do_not_change_which_rows_share_a_step(rows: int, pass_rows: int) -> None:
    whole, cut = order(SKEWED[:rows]), order(SKEWED[:rows], pass_rows=pass_rows)
    assert cut.steps(1) == whole.steps(1)
    cut.epoch = 1
    passes = list(cut)
    assert [row for part in passes for row in part] == [row for step in whole.steps(1) for row in step]
    assert max(len(part) for part in passes) <= pass_rows
    assert len(passes) == len(cut)
    # The trainer counts passes_per_step passes a step, the last step taking what is left: both must agree.
    steps = [passes[i : i + cut.passes_per_step] for i in range(0, len(passes), cut.passes_per_step)]
    assert [[row for part in step for row in part] for step in steps] == whole.steps(1)
