"""A wheel and an editable install both give one import name with everything a user needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.recipes import ROOT


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout without its history and leftovers."""
    target = tmp_path_factory.mktemp("copy") / "checkout"
    leftovers = shutil.ignore_patterns(".git", "build", "*.egg-info", "__pycache__", ".*_cache", ".distill", ".venv")
    shutil.copytree(ROOT, target, ignore=leftovers)
    return target


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment that sees this one's libraries, but not its distill-app."""
    folder = tmp_path_factory.mktemp("venv") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    inner = folder / "bin" / "python"
    site = subprocess.run(
        [inner, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    (Path(site) / "outer.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return inner


def install(python: Path, *what: str) -> None:
    done = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--force-reinstall", *what],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "absent from the `packages`" not in done.stderr


def check(python: Path, home: Path, elsewhere: Path) -> None:
    """The installed program works from another folder, and all of it comes from `home`."""
    script = (
        "import distill_app, distill_app.ui, distill_app.resources as r\n"
        "print(distill_app.__file__, distill_app.ui.__file__, r.folder('schemas'), r.folder('recipes'), sep='\\n')"
    )
    places = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True, cwd=elsewhere).stdout
    assert all(Path(place).is_relative_to(home) for place in places.split()), places
    program = python.parent / "distill-app"
    for arguments in (
        ["--version"],
        ["schema"],
        ["validate", "random_vs_quality"],
        ["plan", "gsm8k_local"],
        ["plan", "selectors"],
        ["new", "mine"],
    ):
        done = subprocess.run([program, *arguments], capture_output=True, text=True, cwd=elsewhere, check=False)
        assert done.returncode == 0, done.stderr
    (elsewhere / "mine.yaml").unlink()


def test_wheel(copy: Path, python: Path, tmp_path: Path) -> None:
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(tmp_path), str(copy)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"distill_app", "distill_app-0.1.0.dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "distill_app/py.typed" in names
    for folder, suffix in (("schemas", ".json"), ("recipes", ".yaml"), ("recipes", ".jsonl")):
        shipped = {name.removeprefix("distill_app/") for name in names if name.endswith(suffix) and folder in name}
        assert shipped == {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob(f"*{suffix}")}
    install(python, str(wheel))
    check(python, python.parent.parent, tmp_path)


def test_editable(copy: Path, python: Path, tmp_path: Path) -> None:
    install(python, "--editable", str(copy))
    check(python, copy, tmp_path)
