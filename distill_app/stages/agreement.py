"""Checks after training that the trained student is the same model however it is put together.

Greedy answers to the first prompts of the benchmarks: by transformers with the adapter, by merged weights, and by vLLM
in the way evaluation uses it. Where they part, and by how much, is told in `evaluation.agreement`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain, islice, zip_longest
from typing import Any

from distill_app.evaluation import agreement
from distill_app.evaluation.agreement import NEAR_TIE_NATS, Pair
from distill_app.records import Problem
from distill_app.stages import Context, Summary, problems
from distill_app.stages.evaluate import merged, opened
from distill_app.store import rows
from distill_app.store.files import write_json

VERSION = 1
MODEL = True
FILE = "agreement.json"


def run(stage: Context) -> Summary:
    """Write agreement.json: how far each two ways agree, and where the answers part. Below `least` the facts warn."""
    options = stage.options
    folder, device, template = opened(stage)
    adapter = stage.input("adapter") / "adapter"
    asked = _first(
        [rows.read(given / problems.FILE, Problem) for given in stage.inputs["problems"]], options["prompts"]
    )
    pairs = agreement.measure(
        folder,
        adapter,
        template,
        [problem.question for problem in asked],
        tokens=options["tokens"],
        device=device,
        runtime=stage.runtime,
        say=stage.log,
        vllm=merged(stage, folder, adapter, device) if options["adapter"] == "merged" else folder,
    )
    found = [{**asdict(pair), "said": _said(pair)} for pair in pairs]
    write_json(stage.folder / FILE, {"problems": [problem.id for problem in asked], "pairs": found})
    warnings = _warnings(pairs, options["least"])
    for sentence in [*(pair["said"] for pair in found), *warnings]:
        stage.log(sentence)
    facts: dict[str, Any] = {
        "dtype": device.dtype,
        "tokens": options["tokens"],
        "least": options["least"],
        "pairs": [{key: value for key, value in pair.items() if key != "partings"} for pair in found],
        "warnings": warnings,
    }
    return Summary(len(asked), facts=facts)


def _first(sets: Sequence[Sequence[Problem]], count: int) -> list[Problem]:
    """The first problems of every benchmark, taken in turns."""
    in_turns = chain.from_iterable(zip_longest(*sets))
    return list(islice((problem for problem in in_turns if problem is not None), count))


def _said(pair: Pair) -> str:
    one, other = pair.ways
    part = len(pair.partings)
    where = "" if not part else f"; of {part} that part, {pair.near_ties} do so within {NEAR_TIE_NATS:g} nats of a tie"
    return (
        f"{one} and {other}: {pair.identical:.0%} of {pair.prompts} greedy answers are the same, "
        f"{pair.in_common:.0%} of their tokens stand before a difference{where}."
    )


def _warnings(pairs: Sequence[Pair], least: float) -> list[str]:
    """Pairs that agree less than they should, and pairs that part where neither way was in doubt."""
    found = []
    for pair in pairs:
        one, other = pair.ways
        far = len(pair.partings) - pair.near_ties
        if pair.in_common < least:
            found.append(
                f"The trained student answers differently by {one} and {other}: only {pair.in_common:.0%} of the "
                f"tokens stand before a difference (evaluation.agreement.least is {least:.0%}). See agreement.json."
            )
        elif far:
            found.append(
                f"The trained student answers differently by {one} and {other}: {far} of {pair.prompts} answers part "
                f"where the two tokens are more than {NEAR_TIE_NATS:g} nats apart. See agreement.json."
            )
    return found
