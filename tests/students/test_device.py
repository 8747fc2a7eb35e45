from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from distill_app.errors import StageError
from distill_app.students import device


def test_a_type_that_is_asked_for_is_taken() -> None:
    assert device.pick("cpu", "float32") == device.Device("cpu", "float32", "set in the recipe")
    assert device.pick("cpu", "bfloat16").dtype == "bfloat16"


def test_auto_takes_the_type_the_probe_finds_faster_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for half, dtype in ((210.0, "bfloat16"), (12.0, "float32")):
        monkeypatch.setenv("DISTILL_CACHE", str(tmp_path / dtype))
        monkeypatch.setattr(device, "probe_gflops", {"float32": 99.0, "bfloat16": half}.__getitem__)
        picked = device.pick("cpu", "auto")
        assert picked.dtype == dtype
        assert picked.why == f"measured: bfloat16 {half:.0f}, float32 99 GFLOPS"
        monkeypatch.setattr(device, "probe_gflops", {}.__getitem__)
        assert device.pick("cpu", "auto") == picked


def test_the_probe_measures() -> None:
    assert 0.01 < device.probe_gflops("float32") < 100_000


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(StageError, match="no GPU"):
        device.pick("cuda", "auto")
    assert device.pick("auto", "float32").name == "cpu"


def test_threads_are_set_and_idle_ones_sleep() -> None:
    before = torch.get_num_threads()
    try:
        assert device.set_threads(1) == torch.get_num_threads() == 1
        count = device.set_threads(None)
        assert count == torch.get_num_threads() == device.physical_cores() <= (os.cpu_count() or 1)
        assert os.environ["OMP_WAIT_POLICY"].lower() == "passive"
    finally:
        torch.set_num_threads(before)
