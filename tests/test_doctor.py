"""What `doctor` says of a machine: of this one, and of one that lacks something."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from packaging.requirements import Requirement

from distill_app import doctor


class Memory(NamedTuple):
    available: int


def named(found: Mapping[str, Any], name: str) -> dict[str, str]:
    return next(check for check in found["checks"] if check["name"] == name)


def recipe(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in found["recipes"] if one["recipe"] == name)


def test_what_a_recipe_needs_and_that_this_machine_has_it(tmp_path: Path) -> None:
    found = doctor.examine(tmp_path)
    quickstart = recipe(found, "quickstart")
    assert quickstart["status"] == "fine"
    assert 1e9 < quickstart["memory_bytes"] < 8e9
    assert quickstart["seconds"] > 60
    assert recipe(found, "selectors")["found"].startswith("24 runs: about ")
    assert all(one["fix"] for one in (*found["checks"], *found["recipes"]) if one["status"] == "problem")


def test_a_machine_too_small_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(available=500_000_000))
    found = doctor.examine(tmp_path)
    assert named(found, "memory")["status"] == "problem"
    quickstart = recipe(found, "quickstart")
    assert quickstart["status"] == "problem"
    assert "0.5 GB are free" in quickstart["found"]
    assert "distill-app run quickstart --set runtime.train_rows=1" in quickstart["fix"]
    assert f"-> {quickstart['fix']}" in doctor.as_text(found)


def test_versions_are_held_against_those_that_were_tested(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = metadata.version

    def version(name: str) -> str:
        if name == "peft":
            raise metadata.PackageNotFoundError(name)
        return "9.9.1" if name == "trl" else real(name)

    monkeypatch.setattr(metadata, "version", version)
    found = doctor.examine(tmp_path)
    trl, peft = named(found, "trl"), named(found, "peft")
    assert (trl["status"], trl["fix"]) == ("note", f"pip install 'trl=={doctor.TESTED['trl']}.*'")
    assert (peft["status"], peft["fix"]) == ("problem", f"pip install 'peft=={doctor.TESTED['peft']}.*'")


def test_the_tested_lines_are_those_the_package_asks_for() -> None:
    asked = {Requirement(line).name for line in metadata.requires("distill-app") or ()}
    assert set(doctor.TESTED) <= asked
    assert all(metadata.version(name).startswith(line) for name, line in doctor.TESTED.items())


def test_a_cpu_build_beside_an_nvidia_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    if torch.version.cuda is not None:
        pytest.skip("torch is a CUDA build here")
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  999.1\n")
    monkeypatch.setattr(doctor, "DRIVER", tmp_path / "version")
    cuda = named(doctor.examine(tmp_path / "workspace"), "cuda")
    assert cuda["status"] == "problem"
    assert "999.1" in cuda["found"]
    assert cuda["fix"].startswith("pip install --force-reinstall 'torch==2.13")


def test_a_workspace_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    check = named(doctor.examine(tmp_path), "workspace")
    assert (check["status"], check["fix"]) == ("problem", "Choose another one with --workspace.")
