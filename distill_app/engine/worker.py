"""The process of one model stage: reads a job, carries it out, tells events as JSON lines, ends.

Started as `python -m distill_app.engine.worker EVENT_FD PARENT_PID < JOB.json`, or forked by `engine.forkserver`. Its
memory, the device's too, is given back by ending. It does not outlive the run that started it.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any

from distill_app import stopping
from distill_app.engine import ladder
from distill_app.engine.execute import Job, execute
from distill_app.errors import DistillError
from distill_app.students.vllm_machine import ALL_GPUS

PR_SET_PDEATHSIG = 1


def main(event_fd: str, parent: str) -> int:
    """Exit code 0: the artifact is there. 1: an event `error`, `shortage` (of memory) or `crash` says why not.

    130: it was asked to stop by SIGINT, and left after the batch of rows at work (see `stopping`).
    """
    stopping.listen()
    end_with(int(parent))
    job = Job(**json.load(sys.stdin.buffer))
    events = os.fdopen(int(event_fd), "w", encoding="utf-8", buffering=1)
    guard = threading.Lock()

    def emit(kind: str, values: Mapping[str, Any]) -> None:
        with guard:
            events.write(json.dumps({"type": kind, **values}, ensure_ascii=False) + "\n")

    # One device a process: TRL refuses several without a launcher. vLLM's own processes may have more.
    vllm = job.runtime["vllm"]
    first = ",".join(map(str, range(vllm["tensor_parallel"] * vllm["data_parallel"])))
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    os.environ.setdefault(ALL_GPUS, first if given is None else given)
    os.environ["CUDA_VISIBLE_DEVICES"] = "" if job.runtime["device"] == "cpu" else (given or "0").split(",")[0]
    try:
        execute(job, emit)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - whatever it is, the run is told and out.log has it
        what = ladder.shortage(error)
        if what is None and isinstance(error, DistillError):
            emit("error", {"message": error.message, "hint": error.hint})
            return 1
        with contextlib.suppress(OSError):  # a full disk takes the log too
            traceback.print_exc()  # goes to the run's out.log, not to the terminal
        if what is None:
            emit("crash", {"what": f"{type(error).__name__}: {error}"})
        else:
            emit("shortage", dataclasses.asdict(what))
        return 1
    return 0


def end_with(parent: int) -> None:
    """Have this process killed when the one that started it dies: by the kernel on Linux, by watching elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
