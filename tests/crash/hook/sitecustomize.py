"""Lies on PYTHONPATH of processes under test: kills or stops them at the renaming of one path.

CRASH_AT is `before PATH` or `after PATH`, PATH being the end of what something is renamed to. `kill` in CRASH_DO takes
the run and its worker, as a machine that goes down does; `stop` freezes this process alone.
"""

import os
import signal


def _die() -> None:
    import sys

    if os.environ["CRASH_DO"] == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
        return
    if "distill_app.engine.forkserver" in sys.orig_argv:  # forked by the server, which the run has started
        with open(f"/proc/{os.getppid()}/stat", encoding="utf-8") as stat:
            run = int(stat.read().rpartition(")")[2].split()[1])
        os.kill(run, signal.SIGKILL)
        os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _wrap(real):
    when, _, path = os.environ["CRASH_AT"].partition(" ")

    def renamed(source, target, *more, **named):
        here = isinstance(target, str | os.PathLike) and os.fspath(target).endswith(path)
        if here and when == "before":
            _die()
        real(source, target, *more, **named)
        if here and when == "after":
            _die()

    return renamed


if "CRASH_AT" in os.environ:
    os.replace, os.rename = _wrap(os.replace), _wrap(os.rename)
