"""How fast our scorer is beside loops as people write them, and beside the machine's own matrix products.

    python -m tests.benchmarks.bench_scoring [--problems 200] [--samples 1] [--pack-tokens 2048] [--threads 1]
        [--dtype auto] [--arms ours,ours_padded,one_row,one_row_float32,batches] [--slices 4] [--profile]

Worked traces of the built-in word problems, scored by the built-in student after their questions and alone. The
rows are cut into slices and the arms take turns on each, so that other work on the machine hits all alike.

    ours             students.scoring.score
    ours_padded      the same by the padded way, which models take that cannot be packed
    one_row          as the published IFD scripts do: model(input_ids, labels=...) a row, after the question and alone
    one_row_float32  the same in float32
    batches          padded batches of --pack-tokens positions, sorted by length, log_softmax of all logits, two passes

Prints CPU seconds, ratios to ours, and the share of the machine's rate: operations that had to be done (linear
layers once for each different prefix of a pack, LM head on different answer positions, attention) a second, beside
the rate of one layer's matrix products at the packs' size, measured between the slices. `--peak` measures instead
what memory our scorer takes at its highest.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from distill_app.students import backbone, builtin, device, packing, quiet
from distill_app.students.load import load
from distill_app.students.scoring import ScoreRequest, score, start_token
from distill_app.students.template import ChatTemplate
from tests.benchmarks.figures import Figure
from tests.benchmarks.worked_pool import worked_pool

ARMS = ("ours", "ours_padded", "one_row", "one_row_float32", "batches")


def traces(template: ChatTemplate, problems: int, samples: int) -> list[ScoreRequest]:
    """Worked solutions in the mix of styles and mistakes of a pool to select from."""
    return [
        ScoreRequest(row.id, template.prompt_ids(row.question), template.target_ids(row.text)[:-1])
        for row in worked_pool(problems, samples)
    ]


def ours(model: Any, rows: Sequence[ScoreRequest], start: int, pack_tokens: int) -> list[float]:
    scores = {
        one.id: one
        for pack in score(model, rows, start_id=start, alone=True, max_tokens=None, pack_tokens=pack_tokens)
        for one in pack
    }
    return [number for row in rows for number in (scores[row.id].nll, scores[row.id].nll_alone or 0.0)]


def ours_padded(model: Any, rows: Sequence[ScoreRequest], start: int, pack_tokens: int) -> list[float]:
    can, backbone.can_pack = backbone.can_pack, lambda *_: False
    try:
        return ours(model, rows, start, pack_tokens)
    finally:
        backbone.can_pack = can


def one_row(model: Any, rows: Sequence[ScoreRequest], start: int, _pack_tokens: int) -> list[float]:
    import torch

    found = []
    for row in rows:
        for prompt in (list(row.prompt_ids), [start]):
            ids = torch.tensor([prompt + list(row.target_ids)])
            labels = ids.clone()
            labels[0, : len(prompt)] = -100
            with torch.no_grad():
                found.append(float(model(input_ids=ids, labels=labels).loss))
    return found


def batches(model: Any, rows: Sequence[ScoreRequest], start: int, pack_tokens: int) -> list[float]:
    import torch

    found = [0.0] * (2 * len(rows))
    for alone in (0, 1):
        lines = [(n, [start] if alone else list(r.prompt_ids), list(r.target_ids)) for n, r in enumerate(rows)]
        lines.sort(key=lambda line: -len(line[1]) - len(line[2]))
        while lines:
            longest = len(lines[0][1]) + len(lines[0][2])
            count = max(1, pack_tokens // longest)
            take, lines = lines[:count], lines[count:]
            ids = torch.zeros(len(take), longest, dtype=torch.long)
            mask, scored = torch.zeros_like(ids), torch.zeros(len(take), longest, dtype=torch.bool)
            for line, (_, prompt, target) in enumerate(take):
                length = len(prompt) + len(target)
                ids[line, :length], mask[line, :length] = torch.tensor(prompt + target), 1
                scored[line, len(prompt) : length] = True
            with torch.inference_mode():
                logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1].float()
                nll = -logits.log_softmax(-1).gather(2, ids[:, 1:, None])[..., 0] * scored[:, 1:]
            for (number, _, target), total in zip(take, nll.sum(1).tolist(), strict=True):
                found[2 * number + alone] = total / len(target)
    return found


def operations(model: Any, rows: Sequence[ScoreRequest], start: int, pack_tokens: int) -> tuple[float, int, int]:
    """Floating point operations that the packs of `rows` need, their different tokens, and their head positions."""
    import numpy as np

    config = model.config
    weights = sum(p.numel() for p in model.model.layers.parameters() if p.dim() == 2)
    width = config.num_attention_heads * config.head_dim
    total, nodes, heads = 0.0, 0, 0
    for pack in packing.packs(packing.rows(rows, None, None), pack_tokens, True):
        targets = [row.target for row in pack] * 2
        given = [row.after(row.prompt) for row in pack] + [row.after(np.array([start])) for row in pack]
        tree = packing.merge(given)
        scored = {
            pair
            for path, target in zip(tree.paths, targets, strict=True)
            for pair in zip(path[-len(target) :].tolist(), target.tolist(), strict=True)
        }
        nodes, heads = nodes + len(tree.tokens), heads + len(scored)
        # A node's query meets itself and the nodes before it, in the scores and in the values.
        total += 4.0 * width * config.num_hidden_layers * float((tree.depths + 1).sum())
    total += 2.0 * weights * nodes + 2.0 * config.hidden_size * config.vocab_size * heads
    return total, nodes, heads


def layer_rate(model: Any, positions: int) -> float:
    """Operations a CPU second of one layer's matrix products on `positions` positions: the best of three rounds."""
    import torch

    layer = model.model.layers[0]
    products = [m for m in layer.modules() if isinstance(m, torch.nn.Linear)]
    inputs = [torch.randn(1, positions, m.in_features).to(m.weight.dtype) for m in products]
    best = 0.0
    with torch.inference_mode():
        for _ in range(4):
            start = time.process_time()
            for _ in range(4):
                for product, given in zip(products, inputs, strict=True):
                    product(given)
            seconds = time.process_time() - start
            best = max(best, 4 * sum(2 * positions * m.in_features * m.out_features for m in products) / seconds)
    return best


