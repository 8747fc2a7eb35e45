from __future__ import annotations

import pytest
import torch

from distill_app.students import cache


@pytest.mark.parametrize("most", [6, 1000])
def test_it_holds_what_transformers_cache_holds(most: int) -> None:
    """Two prompts of three tokens, copied to four rows, which go on by one token each and leave one by one."""
    from transformers import LlamaConfig
    from transformers.cache_utils import DynamicCache

    config = LlamaConfig(num_hidden_layers=2, hidden_size=16, num_attention_heads=2)
    ours, theirs = cache.roomy(config, most), DynamicCache(config=config)
    draws = torch.Generator().manual_seed(1)

    def add(rows: int, tokens: int) -> None:
        for layer in range(2):
            keys, values = torch.randn(2, rows, 2, tokens, 8, generator=draws)
            for mine, other in zip(ours.update(keys, values, layer), theirs.update(keys, values, layer), strict=True):
                assert torch.equal(mine, other)

    add(2, 3)
    for rows in ([0, 0, 1, 0], [0, 1, 3], [1, 2], [1]):
        cache.take(ours, rows, torch.device("cpu"))
        theirs.batch_select_indices(torch.tensor(rows))
        place = ours.layers[0].keys.data_ptr()
        add(len(rows), 1)
        # Nothing is copied for the new token where there is room: the first row stays where it was.
        assert ours.layers[0].keys.data_ptr() == place or most == 6
    assert ours.get_seq_length() == theirs.get_seq_length() == 7


def test_no_more_room_than_the_longest_row_needs() -> None:
    from transformers import LlamaConfig

    made = cache.roomy(LlamaConfig(num_hidden_layers=1, hidden_size=16, num_attention_heads=2), 20)
    states = torch.zeros(3, 2, 15, 8)
    made.update(states, states, 0)
    assert [room.shape[2] for room in made.layers[0].rooms] == [20, 20]
