"""Found on PYTHONPATH by the server that forks the stages' processes: the first attempt dies in its second pass.

The folder in SHORT_OF_MEMORY counts the attempts. From the second on, a process may have only so much more data than it
has when its first loss is taken, and the kernel refuses what is beyond: too little for any step in the second attempt,
enough in later ones.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

LEFT_BYTES = {2: 4 * 2**20, 3: 4 * 2**30}


def _data_bytes() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    raise OSError("the kernel does not tell VmData")


def _prepare(folder: Path) -> None:
    from distill_app.training import loss

    folder.mkdir(exist_ok=True)
    attempt = len(list(folder.iterdir())) + 1
    (folder / str(attempt)).touch()
    real, passes = loss.target_loss, 0

    def target_loss(*given: Any) -> Any:
        nonlocal passes
        passes += 1
        if attempt == 1 and passes == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if attempt > 1 and passes == 1:
            most = _data_bytes() + LEFT_BYTES[attempt]
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
        return real(*given)

    loss.target_loss = target_loss


if "distill_app.engine.forkserver" in sys.orig_argv:
    os.register_at_fork(after_in_child=lambda: _prepare(Path(os.environ["SHORT_OF_MEMORY"])))
