"""Dynamic selection inside training: the live student's scores decide, and what an epoch trains is written down."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill_app.errors import StageError
from distill_app.selection import choice
from distill_app.selection.capability import Scale
from distill_app.selectors import Candidates
from distill_app.students.load import load_tokenizer
from distill_app.students.scoring import ScoreRequest, start_token
from distill_app.students.template import ChatTemplate
from distill_app.training.reselect import Live, Reselection
from tests.training.tiny_training import SETTINGS, SUMS, train_tiny

PERPLEXITY = {
    "top": 4, "per_problem": None, "unit": "row", "dynamic": True, "candidates": "100%", "every": 1, "metric": "cppl",
    "band": "top",
}  # fmt: skip
RANDOM = {"top": 4, "per_problem": None, "unit": "row", "dynamic": True, "every": 1}


def reselection(
    student: Path,
    out: Path,
    *,
    selector: str = "perplexity",
    options: Mapping[str, Any] = PERPLEXITY,
    scale: Scale | None = None,
    told: list[Mapping[str, Any]] | None = None,
) -> Reselection:
    """Four of the ten sums an epoch; the tenth is the placement test where there is a scale."""
    tokenizer = load_tokenizer(student)
    template = ChatTemplate(tokenizer, "", "{question}")
    requests = [
        ScoreRequest(row.id, template.prompt_ids(row.question), template.target_ids(row.text)[:-1]) for row in SUMS
    ]
    pool = Candidates(
        [row.id for row in SUMS],
        [row.id for row in SUMS],
        {"nll": np.zeros(len(SUMS)), "rank_sum": np.zeros(len(SUMS))},
        capability=0.25 if scale else None,
    )
    return Reselection(
        out / "epochs",
        out / "seconds.json",
        choice.Plan(selector, options, 3, 3),
        Live(
            pool=dataclasses.replace(pool, reference=pool),
            requests=requests,
            first=[row.id for row in SUMS[:4]],
            reads=frozenset({"nll"} if selector == "perplexity" else ()),
            placement=requests[-1:] if scale else [],
            scale=scale,
        ),
        start_id=start_token(tokenizer),
        max_tokens=None,
        pack_tokens=256,
        tell=(told if told is not None else []).append,
    )


def epochs(out: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((out / "epochs").glob("epoch-*.json"))]


def test_each_epoch_trains_what_the_live_student_finds_hardest(student: Path, tmp_path: Path) -> None:
    told: list[Mapping[str, Any]] = []
    scale = Scale("mean_inverse_cppl", 0.0, 0.001)
    losses: list[float] = []
    result = train_tiny(
        student,
        tmp_path,
        SUMS,
        SETTINGS,
        reselect=reselection(student, tmp_path, scale=scale, told=told),
        emit=lambda kind, values: losses.append(values["loss"]) if kind == "loss" else None,
    )
    first, second, third = epochs(tmp_path)
    assert first["ids"] == ["r0", "r1", "r2", "r3"]
    assert (first["scored"], second["scored"], third["scored"]) == (0, 11, 11)
    for chosen in (second, third):
        by_score = sorted(chosen["scores"], key=lambda name: -chosen["scores"][name])
        assert chosen["ids"] == by_score[:4]
        assert len(set(chosen["scores"].values())) == 10
    assert second["scores"] != third["scores"], "the student learned in between"
    shared = len(set(first["ids"]) & set(second["ids"]))
    assert second["overlap"] == pytest.approx(shared / (8 - shared))
    # The student learns, so it becomes more familiar with the placement test's row, which it is never trained on.
    assert 0.0 < second["capability"] < third["capability"]
    assert [figures["epoch"] for figures in told] == [0, 1, 2]
    assert told[2]["seconds"] > 0
    # Four rows in batches of four: one step an epoch, as a static arm of four rows takes.
    assert (result.rows, result.steps) == (4, 3)
    static = train_tiny(student, tmp_path / "static", SUMS[:4], SETTINGS)
    assert static.steps == result.steps
    assert static.losses[0] == pytest.approx(result.losses[0], rel=1e-6)


def test_scores_are_those_of_the_weights_at_the_epoch(student: Path, tmp_path: Path) -> None:
    """What the second epoch was chosen by equals the scores of the student after the first, loaded from disk."""
    import torch

    from distill_app.students.device import Device
    from distill_app.students.load import load

    # A constant rate, so that one epoch of one and the first epoch of two are the same training.
    settings = dataclasses.replace(SETTINGS, schedule="constant", warmup=0.0)
    for epochs_trained, out in ((1, tmp_path / "one"), (2, tmp_path / "two")):
        train_tiny(student, out, SUMS, settings, epochs=epochs_trained, reselect=reselection(student, out))
    adapter = tmp_path / "one" / "adapter"
    model, tokenizer = load(student, Device("cpu", "float32", "a test"), adapter=adapter, merge=False)
    template = ChatTemplate(tokenizer, "", "{question}")
    chosen = epochs(tmp_path / "two")[1]
    for row in SUMS[:3]:
        prompt, target = template.prompt_ids(row.question), template.target_ids(row.text)[:-1]
        with torch.no_grad():
            logits = model(torch.tensor([prompt + target])).logits[0].float().log_softmax(-1)
        nll = -sum(logits[len(prompt) - 1 + i, token].item() for i, token in enumerate(target)) / len(target)
        assert chosen["scores"][row.id] == pytest.approx(math.exp(nll), rel=1e-4)


def test_random_draws_afresh_and_scores_nothing(student: Path, tmp_path: Path) -> None:
    train_tiny(
        student, tmp_path, SUMS, SETTINGS, reselect=reselection(student, tmp_path, selector="random", options=RANDOM)
    )
    chosen = epochs(tmp_path)
    assert [row["scored"] for row in chosen] == [0, 0, 0]
    assert len({tuple(row["ids"]) for row in chosen}) == 3
    assert all(len(set(row["ids"])) == 4 for row in chosen)


def test_an_epoch_chosen_before_is_not_chosen_again(student: Path, tmp_path: Path) -> None:
    """A resumed run asks for the epoch it is in with later weights: the answer stands in the file."""
    reselect = reselection(student, tmp_path)
    assert [SUMS[place].id for place in reselect(0, None)] == ["r0", "r1", "r2", "r3"]
    (tmp_path / "epochs" / "epoch-1.json").write_text(json.dumps({"ids": ["r9", "r8", "r7", "r6"]}))
    again = reselection(student, tmp_path)
    assert again(1, None) == [9, 8, 7, 6]


@pytest.mark.parametrize("text", ['{"ids": ["r9", "r8"', '{"ids": ["r9", "r8", "r7", "r66"]}', '{"ids": ["r9"]}', "[]"])
def test_a_damaged_choice_is_named(student: Path, tmp_path: Path, text: str) -> None:
    reselection(student, tmp_path)(0, None)
    (tmp_path / "epochs" / "epoch-1.json").write_text(text)
    with pytest.raises(StageError, match=r"epochs/epoch-1.json is damaged") as raised:
        reselection(student, tmp_path)(1, None)
    assert f"Remove {tmp_path} and issue" in str(raised.value.hint)


def test_every_second_epoch(student: Path, tmp_path: Path) -> None:
    """Selected before the first and the third epoch: the second trains what the first did, and nothing is scored."""
    reselect = reselection(student, tmp_path, options={**PERPLEXITY, "every": 2})
    train_tiny(student, tmp_path, SUMS, SETTINGS, reselect=reselect)
    first, second, third = epochs(tmp_path)
    assert second["ids"] == first["ids"]
    assert (second["scored"], second["overlap"]) == (0, 1.0)
    assert third["scored"] == 10
