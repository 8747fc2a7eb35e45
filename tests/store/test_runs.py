"""A run's state is read off its files; its log survives a crash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from distill_app.errors import UsageError
from distill_app.store.files import write_json
from distill_app.store.runs import RUN_ID, EventLog, all_runs, create, find, find_by_plan, read_events


def test_state_follows_the_last_ending(tmp_path: Path) -> None:
    run = create(tmp_path, "name: x\n", "name: x\n", {"plan": "p"})
    assert RUN_ID.match(run.id)
    assert run.state() == "lost"
    log = EventLog(run.events_path)
    log.append({"type": "run_started"})
    log.append({"type": "run_failed", "message": "No.", "hint": ""})
    assert run.state() == "failed"
    log.append({"type": "run_started"})
    assert run.state() == "lost"
    log.append({"type": "run_interrupted"})
    assert run.state() == "interrupted"
    write_json(run.folder / "result.json", {})
    assert run.state() == "finished"


def test_log_goes_on_counting_after_a_half_written_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    log = EventLog(path)
    log.append({"type": "a"})
    log.append({"type": "b"})
    log.close()
    with path.open("ab") as file:
        file.write(b'{"seq": 2, "type": "c')
    assert [event["type"] for event in read_events(path)] == ["a", "b"]
    EventLog(path).append({"type": "d"})
    assert [(event["seq"], event["type"]) for event in read_events(path)] == [(0, "a"), (1, "b"), (2, "d")]


def test_a_full_disk_takes_an_event_whole_or_not_at_all(tmp_path: Path) -> None:
    """A file size limit stands in for the disk: the kernel writes what fits and refuses the rest."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from distill_app.store.runs import EventLog\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "log = EventLog(Path(sys.argv[1])); log.append({'type': 'a'})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 1000))\n"
        "try: log.append({'type': 'b', 'text': 'x' * 200})\n"
        "except OSError: print('refused')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "log.append({'type': 'c'})\n"
    )
    path = tmp_path / "events.jsonl"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"
    assert [(event["seq"], event["type"]) for event in read_events(path)] == [(0, "a"), (1, "c")]
    assert path.read_text().count("\n") == 2


def test_runs_are_found_by_id_part_and_plan(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There are no runs"):
        find(tmp_path, "latest")
    first = create(tmp_path, "", "", {"plan": "p1"})
    second = create(tmp_path, "", "", {"plan": "p2"})
    assert all_runs(tmp_path) == [first, second], "also where both are of one second"
    assert find(tmp_path, "latest") == second
    assert find(tmp_path, first.id) == first
    assert find(tmp_path, second.id[-6:]) == second
    assert find_by_plan(tmp_path, "p1") == first
    assert find_by_plan(tmp_path, "p3") is None
    with pytest.raises(UsageError, match="fits 2 runs"):
        find(tmp_path, first.id[:4])
    with pytest.raises(UsageError, match=f"Nearest: {first.id}|Nearest: {second.id}"):
        find(tmp_path, first.id[:-2] + "zz")
