"""Asking a server, for tests. As a program, dying on purpose: killable_openai.py URL LOG REQUESTS ROWS.

The program goes on from the log of rows as the generate stage does, and kills itself (SIGKILL) after ROWS rows more; 0
goes on to the end, -1 says "going" after the first batch, so that the test can press Ctrl-C.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from distill_app.errors import StageError
from distill_app.records import Completion, Problem, Request
from distill_app.store.rows import RowLog
from distill_app.teachers import _openai_pace
from distill_app.teachers.openai import Options, complete


def options(url: str, **changed: Any) -> Options:
    values: dict[str, Any] = {
        "model": "tiny-teacher", "base_url": url, "api_key_env": None, "system_prompt": None, "temperature": 0.6,
        "top_p": 0.95, "max_tokens": 64, "max_tokens_key": "max_tokens", "thinking": None, "structured": "json_schema",
        "seeds": True, "extra": {}, "concurrency": 8, "timeout_seconds": 20.0, "retries": 8, "prices": None,
        "max_cost": None,
    }  # fmt: skip
    return Options(**(values | changed))


def request(index: int, **changed: Any) -> Request:
    """Sample 0 of problem `index`; seeds need more than 31 bits, as real ones do."""
    problem = Problem(f"p{index}", f"What is {index} + 1?", str(index + 1), "test")
    plain = Request(f"p{index}/0", problem, f"Say {index} and explain it.", 0, (1 << 40) + index)
    return replace(plain, **changed)


def some(count: int) -> list[Request]:
    return [request(index) for index in range(count)]


def ask(
    requests: Sequence[Request], chosen: Options, say: Callable[[str], None] = lambda _: None, **context: Any
) -> dict[str, Completion]:
    """All rows by id; each came once."""
    rows = [row for batch in complete(requests, chosen, say=say, **context) for row in batch]
    assert len({row.id for row in rows}) == len(rows)
    return {row.id: row for row in rows}


def until_error(
    requests: Sequence[Request], chosen: Options, say: Callable[[str], None] = lambda _: None, **context: Any
) -> tuple[dict[str, Completion], StageError]:
    """The rows that came before the error, and the error."""
    rows: dict[str, Completion] = {}
    try:
        for batch in complete(requests, chosen, say=say, **context):
            rows |= {row.id: row for row in batch}
    except StageError as error:
        return rows, error
    raise AssertionError("no error came")


def hasten(set_to: Callable[[object, str, float], None] = setattr) -> None:
    """Waits of a test: growing from 20 ms to half a second instead of from half a second to a minute."""
    set_to(_openai_pace, "FIRST_WAIT_SECONDS", 0.02)
    set_to(_openai_pace, "LONGEST_WAIT_SECONDS", 0.5)


def main() -> None:
    url, path, count, die_after = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    hasten()
    log = RowLog(path, Completion)
    earlier = len(log.rows)
    batches = complete(
        [request(index) for index in range(count)],
        options(url),
        done={row.id for row in log.rows},
        finished=tuple(log.rows),
        say=lambda _: None,
    )
    for batch in batches:
        log.append(batch)
        if die_after == -1:
            print("going", flush=True)
        if 0 < die_after <= len(log.rows) - earlier:
            os.kill(os.getpid(), signal.SIGKILL)
    log.close()


if __name__ == "__main__":
    main()
