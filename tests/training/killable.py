"""Train the tiny student and die on purpose: killable.py STUDENT OUT WHEN STEP, the test's other process.

WHEN is "step" (SIGKILL after optimizer step STEP) or "save" (SIGKILL with the checkpoint of STEP on disk and not
yet marked whole).
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from distill_app.training import checkpoints
from tests.training.tiny_training import SETTINGS, SUMS, train_tiny


def main() -> None:
    student, out, when, step = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def emit(kind: str, values: dict[str, Any]) -> None:
        if when == "step" and kind == "progress" and values["done"] == step:
            die()

    if when == "save":
        mark = checkpoints.mark_complete
        checkpoints.mark_complete = lambda place: die() if checkpoints.step_of(place) == step else mark(place)
    train_tiny(student, out, SUMS, SETTINGS, emit=emit)


if __name__ == "__main__":
    main()
