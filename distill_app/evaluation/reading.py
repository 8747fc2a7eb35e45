"""One expression read and compared by latex2sympy and math-verify. Slow, and may hang: only workers call this.

What math-verify is not asked to do: finding the answer in a text, taking units off (it takes `2t` for `2`), lists and
names. `answers`, `units` and `structure` say how that is done here.
"""

from __future__ import annotations

import logging
import re
import warnings
from functools import lru_cache
from typing import Any

from distill_app.evaluation.notation import elements, sides

DECIMALS = 6
"""A decimal stands for an exact number if it equals that number rounded to this many places."""

_EULER_WITH_INDEX = re.compile(r"(?<![A-Za-z\\])[eE](?=\s*_)")
_TRAILING_WORDS = re.compile(r"\s*\\text\s*\{[^{}0-9]*\}\s*(?:\^\s*\{?[23]\}?)?$")
_BETWEEN_BRACKETS = re.compile(r"([(\[]) *(-?\d{1,300}|-\\infty) *, *(-?\d{1,300}|\\infty) *([)\]])")
_BETWEEN_SIGNS = re.compile(r"(-?\d{1,300}) *(<|\\le) *([xyztnmkabc]) *(<|\\le) *(-?\d{1,300})")
_INEQUALITY = re.compile(r"[<>]|\\(?:le|ge)(?![A-Za-z])")


@lru_cache(maxsize=512)
def read(text: str) -> Any:
    """What sympy makes of one expression in `notation.canonical` form, or None where it makes nothing of it."""
    from latex2sympy2_extended import NormalizationConfig
    from latex2sympy2_extended.latex2sympy2 import latex2sympy, normalize_latex
    from sympy import I

    text = _EULER_WITH_INDEX.sub(r"\\Upsilon ", text)
    without_unit = _TRAILING_WORDS.sub("", text).strip()
    settings = NormalizationConfig(units=False, malformed_operators=False, nits=False, boxed="none")
    for attempt in dict.fromkeys((without_unit, text)):
        if not re.search(r"[^\W_]|\\", attempt):
            continue
        complex_numbers = bool(re.search(r"(?<![A-Za-z])i(?![A-Za-z])", attempt))
        try:
            with quiet():
                found = latex2sympy(
                    normalize_latex(attempt, config=settings), is_real=not complex_numbers, normalization_config=None
                )
                names = {symbol.name: symbol for symbol in getattr(found, "free_symbols", ())}
                # With a j beside it, i is a direction or an index.
                if "i" in names and "j" not in names and "k" not in names:
                    found = found.subs(names["i"], I)
                # A number of more digits than Python writes down raises here.
                understood = found is not None and str(found) != "nan"
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - the parser raises nearly anything on odd input: not understood
            continue
        if understood:
            return found
    return None


def equal(gold: str, answer: str, tolerance: float | None = None) -> bool:
    """Whether two expressions are the same by math-verify; numbers at most `tolerance` apart where one is given."""
    left, right = read(gold), read(answer)
    if left is None or right is None:
        return False
    if tolerance is not None and (distance := _distance(left, right)) is not None:
        return distance <= tolerance * (1 + 1e-9)
    return _verify(left, right) or _verify_on_positive(left, right)


def same_region(gold: str, answer: str) -> bool:
    """Whether two ways of writing a set of reals say the same: intervals, unions, inequalities joined by and, or.

    `1 \\le x < 2` is `[1, 2)`; `x < -1 or x > 1` is a union. Two inequalities must be about the same unknown.
    """
    left, right = _region(gold), _region(answer)
    if left is None or right is None:
        return False
    if left[1] and right[1] and left[1] != right[1]:
        return False
    try:
        with quiet():
            return bool(left[0] == right[0] or left[0].symmetric_difference(right[0]).is_empty)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as in `read`
        return False


def is_inequality(text: str) -> bool:
    """Whether `text` says that something is less or greater."""
    return bool(_INEQUALITY.search(text))


