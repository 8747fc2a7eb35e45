"""vLLM loads both forms of exported weights, and says with them what transformers says."""

from __future__ import annotations

from pathlib import Path

import pytest

from distill_app import export as room
from distill_app.export import Wish
from distill_app.students import vllm_engine, vllm_machine
from distill_app.students.decoding import SamplingRequest
from distill_app.students.device import Device
from distill_app.students.load import load, load_tokenizer
from distill_app.students.sampling import sample
from distill_app.students.template import ChatTemplate
from tests.export.finished_run import made, write
from tests.runtime import runtime
from tests.tiny import tiny_student

LACK = vllm_machine.lack(vllm_machine.installed())
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(LACK is not None, reason=f'{LACK} See "vLLM on a CPU" in the README.'),
]
GREEDY = {"temperature": 0.0, "top_p": 1.0, "max_tokens": 16}


def test_vllm_loads_the_adapter_and_the_merged_model(smollm: Path, tmp_path: Path) -> None:
    student = tiny_student(tmp_path / "student", smollm, hidden=256)
    write(tmp_path)
    found = made(tmp_path, "adapter", "training.learning_rate=0.02")
    room.export(found.root, found.run, tmp_path / "whole", Wish(merged=True), print)
    template = ChatTemplate(load_tokenizer(student), "", "{question}")
    requests = [
        SamplingRequest(f"q{n}", template.prompt_ids(f"Tom has {n} bags of {n + 2} apples. How many?"), n)
        for n in range(3, 9)
    ]

    def by_transformers(folder: Path) -> dict[str, str]:
        model, tokenizer = load(folder, Device("cpu", "float32", "test"))
        batches = sample(model, tokenizer, requests, stop_ids=template.stop_ids, rows=8, **GREEDY)
        return {row.id: row.text for batch in batches for row in batch}

    def by_vllm(folder: Path, adapter: Path | None) -> dict[str, str]:
        batches = vllm_engine.sample(
            folder, template, requests, dtype="float32", runtime=runtime(), say=print, adapter=adapter, **GREEDY
        )
        return {row.id: row.text for batch in batches for row in batch}

    expected = by_transformers(tmp_path / "whole" / "model")
    untrained = by_transformers(student)
    assert all(expected[name] != untrained[name] for name in expected), "training changed every answer"
    assert by_vllm(tmp_path / "whole" / "model", None) == expected
    assert by_vllm(student, found.out / "model") == expected
