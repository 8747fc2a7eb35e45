"""Towers of powers, `10^{10^{10}}`: told apart by their exponents, without working them out."""

from __future__ import annotations

import re
from math import log2

BITS = 4096
"""A power of at most so many bits is worked out."""

_POWER = re.compile(r"(\d{1,40})\s*\^\s*(?:\{(.*)\}|\((.*)\)|(\d))")


def tower(text: str) -> tuple[int, ...] | None:
    """`2^{3^{4}}` as (2, 3, 4), worked out from the top while that stays small: (2, 81); None for anything else.

    One number is a plain integer of at most `BITS` bits, or as many as were written; more than one stand for an
    integer of more than `BITS` bits.
    """
    levels: list[int] = []
    rest = text.strip()
    while found := _POWER.fullmatch(rest):
        levels.append(int(found[1]))
        rest = (found[2] or found[3] or found[4] or "").strip()
    if not re.fullmatch(r"\d{1,400}", rest) or any(base < 2 for base in levels) or len(levels) > 50:
        return None
    levels.append(int(rest))
    while len(levels) > 1 and levels[-1] * log2(levels[-2]) <= BITS:
        exponent = levels.pop()
        levels[-1] = levels[-1] ** exponent
    return tuple(levels)


def same_tower(left: str, right: str) -> bool | None:
    """Whether two towers are equal; None where one is no tower, or two huge ones stand on different numbers."""
    one, other = tower(left), tower(right)
    if one is None or other is None:
        return None
    while len(one) > 1 and len(other) > 1:
        if one[0] != other[0]:
            return None
        one, other = one[1:], other[1:]
    if len(one) == len(other) == 1:
        return one == other
    (single,) = one if len(one) == 1 else other
    return False if single.bit_length() <= BITS else None
