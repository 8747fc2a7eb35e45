"""Whether two answers are the same: plain numbers and words here and now, everything else by math-verify.

`quick` settles what needs no algebra and never hangs; it returns None for the rest. `equivalent` asks
math-verify, which can run for hours on hostile input: `grading` calls it in a process that can be killed.
"""

from __future__ import annotations

import logging
import re
import warnings
from decimal import Decimal
from typing import Any, NamedTuple

UNIT_FREE = re.compile(
    r"\b(?:and|or|to|of|by|times|plus|minus|over|squared|cubed|dozen|hundred|thousand|million|billion|trillion"
    r"|half|quarter|third|pi|sqrt|sin|cos|tan|log|ln|mod)\b",
    re.IGNORECASE,
)
"""Words after a number that change its value: with one of them the text is not a plain number with a unit."""

_SPACING = re.compile(r"\\[!,;: ]|~")
_NUMBER = re.compile(
    r"""
    (?P<sign>[-+\u2212]?)\s*
    (?:\\?\$|[\u20ac\u00a3\u00a5])?\s*
    (?P<digits>[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|[1-9]\d{0,2}(?:\ \d{3})+(?:\.\d+)?|\d+\.?\d*|\.\d+)
    (?P<rest>.*)
    """,
    re.VERBOSE | re.DOTALL,
)
_PERCENT = re.compile(r"\s*(?:\\?%|(?:\s|\\text\{\s*)?(?:percent|percentage|pct)\}?)\s*$", re.IGNORECASE)
_DEGREE = re.compile(r"\s*(?:\^\s*\{?\s*\\circ\s*\}?|\u00b0|\\degree)\s*$")
_UNIT = re.compile(
    r"(?:\s*\\(?:text|mbox|mathrm|textbf)\{(?P<boxed>[^{}0-9]*)\}|\s+(?P<plain>[A-Za-z][A-Za-z./ ]+))"
    r"(?:\^\{?[23]\}?|[\u00b2\u00b3])?\s*$"
)
_WRAPPED = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_WORDS = re.compile(r"[^\W\d_]+(?:[ '\-][^\W\d_]+)*")


class Number(NamedTuple):
    """A plain number read from a text; `value` is as written, before any division by 100."""

    value: Decimal
    percent: bool


def tidy(text: str) -> str:
    """The answer without what never changes it: outer dollars, spacing commands, final full stop, `{,}`."""
    text = text.strip().rstrip("\\").strip()
    for left, right in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**")):
        inner = text[len(left) : len(text) - len(right)]
        if len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right):
            text = inner.strip() if left.strip("$") or "$" not in inner else text
    text = re.sub(r",(?:\\!)+\s*", ",", text.replace("{,}", ",").replace("\\displaystyle", " "))
    text = re.sub(r"(?<=\d)\\,(?=\d{3})", "", text)
    text = _SPACING.sub(" ", text)
    return re.sub(r"\s+", " ", text).strip().removesuffix(".").strip()


def as_number(text: str) -> Number | None:
    """The plain number that `text` is, or None.

    Understood: sign, thousands commas or spaces (`1,234`, `1 234`, `1{,}234`), decimals, a currency sign in front
    or a dollar behind, a percent sign or word, degrees, and one trailing unit of letters (`39 apples`,
    `5.4 \\text{ cents}`, `15 cm^2`). Units are dropped, not compared. Anything else is None: fractions, powers,
    `2k`, `3 million`, `1,2345`, `0,111`.
    """
    text = tidy(text)
    if len(text) > 200:
        return None
    text = re.sub(r"^\$([^$]*[^$\\])\$", r"\1", text)
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    rest = match["rest"]
    percent = bool(_PERCENT.fullmatch(rest))
    if not percent and rest.strip() not in {"", "$", "\\$", "\u20ac"} and not _DEGREE.fullmatch(rest):
        unit = _UNIT.fullmatch(rest)
        if unit is None:
            return None
        name = unit["boxed"] or unit["plain"] or ""
        if UNIT_FREE.search(name) or (unit["plain"] and not re.search(r"[A-Za-z]{2}", name)):
            return None
    sign = "-" if match["sign"] in {"-", "\u2212"} else ""
    return Number(Decimal(sign + match["digits"].replace(",", "").replace(" ", "")), percent)


