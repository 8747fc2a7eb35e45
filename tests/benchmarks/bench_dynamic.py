"""What dynamic selection adds to a training, all in this run, on the built-in student, on a CPU.

    python -m tests.benchmarks.bench_dynamic [--quality verifier|fine] [--pool 400] [--top 12.5] [--candidates 20]
                                             [--epochs 3] [--threads 1]

One training of DMC (inferred form) over worked traces, selecting again before the second and every later epoch from
the best `--candidates` percent by quality, the placement test scored too. Prints, in CPU seconds, what scoring and
choosing took beside the rest of the training (loading the student is in neither), and how much of what full
re-scoring would have kept the restricted one keeps, with the same weights: the two are chosen side by side.

That depends on the quality. The verifier's gives many rows the same, 38 % of these the best there is, so that the best
20 % are half of those and not for good. `fine` draws one for each row: it tells rows apart as a reward model does,
though nothing about them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from distill_app.evaluation import grading
from distill_app.quality import verifier
from distill_app.recipe.model import Lora, Training
from distill_app.records import Trace
from distill_app.selection import choice, placement
from distill_app.selection.capability import Scale
from distill_app.selectors import Candidates
from distill_app.students import builtin, device, quiet
from distill_app.students.load import load, load_tokenizer
from distill_app.students.scoring import Score, ScoreRequest, score, start_token
from distill_app.students.template import ChatTemplate
from distill_app.training.checkpoints import Every
from distill_app.training.reselect import Live, Reselection
from distill_app.training.rows import TrainingRow, encode
from distill_app.training.trainer import train
from tests.benchmarks.figures import Figure
from tests.benchmarks.worked_pool import worked_pool

SETTINGS = Training(
    lora=Lora(rank=16, alpha=32.0, dropout=0.0, target_modules="all-linear"),
    learning_rate=5e-4,
    batch_size=8,
    schedule="cosine",
    warmup=0.1,
    weight_decay=0.0,
    max_grad_norm=1.0,
    max_length=2048,
    group_by_length=True,
    skills=None,
)
"""The quickstart's."""
PACK_TOKENS = 2048


