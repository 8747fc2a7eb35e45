"""vLLM's part of bench_sampling, run by an interpreter that has vLLM, with our own backend's settings for a CPU.

    VENV/bin/python arm_vllm.py ASKED.json

Prints `FIGURES [tokens, CPU seconds, seconds]`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from vllm import LLM, SamplingParams


def draw(engine: LLM, asked: dict[str, Any], prompts: list[list[int]], longest: int) -> int:
    """The tokens of `samples` answers to each prompt, end tokens not counted."""
    how = [
        SamplingParams(
            n=asked["samples"], seed=seed, temperature=asked["temperature"], max_tokens=longest,
            stop_token_ids=asked["stop_ids"], detokenize=False,
        )
        for seed in range(len(prompts))
    ]  # fmt: skip
    out = engine.generate([{"prompt_token_ids": prompt} for prompt in prompts], how, use_tqdm=False)
    stops = set(asked["stop_ids"])
    return sum(token not in stops for row in out for part in row.outputs for token in part.token_ids)


def main(path: str) -> None:
    """Measure and print."""
    asked = json.loads(Path(path).read_text(encoding="utf-8"))
    engine = LLM(
        model=asked["folder"], dtype=asked["dtype"], max_model_len=512, max_num_seqs=asked["rows"], enforce_eager=True,
        enable_chunked_prefill=False, generation_config="vllm", seed=0,
    )  # fmt: skip
    draw(engine, asked, asked["prompts"][:2], 4)
    cpu, wall = time.process_time(), time.monotonic()
    tokens = draw(engine, asked, asked["prompts"], asked["max_tokens"])
    print("FIGURES", json.dumps([tokens, time.process_time() - cpu, time.monotonic() - wall]))


if __name__ == "__main__":
    main(sys.argv[1])
