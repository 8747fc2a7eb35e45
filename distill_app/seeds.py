"""Seeds that depend on the recipe's seed and the row's own id, never on the order of the work."""

from __future__ import annotations

import hashlib


def derive(seed: int, *parts: object) -> int:
    """A seed in [0, 2**63) from `seed` and the names that tell this draw from every other one.

    The same arguments give the same value on every machine; `derive(1, "ab", "c")` differs from
    `derive(1, "a", "bc")`.
    """
    text = "\x1f".join([str(seed), *(str(part) for part in parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
