"""The disk fills up, again and again: each time that is said, and in the end nothing is missing."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.scene import Whole, contents, events_of, issue
from tests.recipes import without_traceback


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 96 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_disk_that_fills_up_again_and_again(disk: Path, whole: Whole) -> None:
    workspace = disk / "workspace"
    for kilobytes in (96, 300, 1500):
        subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)
        said = issue(whole, workspace)
        assert said.returncode == 1
        assert "full" in without_traceback(said) or "No space left" in said.stderr
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    again = issue(whole, workspace, "--json")
    assert again.returncode == 0, again.stderr
    assert '"stage_cached", "stage": "select"' in again.stdout
    assert contents(workspace) == contents(whole.workspace)
    events = events_of(workspace)
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert not [event for event in events if event["type"] == "stage_damaged"]
