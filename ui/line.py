"""The process of one job: waits in line, carries the command out, writes down how it ended.

Started by `ui.jobs` as `python -m distill_app.ui.line ROOT NUMBER READY_FD`, in a session of its own. It holds the
job's lock for as long as it lives, and imports next to nothing: jobs that wait cost some ten megabytes each, and no
processor time, for the kernel wakes them when the lock they wait for is given back.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

from distill_app.store import runs
from distill_app.store.files import is_locked

from . import jobs

GRACE_SECONDS = 30
"""From being asked to end to being killed: a run gives its model stage ten seconds to write its last rows."""


def main(root: Path, number: int, ready: int) -> int:
    """Exit code 0: ended.json says how it ended."""
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.default_int_handler)
    job = jobs.find(root, number)
    with job.lock_path.open("a") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 1
        (job.folder / "pid").write_text(str(os.getpid()), encoding="utf-8")
        os.write(ready, b"1")
        os.close(ready)
        try:
            _wait(root, job)
            jobs.note_begin(job)
            code, how = _carry_out(root, job)
        except KeyboardInterrupt:
            code, how = None, "stopped"
        jobs.note_end(job, code, how)
    return 0


def _wait(root: Path, job: jobs.Job) -> None:
    """Until every job before this one on its device, and every run somebody started at a terminal, has ended."""
    for other in jobs.before(root, job):
        _until_free(other.lock_path)
    of_jobs = {asked.plan for other in jobs.all_jobs(root) if _lives(other, job) for asked in other.asked}
    for run in runs.all_runs(root):
        if is_locked(run.lock_path) and run.lock_record().get("plan") not in of_jobs:
            _until_free(run.lock_path)


def _lives(other: jobs.Job, job: jobs.Job) -> bool:
    """Whether another job lives. This process must not look at its own lock: closing the file would give it back."""
    return other.number != job.number and other.state() in jobs.GOING


def _until_free(path: Path) -> None:
    with path.open("rb") as file:
        fcntl.lockf(file, fcntl.LOCK_SH)


def _carry_out(root: Path, job: jobs.Job) -> tuple[int, str]:
    """The command's exit code, and whether it ended by itself, because it was asked to, or was killed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "distill_app.cli", "run", *job.command, "--workspace", str(root)],
        stdin=subprocess.DEVNULL,
    )
    try:
        return process.wait(), "ended"
    except KeyboardInterrupt:
        process.send_signal(signal.SIGTERM)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    try:
        return process.wait(GRACE_SECONDS), "stopped"
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait(), "killed"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
