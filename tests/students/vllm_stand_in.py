"""Speaks a replica's side of the pipe without vLLM: answers every sample with its seed as the one token.

`trouble` in the configuration: "fault" fails at start, "die" is killed at its second ask (the first is answered).
"""

from __future__ import annotations

import json
import os
import signal
import sys


def main() -> None:
    with os.fdopen(int(sys.argv[1]), "w", buffering=1) as out:
        config = json.loads(sys.stdin.readline())
        if config["trouble"] == "fault":
            fault = {"type": "fault", "kind": "ValueError", "text": "No available memory for the cache blocks. Try..."}
            out.write(json.dumps(fault) + "\n")
            return
        out.write(json.dumps({"type": "ready", "seqs": 2, "context": 128}) + "\n")
        for number, line in enumerate(sys.stdin):
            if number == 1 and config["trouble"] == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            ask = json.loads(line)
            rows = [[ask["key"], i, [ask["seed"] + i, os.getpid()], "stop"] for i in range(ask["samples"])]
            out.write(json.dumps({"type": "rows", "rows": rows, "tokens": 2 * len(rows)}) + "\n")


main()