class Compared(NamedTuple):
    """CPU seconds of each arm and the means it found, in nats; `ideal` are the seconds at the rate of the products."""

    seconds: dict[str, float]
    found: dict[str, list[float]]
    ideal: float

    def off(self, arm: str) -> float:
        """The largest difference of a mean from what float32 gives."""
        truth = self.found["one_row_float32"]
        return max(abs(a - b) for a, b in zip(self.found[arm], truth, strict=True))


class Given(NamedTuple):
    """The student, and the rows to score."""

    folder: Path
    model: Any
    start: int
    rows: list[ScoreRequest]


def given(problems: int, samples: int, threads: int, dtype: str) -> Given:
    """Load the student and make the rows."""
    quiet.libraries()
    device.set_threads(threads)
    where = device.pick("cpu", dtype)
    folder = builtin.materialise("smollm2-135m-instruct", print)
    model, tokenizer = load(folder, where)
    rows = traces(ChatTemplate(tokenizer, "", "{question}"), problems, samples)
    both = sum(len(row.prompt_ids) + 2 * len(row.target_ids) + 1 for row in rows)
    lengths = sorted(len(row.prompt_ids) + len(row.target_ids) for row in rows)
    print(f"{where.dtype}: {where.why}; {threads} threads")
    print(f"{len(rows)} rows of {lengths[0]}-{lengths[-1]} tokens, {both} in both conditionings")
    return Given(folder, model, start_token(tokenizer), rows)


def compare(what: Given, arms: Sequence[str], step: int, pack_tokens: int) -> Compared:
    """Each arm on all rows, `step` rows at a time in turn."""
    folder, model, start, rows = what
    ours(model, rows[:8], start, pack_tokens)
    single = load(folder, device.Device("cpu", "float32", ""))[0] if "one_row_float32" in arms else None
    seconds = dict.fromkeys(arms, 0.0)
    found: dict[str, list[float]] = {arm: [] for arm in arms}
    needed, nodes, heads, ideal = 0.0, 0, 0, 0.0
    for first in range(0, len(rows), step):
        part = rows[first : first + step]
        work, distinct, scored = operations(model, part, start, pack_tokens)
        rate = layer_rate(model, pack_tokens)
        needed, nodes, heads, ideal = needed + work, nodes + distinct, heads + scored, ideal + work / rate
        for arm in arms:
            run = {"ours": ours, "ours_padded": ours_padded, "batches": batches}.get(arm, one_row)
            begun = time.process_time()
            found[arm] += run(single if arm == "one_row_float32" else model, part, start, pack_tokens)
            seconds[arm] += time.process_time() - begun
        print(f"  rows {first}-{first + len(part) - 1}: matrix products {rate / 1e9:.0f} GFLOPS", flush=True)
    print(f"{nodes} different tokens to compute, {heads} answer positions for the head, {needed / 1e9:.0f} GFLOP")
    return Compared(seconds, found, ideal)


