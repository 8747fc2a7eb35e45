"""Stages' processes: forked by one server, or started each by itself where that cannot be."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
from pathlib import Path
from typing import Any

import psutil
import pytest

from distill_app.engine import forkserver
from distill_app.engine.execute import Job
from distill_app.engine.forkserver import Process, Starter
from distill_app.recipe import defaults, schema


def begin(starter: Starter, root: Path, **env: str) -> tuple[Process, int]:
    """A process whose job fails (there is no such stage), and where its events can be read."""
    runtime = defaults.of_part(schema.installed(), "runtime")
    job = Job("none", "no_such_stage", 1, "0" * 16, {}, {}, {}, {**runtime, "device": "cpu"}, str(root), True)
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as given, (root / "out.log").open("ab") as out:
        given.write(json.dumps(job.as_json()).encode())
        given.seek(0)
        process = starter.start(given, out, writing, {**os.environ, **env})
    os.close(writing)
    return process, reading


def told(reading: int) -> list[dict[str, Any]]:
    with os.fdopen(reading) as file:
        return [json.loads(line) for line in file]


def servers() -> list[psutil.Process]:
    mine = psutil.Process().children()
    return [one for one in mine if one.status() != psutil.STATUS_ZOMBIE and forkserver.COMMAND in one.cmdline()]


@pytest.mark.parametrize("forked", [True, False])
def test_a_process_tells_its_events_and_its_end(forked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forkserver, "GPUS", forkserver.GPUS if forked else ("/dev/null",))
    if forked and not forkserver.possible():
        pytest.skip("here processes are not forked")
    with Starter() as starter:
        for _ in range(2):
            process, reading = begin(starter, tmp_path)
            events = told(reading)
            assert process.wait() == process.poll() == 1
            assert [event["type"] for event in events] == ["stage_started", "crash"]
            assert "no_such_stage" in events[1]["what"]
            assert len(servers()) == forked, "one for both"
        assert (tmp_path / "out.log").read_text().count("Traceback") == 2
    assert servers() == []


def test_killed_while_the_libraries_load_and_started_again(tmp_path: Path) -> None:
    if not forkserver.possible():
        pytest.skip("here processes are not forked")
    with Starter() as starter:
        process, reading = begin(starter, tmp_path)
        assert process.poll() is None
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert told(reading) == []
        process, reading = begin(starter, tmp_path, OF_ANOTHER="environment")
        (server,) = servers()
        assert server.environ()["OF_ANOTHER"] == "environment"
        assert [event["type"] for event in told(reading)] == ["stage_started", "crash"]
        assert process.wait() == 1
        server.kill()  # as the kernel does where memory runs out
        psutil.wait_procs([server], timeout=30)
        process, reading = begin(starter, tmp_path, OF_ANOTHER="environment")
        (server,) = servers()
        server.kill()
        assert process.wait() == -signal.SIGKILL
        assert told(reading) == []


def test_a_process_that_has_just_ended_can_be_sent_a_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its id is nobody else's till its end has been heard: Ctrl-C twice once ended in "No such process"."""
    if not forkserver.possible():
        pytest.skip("here processes are not forked")
    with Starter() as starter:
        process, reading = begin(starter, tmp_path)
        told(reading)
        assert isinstance(process, forkserver._Forked)
        process.pid = int(process.server.socket.recv(32))
        assert process.server.socket.recv(32, socket.MSG_PEEK) == b"1", "it has ended, and that is told"
        with monkeypatch.context() as patch:
            patch.setattr(process, "_hear", lambda **_: None)  # as if it were told the moment after
            process.send_signal(signal.SIGINT)
        assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
        assert process.wait() == 1
        _, reading = begin(starter, tmp_path)
        told(reading)
        assert not psutil.pid_exists(process.pid)
