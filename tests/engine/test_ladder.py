"""The memory ladder: its rungs worked out by hand, what counts as running out, and how it is told."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from distill_app.engine import ladder, ladder_kept, local
from distill_app.engine.execute import Job
from distill_app.engine.ladder import Shortage, Use
from distill_app.errors import MemoryStageError, StageError
from distill_app.store import runs
from distill_app.store.artifacts import Store
from distill_app.students import vllm_faults
from tests.recipes import ROOT
from tests.reports.result_example import example

WHY = Shortage("Memory ran out (a test).")
RUNTIME: dict[str, Any] = {
    "sample_rows": 10,
    "score_tokens": 200,
    "train_rows": None,
    "gradient_checkpointing": None,
    "vllm": {"max_num_seqs": None, "gpu_memory": 0.9},
}


def climbed(use: Use, what: Shortage = WHY, **given: Any) -> list[dict[str, tuple[Any, Any]]]:
    """All rungs from the top down: what each changes, by key."""
    runtime, found = {**RUNTIME, **given}, []
    while step := ladder.down(use, runtime, len(found) + 1, what):
        assert step.step == len(found) + 1
        changes = step.as_json()["changes"]
        found.append(
            {change["key"].removeprefix("runtime."): (change["before"], change["after"]) for change in changes}
        )
        runtime = ladder.applied(runtime, changes)
    return found


def test_training_goes_down_to_one_row_and_then_recomputes() -> None:
    """A batch of 12: 6, 3 and 1 rows at once are 2, 4 and 12 passes."""
    assert climbed(Use(("train_rows",), None, 12)) == [
        {"train_rows": (None, 6), "gradient accumulation": (1, 2)},
        {"train_rows": (6, 3), "gradient accumulation": (2, 4)},
        {"train_rows": (3, 1), "gradient accumulation": (4, 12)},
        {"gradient_checkpointing": (None, True)},
    ]
    one = climbed(Use(("train_rows",), None, 12), train_rows=1)
    assert one == [{"gradient_checkpointing": (None, True)}]
    assert climbed(Use(("train_rows",), None, 12), Shortage("the GPU's", gpu=True), train_rows=1) == []
    assert climbed(Use(("train_rows",), None, 12), train_rows=1, gradient_checkpointing=True) == []


def test_a_rung_that_would_change_nothing_is_left_out() -> None:
    """Three rows are all there are: half a batch of twelve would hold them all again."""
    assert climbed(Use(("train_rows",), 3, 12))[0]["train_rows"] == (None, 1)
    assert climbed(Use(("sample_rows",), 4, None)) == [{"sample_rows": (10, 2)}, {"sample_rows": (2, 1)}]


def test_scoring_sampling_vllm_and_both_at_once() -> None:
    assert climbed(Use(("score_tokens",), None, None)) == [{"score_tokens": (200, 100)}, {"score_tokens": (100, 64)}]
    assert [rung["sample_rows"][1] for rung in climbed(Use(("sample_rows",), None, None))] == [5, 2, 1]
    assert [rung["vllm.max_num_seqs"][1] for rung in climbed(Use(("vllm.max_num_seqs",), None, None))] == [
        128, 64, 32, 16, 8, 4, 2, 1,
    ]  # fmt: skip
    dynamic = climbed(Use(("train_rows", "score_tokens"), None, 2))
    assert dynamic == [
        {"train_rows": (None, 1), "gradient accumulation": (1, 2), "score_tokens": (200, 100)},
        {"gradient_checkpointing": (None, True), "score_tokens": (100, 64)},
    ]
    assert climbed(Use((), None, None)) == []


@pytest.mark.parametrize(
    ("kind", "options", "keys"),
    [
        ("train", {"training": {"batch_size": 8}}, ("train_rows",)),
        ("difficulty", {"max_tokens": None}, ("score_tokens",)),
        ("quality", {"scorer": "reward_model"}, ("score_tokens",)),
        ("quality", {"scorer": "judge", "teacher": {"backend": "transformers"}}, ("sample_rows",)),
        ("generate", {"teacher": {"name": "t", "backend": "vllm"}}, ("vllm.max_num_seqs",)),
        ("generate", {"teacher": {"name": "t", "backend": "openai"}}, ()),
        ("evaluate", {"backend": "transformers"}, ("sample_rows",)),
        ("pool_answers", {"backend": "vllm"}, ("vllm.max_num_seqs",)),
        ("agreement", {"adapter": "lora"}, ("sample_rows", "vllm.max_num_seqs")),
    ],
)
def test_what_a_stage_can_do_with_less_of(kind: str, options: dict[str, Any], keys: tuple[str, ...]) -> None:
    assert ladder.use_of(kind, options, 5, dynamic=False).keys == keys


def test_what_running_out_looks_like() -> None:
    """The words are those that torch and the kernel use."""
    import torch

    with pytest.raises(RuntimeError) as real:
        torch.empty(2**60, dtype=torch.uint8)
    found = ladder.shortage(real.value)
    assert found is not None
    assert "can't allocate memory" in found.why
    assert not found.gpu
    gpu = ladder.shortage(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert gpu == Shortage(
        "The GPU's memory ran out (OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB).", gpu=True
    )
    assert ladder.shortage(MemoryError()) == Shortage("Memory ran out (MemoryError).")
    assert ladder.shortage(OSError(errno.ENOMEM, "Cannot allocate memory")) is not None
    wrapped = StageError("The adapter does not fit the model")
    wrapped.__cause__ = real.value
    assert ladder.shortage(wrapped) == found
    in_vllm = vllm_faults.explain("OutOfMemoryError", "CUDA out of memory. Tried ...", {"cpu": False, "context": 9})
    assert isinstance(in_vllm, MemoryStageError)
    assert ladder.shortage(in_vllm) == Shortage(in_vllm.message)
    assert ladder.shortage(vllm_faults.explain("", "exit -9", {"cpu": True})) is not None
    for other in (
        StageError("a CUDA out of memory error is only quoted here"),
        OSError(errno.ENOSPC, "No space left on device"),
        ValueError("can't allocate memory"),
        RuntimeError("size mismatch"),
        vllm_faults.explain("ValueError", "No available memory for the cache blocks", {"cpu": True, "context": 9}),
    ):
        assert ladder.shortage(other) is None


def test_the_kernels_kills_are_told_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "kernel_kills", lambda: 4)
    assert ladder.killed(3).why == "The kernel killed its process because memory ran out."
    assert ladder.killed(4).why == "Its process was killed from outside, most likely because memory ran out."


def test_the_end_of_the_ladder_says_what_else_to_do() -> None:
    runtime = {**RUNTIME, "train_rows": 1, "gradient_checkpointing": True}
    error = ladder.exhausted("train", Use(("train_rows",), None, 8), runtime, WHY)
    assert str(error).startswith(
        "train: Memory ran out (a test). That was with runtime.train_rows 1, gradient checkpointing. "
        "Finished work is kept. Lower training.max_length"
    )
    asked = ladder.exhausted("generate", Use((), None, None), RUNTIME, WHY)
    assert asked.message == "generate: Memory ran out (a test)."


def job(root: Path, **runtime: Any) -> Job:
    return Job(
        name="train", kind="train", version=1, fingerprint="f" * 8, options={}, inputs={}, local={},
        runtime={**RUNTIME, **runtime}, root=str(root), model=True,
    )  # fmt: skip


def test_another_attempt_begins_where_the_last_one_stood(tmp_path: Path) -> None:
    told: list[tuple[str, Any]] = []
    given = job(tmp_path)
    step = ladder.down(Use(("train_rows",), None, 8), RUNTIME, 1, WHY)
    assert step is not None
    lower = ladder_kept.lowered(given, step)
    ladder_kept.keep(given, lower)
    assert not list(tmp_path.rglob("*")), "nothing is begun in the store for it"
    work = Store(tmp_path).partial("train", given.fingerprint) / "work"
    work.mkdir()
    ladder_kept.keep(given, lower)
    again = ladder_kept.taken_up(given, lambda kind, values: told.append((kind, values)))
    assert again.runtime["train_rows"] == 4
    assert again.memory == (step.as_json(),)
    assert [kind for kind, _ in told] == ["log"]
    assert "train_rows 4 instead of 8, the batch still of 8 by accumulation" in told[0][1]["message"]
    other = job(tmp_path, train_rows=6)
    assert ladder_kept.taken_up(other, lambda *_: None) == other, "who changes the recipe's value is heard"
    (work / "memory.json").write_text('{"runtime"')
    assert ladder_kept.taken_up(given, lambda kind, values: told.append((kind, values))) == given
    assert told[-1][0] == "stage_damaged"


def test_result_and_report_say_each_step(tmp_path: Path) -> None:
    step = ladder.down(Use(("train_rows",), None, 8), RUNTIME, 1, WHY)
    assert step is not None
    stages = [{"name": name, "kind": name, "fingerprint": name[0] * 8} for name in ("train", "difficulty", "report")]
    run = runs.create(tmp_path, "version: 1\n", "version: 1\n", {"stages": stages})
    store = Store(tmp_path)
    facts = {"train": {"memory": [step.as_json()]}, "difficulty": {}}
    for stage in stages[:2]:
        folder = store.folder(stage["kind"], stage["fingerprint"])
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({"facts": facts[stage["name"]]}))
    report = store.folder("report", "r" * 8)
    report.mkdir(parents=True)
    (report / "result.json").write_text(json.dumps(example(run="")))
    (report / "report.md").write_text("# A report\n")
    for _ in range(2):  # a run that is issued again publishes again
        local.publish(report, run)
    result = run.result()
    assert result is not None
    assert result["memory"] == [{"stage": "train", **step.as_json()}]
    jsonschema.validate(result, json.loads((ROOT / "schemas" / "result.schema.json").read_text()))
    text = (run.folder / "report.md").read_text()
    assert text.count("## Memory") == 1
    assert "- train, step 1: Memory ran out (a test). Going on with train\\_rows 4 instead of 8" in text
    facts["train"] = {}
    (store.folder("train", "t" * 8) / "manifest.json").write_text(json.dumps({"facts": {}}))
    local.publish(report, run)
    assert "## Memory" not in (run.folder / "report.md").read_text()
    assert (run.result() or {})["memory"] == []
