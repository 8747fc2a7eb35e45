"""A student small enough to run in a test: random weights, the real tokenizer and chat template."""

from __future__ import annotations

import shutil
from pathlib import Path

from distill_app.students import quiet

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def tiny_student(folder: Path, source: Path, *, seed: int = 0, hidden: int = 64, layers: int = 2) -> Path:
    """Save a random two-layer Llama (3.2 M parameters, 49152 tokens, context 1024) to `folder`; return it.

    The tokenizer and chat template are those in `source`, the folder of the built-in student.
    """
    quiet.libraries()
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        LlamaForCausalLM(config).save_pretrained(folder)
    for name in TOKENIZER_FILES:
        shutil.copyfile(source / name, folder / name)
    return folder
