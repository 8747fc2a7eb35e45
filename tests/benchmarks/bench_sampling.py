"""How fast our sampler is beside transformers' `generate`, both in this run, on the built-in student.

    python tests/benchmarks/bench_sampling.py [--problems 24] [--samples 8] [--max-tokens 64] [--rows 96]

Prints tokens a CPU second of each and their ratio: the ratio is the number to compare between machines.
"""

from __future__ import annotations

import argparse
import time

from distill_app.students import builtin, device, quiet
from distill_app.students.load import load
from distill_app.students.sampling import SamplingRequest, sample
from distill_app.students.template import ChatTemplate


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("problems", 24), ("samples", 8), ("max-tokens", 64), ("rows", 96), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--skip-generate", action="store_true")
    asked = parser.parse_args()
    quiet.libraries()
    import torch

    device.set_threads(asked.threads)
    where = device.pick("cpu", asked.dtype)
    model, tokenizer = load(builtin.materialise("smollm2-135m-instruct", print), where)
    template = ChatTemplate(tokenizer, "", "{question}")
    questions = [
        f"Mara has {3 + i} bags with {2 + i % 7} apples each and gives {1 + i % 5} apples to Tom"
        f"{' and his sister' * (i % 4)}. How many apples are left?"
        for i in range(asked.problems)
    ]
    prompts = [template.prompt_ids(question) for question in questions]
    requests = [
        SamplingRequest(f"{i}/{k}", prompt, i * 1000 + k)
        for i, prompt in enumerate(prompts)
        for k in range(asked.samples)
    ]

    start = time.process_time()
    answers = [
        answer
        for batch in sample(
            model, tokenizer, requests,
            temperature=0.6, top_p=asked.top_p, max_tokens=asked.max_tokens, stop_ids=template.stop_ids,
            rows=asked.rows,
        )
        for answer in batch
    ]  # fmt: skip
    seconds = time.process_time() - start
    tokens = sum(answer.tokens or 0 for answer in answers)
    print(f"{where.dtype}, {where.why}; {len(answers)} answers, {tokens / len(answers):.1f} tokens each")
    ours = tokens / seconds
    print(f"distill_app sampling  {ours:7.0f} tokens a CPU second ({seconds:.1f} s)")
    if asked.skip_generate:
        return

    per_call = max(1, asked.rows // asked.samples)
    start, tokens = time.process_time(), 0
    for first in range(0, len(prompts), per_call):
        texts = [template.prompt_text(question) for question in questions[first : first + per_call]]
        batch = tokenizer(texts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False)
        with torch.inference_mode():
            out = model.generate(
                **batch, do_sample=True, temperature=0.6, top_p=asked.top_p, top_k=0, max_new_tokens=asked.max_tokens,
                num_return_sequences=asked.samples, eos_token_id=list(template.stop_ids), pad_token_id=template.pad_id,
            )  # fmt: skip
        new = out[:, batch["input_ids"].shape[1] :]
        stops = torch.isin(new, torch.tensor(template.stop_ids))
        tokens += int((stops.cumsum(-1) == 0).sum())
    seconds = time.process_time() - start
    theirs = tokens / seconds
    print(f"transformers generate {theirs:7.0f} tokens a CPU second ({seconds:.1f} s)")
    print(f"ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
