"""What identifies the output of a stage.

In: the stage's kind and version, every option that changes the output, the fingerprints of its inputs, the
content of models and data sets (commit or hash), the seed. Out: batch sizes, devices, worker counts, paths, host
names, the names a recipe or a teacher goes by where they change nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any


def fingerprint(kind: str, version: int, options: Mapping[str, Any], inputs: Mapping[str, Sequence[str]]) -> str:
    """16 hex digits that change when, and only when, one of the arguments does. Key order does not matter."""
    value = {
        "kind": kind,
        "version": version,
        "options": options,
        "inputs": {role: list(prints) for role, prints in inputs.items()},
    }
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def of_plan(fingerprints: Sequence[str]) -> str:
    """16 hex digits for a whole plan: what makes two runs the same run."""
    return hashlib.sha256("\n".join(fingerprints).encode()).hexdigest()[:16]