def qualities(traces: list[Trace], quality: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The verifier's, or `fine` ones."""
    if quality == "fine":
        return np.random.default_rng(0).normal(size=len(traces))
    verdicts = grading.grade([(row.id, row.text, row.answer) for row in traces], workers=1, limit_seconds=10.0)
    weights = verifier.Weights(answer=0.4, steps=0.3, coherence=0.2, format=0.1)
    scores = verifier.score(list(zip(traces, verdicts, strict=True)), verifier.Options(weights=weights))
    return np.array([row.quality for row in scores])


class Watched(Reselection):
    """Reselection that counts its CPU seconds, and asks what the whole pool would have given."""

    def __init__(self, *arguments: Any, whole: Live, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.whole = whole
        self.cpu = 0.0
        self.full_cpu = 0.0
        self.kept: list[float] = []

    def _choose(self, epoch: int, model: Any) -> dict[str, Any]:
        began = time.process_time()
        found = super()._choose(epoch, model)
        middle = time.process_time()
        self.cpu += middle - began
        part, self.live = self.live, self.whole
        full = super()._choose(epoch, model)
        self.live = part
        self.full_cpu += time.process_time() - middle
        self.kept.append(len(set(found["ids"]) & set(full["ids"])) / len(full["ids"]))
        return found


class Outcome(NamedTuple):
    """CPU seconds of the training without choosing, of choosing again, and of doing so from all rows; for each time the
    share of what all would have given, and the overlap with the epoch before."""

    trained: float
    again: float
    full: float
    kept: list[float]
    overlaps: list[float]
    rows: int
    candidates: int
    stay: int


def compare(quality_by: str, pool: int, top: float, candidates: float, epochs: int, threads: int) -> Outcome:
    """Train once, choosing again by both ways before each epoch but the first."""
    quiet.libraries()
    device.set_threads(threads)
    where = device.pick("cpu", "auto")
    folder = builtin.materialise("smollm2-135m-instruct", print)
    tokenizer = load_tokenizer(folder)
    template = ChatTemplate(tokenizer, "", "{question}")
    traces = worked_pool(pool, 1)
    quality = qualities(traces, quality_by)
    requests = {
        row.id: ScoreRequest(row.id, template.prompt_ids(row.question), template.target_ids(row.text)[:-1])
        for row in traces
    }
    test = set(placement.draw([row.id for row in traces], quality.tolist(), rows=None, from_top="10%", seed=0))
    stay = [place for place, row in enumerate(traces) if row.id not in test]
    began = time.process_time()
    model, _ = load(folder, where)
    before: dict[str, Score] = {}
    for batch in score(
        model, list(requests.values()), start_id=start_token(tokenizer), alone=True, max_tokens=None,
        pack_tokens=PACK_TOKENS,
    ):  # fmt: skip
        before |= {row.id: row for row in batch}
    del model
    print(f"{where.dtype}: {where.why}; {threads} threads; {len(traces)} traces, {len(test)} held out")
    print(f"scoring the whole pool once, before training: {time.process_time() - began:.1f} CPU s")

    ids = [traces[place].id for place in stay]
    whole = Candidates(
        ids,
        [traces[place].problem_id for place in stay],
        {"quality": quality[stay], "nll": np.array([before[name].nll for name in ids])},
        capability=0.0,
    )
    scale = Scale("mean_inverse_cppl", 0.2, 0.8)
    whole = dataclasses.replace(whole, capability=scale.capability([before[name].nll for name in sorted(test)]))
    options = {
        "top": f"{top:g}%", "per_problem": None, "unit": "row", "dynamic": True,
        "candidates": f"{candidates:g}%", "every": 1, "preset": "inferred-normalized", "quality": None,
        "quality_clip": 0.01, "difficulty": None, "difficulty_scale": None, "clip": None, "f_low": None,
        "f_high": None, "g": None, "constants": {},
    }  # fmt: skip
    plan = choice.Plan("dmc", options, 0, epochs)
    first = choice.first(plan, whole)
    chosen = [row.id for row in sorted((row for row in first.decisions if row.kept), key=lambda row: row.rank or 0)]
    places = {name: place for place, name in enumerate(ids)}
    placed = [requests[name] for name in sorted(test)]

    def live(names: list[str]) -> Live:
        part = choice.part(whole, [places[name] for name in names])
        return Live(
            pool=part, requests=[requests[name] for name in names], first=chosen, reads=frozenset(first.reads),
            placement=placed, scale=scale,
        )  # fmt: skip

    by_id = {row.id: row for row in traces}
    encoded = encode([TrainingRow(name, by_id[name].question, by_id[name].text) for name in first.live], template, 2048)
    with tempfile.TemporaryDirectory() as out:
        reselect = Watched(
            Path(out) / "epochs", Path(out) / "clock.json", plan, live(first.live), whole=live(ids),
            start_id=start_token(tokenizer), max_tokens=None, pack_tokens=PACK_TOKENS, tell=lambda _figures: None,
        )  # fmt: skip
        steps: list[float] = []
        train(
            encoded, folder, Path(out) / "adapter", Path(out) / "checkpoints", SETTINGS, epochs=epochs, seed=0,
            device=where, train_rows=4, checkpoints_every=Every(10**6), base_name="student", reselect=reselect,
            emit=lambda kind, _values: steps.append(time.process_time()) if kind == "progress" else None,
        )  # fmt: skip
        trained = steps[-1] - steps[0] - reselect.cpu - reselect.full_cpu
        overlaps = [
            json.loads((Path(out) / "epochs" / f"epoch-{epoch}.json").read_text())["overlap"]
            for epoch in range(1, epochs)
        ]
    return Outcome(
        trained, reselect.cpu, reselect.full_cpu, reselect.kept, overlaps, len(chosen), len(first.live), len(ids)
    )


def measure() -> list[Figure]:
    """How much of what full re-scoring picks the candidates keep, and at what cost."""
    figures = []
    for quality, goal in (("fine", "99"), ("verifier", "-")):
        done = compare(quality, 400, 12.5, 20.0, 4, 1)
        shares = ", ".join(f"{share:.1%}" for share in done.kept)
        conditions = (
            f"dmc (inferred form), {done.rows} of {done.stay} rows, {done.candidates} candidates, {quality} quality"
        )
        kept = 100 * sum(done.kept) / len(done.kept)
        figures += [
            Figure("rows picked from candidates 20%", "full re-scoring", kept, "%", goal, f"{conditions}: {shares}"),
            Figure("choosing again, candidates 20%", "full re-scoring", done.again / done.full, "x", "-", conditions),
        ]
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quality", choices=("verifier", "fine"), default="verifier")
    parser.add_argument("--pool", type=int, default=400)
    parser.add_argument("--top", type=float, default=12.5)
    parser.add_argument("--candidates", type=float, default=20)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    done = compare(asked.quality, asked.pool, asked.top, asked.candidates, asked.epochs, asked.threads)
    times = asked.epochs - 1
    print(f"training {done.rows} rows x {asked.epochs} epochs: {done.trained:.1f} CPU s")
    for name, count, cpu in (("candidates", done.candidates, done.again), ("all", done.stay, done.full)):
        share = cpu / done.trained
        print(f"choosing again {times} times from {count} rows ({name}): {cpu:.1f} CPU s, {share:.1%} of the training")
    print(f"of what all would have given: {', '.join(f'{share:.1%}' for share in done.kept)}")
    print(f"overlap with the epoch before: {', '.join(f'{share:.2f}' for share in done.overlaps)}")


if __name__ == "__main__":
    main()