def _region(text: str) -> tuple[Any, str] | None:
    """The set of reals and the name of the unknown ("" where none is named)."""
    from sympy import Intersection, Set, Union

    if (plain := _plain_region(text)) is not None:
        return plain
    parts = elements(text) if is_inequality(text) else []
    if len(parts) > 1:
        pieces = [_region(part.text) for part in parts]
        known = [piece for piece in pieces if piece is not None]
        names = {name for _, name in known}
        if len(known) < len(parts) or len(names) > 1:
            return None
        joined = Union if all(part.before == "or" for part in parts[1:]) else Intersection
        return joined(*(piece for piece, _ in known)), names.pop()
    found = read(text)
    if found is None:
        return None
    try:
        with quiet():
            if isinstance(found, Set):
                return found, ""
            if not is_inequality(text):
                return None
            from math_verify.grader import unwrap_fcs

            relation = unwrap_fcs(found)
            (unknown,) = relation.free_symbols
            return relation.as_set(), str(unknown)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as in `read`
        return None


def _plain_region(text: str) -> tuple[Any, str] | None:
    """`_region` of an interval between integers, and of one unknown between two: what sympy takes 50 ms to find."""
    from sympy import Integer, Interval, oo

    ends = {"\\infty": oo, "-\\infty": -oo}
    if found := _BETWEEN_BRACKETS.fullmatch(text):
        low, high = (ends[end] if end in ends else Integer(end) for end in (found[2], found[3]))
        return (Interval(low, high, found[1] == "(", found[4] == ")"), "") if low < high else None
    if found := _BETWEEN_SIGNS.fullmatch(text):
        low, high = Integer(found[1]), Integer(found[5])
        return (Interval(low, high, found[2] == "<", found[4] == "<"), found[3]) if low < high else None
    return None


def _distance(left: Any, right: Any) -> float | None:
    """How far apart two numbers are, or None where one is no real number."""
    try:
        with quiet():
            return abs(float(left.doit()) - float(right.doit()))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - as in `read`
        return None


def _verify(left: Any, right: Any) -> bool:
    from math_verify import verify

    try:
        with quiet():
            same = verify(
                left,
                right,
                float_rounding=DECIMALS,
                allow_set_relation_comp=True,
                timeout_seconds=None,
                raise_on_error=True,
            )
            return bool(same) and _not_only_small(left, right)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - sympy raises nearly anything on odd input: not shown to be equal
        return False


def _not_only_small(left: Any, right: Any) -> bool:
    """False where rounding made two different small numbers equal: they must agree to one part in 10,000, too."""
    from sympy import Expr, Float

    if not (isinstance(left, Expr) and isinstance(right, Expr)) or left.free_symbols or right.free_symbols:
        return True
    if not (left.has(Float) or right.has(Float)):
        return True
    one, other = complex(left.doit().evalf(20)), complex(right.doit().evalf(20))
    return abs(one - other) <= 1e-4 * max(abs(one), abs(other))


def _verify_on_positive(left: Any, right: Any) -> bool:
    """Odd roots once more on positive numbers, where sympy's root and the real one are the same."""
    from sympy import Abs, Basic, Expr, Pow, Symbol

    if not (isinstance(left, Expr) and isinstance(right, Expr)):
        return False
    both: tuple[Basic, ...] = (left, right)
    powers = [power.exp for side in both for power in side.atoms(Pow) if power.exp.is_Rational and power.exp.q > 1]
    if not powers or any(power.q % 2 == 0 for power in powers) or any(side.has(Abs) for side in both):
        return False
    positive = {s: Symbol(s.name, positive=True) for side in both for s in side.free_symbols}
    if not positive:
        return False
    return _verify(left.subs(positive), right.subs(positive))


def last_side(text: str) -> str:
    """What stands behind the last "=" of a chain of equalities."""
    return sides(text)[-1]


def quiet() -> warnings.catch_warnings[None]:
    """Silence for math-verify's log lines and sympy's warnings, which name neither row nor remedy."""
    for name in ("math_verify", "latex2sympy2_extended"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return warnings.catch_warnings(action="ignore")
