"""Plain numbers and words: reading them from a text and comparing them exactly. No algebra, never slow."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from distill_app.evaluation.units import Unit, same_quantity, unit_of

UNIT_FREE = re.compile(
    r"\b(?:and|or|to|of|by|times|plus|minus|over|squared|cubed|dozen|hundred|thousand|million|billion|trillion"
    r"|half|quarter|third|pi|sqrt|sin|cos|tan|log|ln|mod|oo|inf|infinity|am|pm|a\.?m|p\.?m)\b",
    re.IGNORECASE,
)
"""Words after a number that change its value: with one of them the text is not a plain number with a unit."""
LARGEST_EXPONENT = 5000
"""A power of ten up to here is a plain number; beyond, algebra."""
_MINUS = {"-", "\u2212", "\u2013"}
_MARKS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"))
_MARKING = ("$", "\\", "*")
_SPACING = re.compile(r"\\[!,;: ]|~")
_NUMBER = re.compile(
    r"""
    (?P<sign>[-+\u2212\u2013]?)\s*
    (?:\\?\$|[\u20ac\u00a3\u00a5])?\s*
    (?P<digits>[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?|[1-9]\d{0,2}(?:\ \d{3})+(?:\.\d+)?|\d+\.?\d*|\.\d+)
    (?P<rest>.*)
    """,
    re.VERBOSE | re.DOTALL,
)
_SCIENTIFIC = re.compile(
    r"(?P<sign>[-+\u2212\u2013]?)\s*(?:(?P<digits>\d+(?:\.\d+)?)\s*(?:\\times|\\cdot|\*|x|\u00d7|\u00b7)\s*)?"
    r"10\s*\^\s*(?:\{\s*(?P<braced>[-+\u2212\u2013]?\d+)\s*\}|\(\s*(?P<typed>[-+\u2212\u2013]?\d+)\s*\)|(?P<bare>[-\u2212\u2013]?\d+))"
    r"(?P<rest>.*)"
    r"|(?P<esign>[-+\u2212\u2013]?)(?P<edigits>\d+(?:\.\d+)?|\.\d+)[eE](?P<exponent>[-+]?\d+)(?P<erest>.*)",
    re.DOTALL,
)
_PERCENT = re.compile(r"\s*(?:\\?%|(?:\s|\\text\{\s*)?(?:percent|percentage|pct)\}?)\s*$", re.IGNORECASE)
_DEGREE = re.compile(r"\s*(?:\^\s*\{?\s*\\circ\s*\}?|\u00b0|\\degree)\s*$")
_UNIT = re.compile(
    r"(?:\s*\\(?:text|mbox|mathrm|textbf)\{(?P<boxed>[^{}0-9]*)\}|\s*(?P<plain>[A-Za-z][A-Za-z./ ]+))"
    r"(?:\^\{?(?P<power>[23])\}?|(?P<sign>[\u00b2\u00b3]))?\s*$"
)
_WRAPPED_UNIT = re.compile(r"\\(?:text|mbox|mathrm|textbf|rm)\s*\{([^{}0-9]*)\}")
_DEGREE_SIGN = re.compile(r"^\s*(?:\^\s*\{?\s*\\circ\s*\}?|\u00b0)")
_UNIT_RUN = re.compile(
    r"(?:[\s/~]|\\cdot|\\times|\\[,;: ])*(?:\\(?:text|mbox|mathrm|textbf|rm)\s*\{[^{}0-9]*\}"
    r"\s*(?:\^\s*(?:\d|\{\s*-?\d\s*\}))?(?:[\s/~]|\\cdot|\\times|\\[,;: ])*)+"
)
WRAPPED = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_WORDS = re.compile(r"[^\W\d_]+(?:[ '\-][^\W\d_]+)*")


class Number(NamedTuple):
    """A plain number read from a text; `value` is as written, before any division by 100."""

    value: Decimal
    percent: bool
    unit: Unit | None = None


def tidy(text: str) -> str:
    """The answer without what never changes it: outer dollars, spacing, a final full stop, `{,}`, `\\text{ (...)}`."""
    text = text.strip().rstrip("\\").strip()
    for left, right in _MARKS if text[:1] in _MARKING else ():
        inner = text[len(left) : len(text) - len(right)]
        if len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right):
            text = inner.strip() if left.strip("$") or "$" not in inner else text
    if "\\" in text or "{" in text or "~" in text:
        text = re.sub(r",(?:\\!)+\s*", ",", text.replace("{,}", ",").replace("\\displaystyle", " "))
        text = re.sub(r"(?<=\d)\\,(?=\d{3})|\\!", "", text)
        text = _SPACING.sub(" ", text)
        text = re.sub(r"(?<=[\w})\]])\s*\\text\s*\{\s*\([^{}]*\)\s*\}$", "", text)
    if text.isalnum():
        return text
    return re.sub(r"\s+", " ", text).strip(" ,;").removesuffix(".").strip()


def as_number(text: str) -> Number | None:
    """The plain number that `text` is, or None.

    Understood: sign, thousands commas or spaces (`1,234`, `1 234`, `1{,}234`), decimals, a currency sign in front
    or a dollar behind, a percent sign or word, degrees, one trailing unit of letters (`39 apples`,
    `5.4 \\text{ cents}`, `15 cm^2`), and powers of ten (`4.5e33`, `4.5 \\times 10^{33}`). Anything else is None:
    fractions, powers, `2k`, `3 million`, `1,2345`, `0,111`.
    """
    return _number(text) if len(text) < 400 else None


@lru_cache(maxsize=16384)
def _number(text: str) -> Number | None:
    text = tidy(text)
    if len(text) > 200 or not text:
        return None
    if "$" in text:
        text = re.sub(r"^\$([^$]*[^$\\])\$", r"\1", text)
    if (text[0].isalpha() and text[0].isascii()) or not any(c.isdigit() for c in text):
        return None
    if "e" in text or "E" in text or "10" in text:
        found = _SCIENTIFIC.fullmatch(text)
        if found is not None and (power := _power_of_ten(found)) is not None:
            return power
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    tail = _tail(match["rest"])
    if tail is None:
        return None
    if tail == (False, None) and "$" in text:
        tail = (False, unit_of("dollar"))
    sign = "-" if match["sign"] in _MINUS else ""
    return Number(Decimal(sign + match["digits"].replace(",", "").replace(" ", "")), *tail)


def _ascii_minus(text: str) -> str:
    return text.replace("\u2212", "-").replace("\u2013", "-")


def _power_of_ten(found: re.Match[str]) -> Number | None:
    groups = found.groupdict()
    exponent = groups["exponent"] or groups["braced"] or groups["typed"] or groups["bare"]
    rest = groups["rest"] or groups["erest"] or ""
    if len(exponent) > 6 or abs(int(_ascii_minus(exponent))) > LARGEST_EXPONENT:
        return None
    tail = _tail(rest)
    if tail is None or tail[0]:
        return None
    sign = "-" if (groups["sign"] or groups["esign"]) in _MINUS else ""
    digits = groups["digits"] or groups["edigits"] or "1"
    return Number(Decimal(f"{sign}{digits}e{_ascii_minus(exponent)}"), *tail)


def _tail(rest: str) -> tuple[bool, Unit | None] | None:
    """Whether what stands behind the digits is a percent sign, and its unit; None if it makes it no plain number."""
    bare = rest.strip()
    if "\\" in rest and _UNIT_RUN.fullmatch(_DEGREE_SIGN.sub("", rest, count=1)):
        inside = " ".join(found for found in _WRAPPED_UNIT.findall(rest))
        if (len(_WRAPPED_UNIT.findall(rest)) > 1 or _DEGREE_SIGN.match(rest)) and not UNIT_FREE.search(inside):
            return False, None
    if bare in {"", "$", "\\$", "\u20ac", "\u00a3", "\u00a5"}:
        return False, None
    if _DEGREE.fullmatch(rest):
        return False, unit_of("degree")
    if _PERCENT.fullmatch(rest):
        return True, None
    if rest in ("st", "nd", "rd", "th"):
        return False, None
    unit = _UNIT.fullmatch(rest)
    if unit is None:
        return None
    name = unit["boxed"] or unit["plain"] or ""
    if UNIT_FREE.search(name.removesuffix(" squared").removesuffix(" cubed")):
        return None
    known = unit_of(name, int(unit["power"] or {"\u00b2": 2, "\u00b3": 3}.get(unit["sign"] or "", 1)))
    if unit["plain"] and (not re.search(r"[A-Za-z]{2}", name) or (not rest[0].isspace() and known is None)):
        return None
    return False, known


def with_decimal_comma(text: str, *, gold: bool = False) -> Number | None:
    """The number that `text` is if its comma is a decimal one and its points or spaces are for thousands.

    `1000,99`, `2,74 \\$`, `1.234,5`, `1 234,5`, `1.234.567`; never where `as_number` reads `text` as it stands. Of a
    `gold` only `0,111`: `1,2` is a list there.
    """
    text = tidy(text)
    if not ("," in text or text.count(".") > 1) or len(text) > 200 or as_number(text) is not None:
        return None
    if gold and not re.match(r"[-\u2212\u2013]?0,\d", text):
        return None
    if not re.search(r"\d,\d+(?![\d,])|\d\.\d{3}\.\d{3}", text) or re.search(r",\d*,", text):
        return None
    return as_number(text.translate({ord(","): ".", ord("."): ","}))


def as_words(text: str) -> str | None:
    """`text` as lower-case words if it is nothing but words (`\\text{east}`, `Evelyn`, `(C)`), else None.

    A lone lower-case letter is a variable, and so are two or three letters outside `\\text{}`: not words.
    """
    tidied = tidy(text)
    wrapped = WRAPPED.sub(r"\1", tidied)
    bare = re.sub(r"\s+", " ", wrapped.strip(" .()")).strip()
    if not _WORDS.fullmatch(bare):
        return None
    letters = len(re.sub(r"\W", "", bare))
    choice = letters == 1 and bare.isupper()
    return bare.casefold() if choice or letters >= 4 or wrapped != tidied else None


def same_number(a: Number, b: Number, tolerance: float | None) -> bool:
    """Whether two numbers are the same by the policy of `equivalence`: percent, units, tolerance."""
    near = Decimal(str(tolerance)) if tolerance is not None else Decimal(0)
    if a.unit is not None and b.unit is not None and a.unit != b.unit:
        return same_quantity(a.value, a.unit, b.value, b.unit)
    if a.value == b.value or abs(a.value - b.value) <= near:
        return True
    if a.percent != b.percent:
        share, other = (a, b) if a.percent else (b, a)
        return abs(share.value / 100 - other.value) <= near
    return False


def without_unit(text: str) -> str:
    """`text` without the units behind its last digit or bracket: `\\frac{1}{2} \\mathrm{~m} / \\mathrm{s}`."""
    found = re.search(
        r"(?<=[\d})\]])((?:[\s/~]|\\cdot|\\[,;: ]|\\(?:text|mbox|mathrm)\s*\{[^{}0-9,;]*\}|\^\s*(?:\d|\{-?\d\}))+)$",
        text,
    )
    if found is None:
        return text
    # A power of the number itself is no part of the unit.
    start = re.match(r"\s*\^\s*(?:\d|\{-?\d\})", found.group(1))
    run = found.group(1)[start.end() :] if start else found.group(1)
    words = _WRAPPED_UNIT.findall(run)
    if not words or not _UNIT_RUN.fullmatch(run) or UNIT_FREE.search(" ".join(words)):
        return text
    return text[: len(text) - len(run)].rstrip()