def as_words(text: str) -> str | None:
    """`text` as lower-case words if it is nothing but words (`\\text{east}`, `Evelyn`, `(C)`), else None.

    A lone lower-case letter is a variable, and so are two or three letters outside `\\text{}`: not words.
    """
    wrapped = _WRAPPED.sub(r"\1", tidy(text))
    bare = re.sub(r"\s+", " ", wrapped.strip(" .()")).strip()
    if not _WORDS.fullmatch(bare):
        return None
    letters = len(re.sub(r"\W", "", bare))
    choice = letters == 1 and bare.isupper()
    return bare.casefold() if choice or letters >= 4 or wrapped != tidy(text) else None


def quick(extracted: str, gold: str) -> bool | None:
    """Equal, unequal, or None where it takes algebra to tell. Never slow, never raises.

    1. The same text after `tidy` is equal. 2. Two plain numbers are compared as exact decimals: `27.0` is `27`,
    `5.001` is not `5`; a percent sign on one side only may stand for a hundredth or be left out (gold `28%` takes
    `28` and `0.28`). 3. A gold of words is compared with words, without regard to case.
    """
    left, right = tidy(extracted), tidy(gold)
    if left and left == right:
        return True
    a, b = as_number(extracted), as_number(gold)
    if a is not None and b is not None:
        if a.value == b.value:
            return True
        if a.percent != b.percent:
            return a.value == b.value * 100 if a.percent else a.value * 100 == b.value
        return False
    words = as_words(gold)
    if words is not None:
        if a is not None:
            return False
        theirs = as_words(extracted)
        if theirs is not None:
            return words == theirs
    return None


def equivalent(extracted: str, gold: str) -> bool:
    """Whether math-verify takes `extracted` for `gold` (gold first: it is not symmetric).

    Its own time limits are off: they use SIGALRM, miss some hangs, and turn the rest into "not equal". Call this
    only where a hang can be stopped from outside. An answer that it cannot parse, or on which sympy fails, is not
    equal; running out of memory raises `MemoryError`.
    """
    parsed_gold = parse(gold)
    return _verify(parsed_gold, parse(extracted)) if parsed_gold else False


def parse(text: str) -> list[Any]:
    """What math-verify makes of one answer, which is wrapped as mathematics unless it is a plain number."""
    from math_verify import LatexExtractionConfig
    from math_verify import parse as parse_mathematics

    number = as_number(text)
    if number is not None:
        source = f"${number.value:f}\\%$" if number.percent else f"${number.value:f}$"
    else:
        inner = re.sub(r"(?<!\\)\$", " ", tidy(text))
        inner = re.sub(r"(?<![\\\w])sqrt\(([^()]*)\)", r"\\sqrt{\1}", inner)
        inner = re.sub(r",?\s*(?:\\text\{\s*(?:and|or)\s*\}|\s(?:and|or)\s)\s*", ", ", inner)
        source = f"${inner}$"
    with _quiet():
        found: list[Any] = parse_mathematics(
            source,
            extraction_config=[LatexExtractionConfig()],
            # The default hands back text it could not parse, and would call two such texts equal mathematics.
            fallback_mode="no_fallback",
            parsing_timeout=None,
        )
    return found


def compare(extracted: str, gold: str) -> bool:
    """Whether the answers are the same: `quick`, else `equivalent`. May hang: `grading.grade` cannot."""
    settled = quick(extracted, gold)
    return equivalent(extracted, gold) if settled is None else settled


def _verify(gold: list[Any], answer: list[Any]) -> bool:
    from math_verify import verify

    for left in gold:
        for right in answer:
            try:
                with _quiet():
                    if verify(left, right, timeout_seconds=None, raise_on_error=True):
                        return True
            except MemoryError:
                raise
            except Exception:  # noqa: BLE001 - sympy raises nearly anything on odd input: not shown to be equal
                continue
    return False


def _quiet() -> warnings.catch_warnings[None]:
    """Silence for math-verify's log lines and sympy's warnings, which name neither row nor remedy."""
    for name in ("math_verify", "latex2sympy2_extended"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return warnings.catch_warnings(action="ignore")