def measure() -> list[Figure]:
    """Scoring's figures: one answer a question, four, and the memory of a long one."""
    what = given(8, 1, 1, "auto")
    length = 4000
    long = [ScoreRequest("long", what.rows[0].prompt_ids, [1000 + n * 7 % 40_000 for n in range(length)])]
    logits = length * what.model.config.vocab_size * 4 / 2**20
    peak, _ = peak_of(what.model, long, what.start, 2048)
    figures = [
        Figure("memory to score 4,000 tokens", "their logits in float32", peak / logits, "x", "-",
               f"{peak:.0f} MiB above the loaded model; the logits would be {logits:.0f}")
    ]  # fmt: skip
    for problems, samples in ((160, 1), (40, 4)):
        what = given(problems, samples, 1, "auto")
        seconds, _, ideal = done = compare(what, ("ours", "one_row", "one_row_float32"), 40, 2048)
        conditions = (
            f"{problems} questions, {samples} answers each, 1 thread; off by {done.off('ours'):.3f} nats at most"
        )
        for arm, name in (("one_row_float32", "batch 1, two passes, float32"), ("one_row", "the same in bfloat16")):
            figures.append(Figure("student scoring", name, seconds[arm] / seconds["ours"], "x", "5", conditions))
        figures.append(
            Figure("student scoring", "the rate of one layer's products", 100 * ideal / seconds["ours"], "%", "70",
                   conditions)
        )  # fmt: skip
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("problems", 200), ("samples", 1), ("pack-tokens", 2048), ("threads", 1), ("slices", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--profile", action="store_true", help="where ours spends its time, on the first slice")
    parser.add_argument("--peak", action="store_true", help="memory that ours takes above the loaded model")
    asked = parser.parse_args()
    what = given(asked.problems, asked.samples, asked.threads, asked.dtype)
    _, model, start, rows = what
    step = -(-asked.problems // asked.slices) * asked.samples
    if asked.peak:
        peak, before = peak_of(model, rows, start, asked.pack_tokens)
        print(f"{peak:.0f} MiB above the {before:.0f} MiB before")
        return
    if asked.profile:
        ours(model, rows[:8], start, asked.pack_tokens)
        _print_profile(lambda: ours(model, rows[:step], start, asked.pack_tokens))
        return
    arms = asked.arms.split(",")
    seconds, _, ideal = done = compare(what, arms, step, asked.pack_tokens)
    titles = f"{'CPU s':>7} {'rows/CPU s':>11} {'beside ours':>12} {'of the rate':>12} {'from float32':>13}"
    print(f"\n{'arm':16} {titles}")
    for arm in arms:
        share = f"{ideal / seconds[arm]:.1%}" if arm != "one_row_float32" else ""
        ratio = f"{seconds[arm] / seconds['ours']:.2f}" if "ours" in arms else ""
        off = f"{done.off(arm):.1e}" if "one_row_float32" in arms else ""
        print(f"{arm:16} {seconds[arm]:7.1f} {len(rows) / seconds[arm]:11.1f} {ratio:>12} {share:>12} {off:>13}")
    print("beside ours: times ours' CPU seconds; from float32: the largest difference of a mean, in nats")


def _print_profile(run: Callable[[], object]) -> None:
    from torch.profiler import profile

    with profile() as found:
        run()
    print(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=40))


def peak_of(model: Any, rows: Sequence[ScoreRequest], start: int, pack_tokens: int) -> tuple[float, float]:
    """MiB that scoring takes above what is there before, and that; from the kernel's high-water mark (Linux)."""

    def resident(name: str) -> float:
        line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(name))
        return int(line.split()[1]) / 1024

    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    ours(model, rows, start, pack_tokens)
    return resident("VmHWM") - before, before


if __name__ == "__main__":
    main()
