"""Keep torch, transformers and the hub client from talking over the program's own progress display."""

from __future__ import annotations

import os
import warnings


def environment() -> None:
    """Set what must be set before the libraries are imported: no telemetry, no fork warning, polite threads.

    Values the user has set win. Idle OpenMP threads sleep instead of spinning: on a shared machine spinning
    threads take the time of the working ones.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def libraries() -> None:
    """No progress bars, and errors alone, from transformers and peft. Imports transformers."""
    environment()
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    # The libraries' own deprecation notes are for us, not for whoever distils; pytest still shows them.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"(torch|transformers|peft)\b")
