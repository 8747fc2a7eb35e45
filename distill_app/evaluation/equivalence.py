"""Whether two answers are the same: plain numbers and words here and now, everything else by algebra.

`quick` settles what needs no algebra and never hangs; it returns None for the rest. `equivalent` takes an answer apart
(`structure`) and asks math-verify for each part (`reading`), which can run for hours on hostile input: `grading` calls
it in a process that can be killed.

Policy, beside that of `structure` and `units`:

- Numbers are compared exactly: 5.001 is not 5. There is no rounding unless a tolerance is given; a decimal of six
  places or more stands for the number that it is the rounded form of (0.333333 for 1/3, 1.414214 for sqrt 2).
- A percent sign on one side alone may stand for a hundredth or be left out: gold 28% takes 28 and 0.28.
- A comma before groups of three digits is for thousands. Any other comma in the answer is a decimal comma where the
  gold is a plain number (1000,99 is 1000.99); in a gold it is one only behind a zero (0,111), else a list.
- Degrees and currency signs are dropped. `52_8` is compared by digits where one side leaves the base out.
- An inequality in one unknown and the interval it describes are the same.
- A remark (", where n is an integer") is left out where one side has it; two remarks must be the same, too.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from distill_app.evaluation import reading, structure
from distill_app.evaluation.notation import canonical, has_comparison, name_of, sides, without_remark
from distill_app.evaluation.towers import same_tower
from distill_app.evaluation.units import Unit, same_quantity, unit_of

UNIT_FREE = re.compile(
    r"\b(?:and|or|to|of|by|times|plus|minus|over|squared|cubed|dozen|hundred|thousand|million|billion|trillion"
    r"|half|quarter|third|pi|sqrt|sin|cos|tan|log|ln|mod|oo|inf|infinity|am|pm|a\.?m|p\.?m)\b",
    re.IGNORECASE,
)
"""Words after a number that change its value: with one of them the text is not a plain number with a unit."""

LARGEST_EXPONENT = 5000
"""A power of ten up to here is a plain number; beyond, algebra."""

_MARKS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("**", "**"))
_MARKING = ("$", "\\", "*")
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
_SCIENTIFIC = re.compile(
    r"(?P<sign>[-+\u2212]?)\s*(?:(?P<digits>\d+(?:\.\d+)?)\s*(?:\\times|\\cdot|\*|x|\u00d7|\u00b7)\s*)?"
    r"10\s*\^\s*(?:\{\s*(?P<braced>[-+\u2212]?\d+)\s*\}|\(\s*(?P<typed>[-+\u2212]?\d+)\s*\)|(?P<bare>[-\u2212]?\d+))"
    r"(?P<rest>.*)"
    r"|(?P<esign>[-+\u2212]?)(?P<edigits>\d+(?:\.\d+)?|\.\d+)[eE](?P<exponent>[-+]?\d+)(?P<erest>.*)",
    re.DOTALL,
)
_PERCENT = re.compile(r"\s*(?:\\?%|(?:\s|\\text\{\s*)?(?:percent|percentage|pct)\}?)\s*$", re.IGNORECASE)
_DEGREE = re.compile(r"\s*(?:\^\s*\{?\s*\\circ\s*\}?|\u00b0|\\degree)\s*$")
_UNIT = re.compile(
    r"(?:\s*\\(?:text|mbox|mathrm|textbf)\{(?P<boxed>[^{}0-9]*)\}|\s*(?P<plain>[A-Za-z][A-Za-z./ ]+))"
    r"(?:\^\{?(?P<power>[23])\}?|(?P<sign>[\u00b2\u00b3]))?\s*$"
)
_WRAPPED = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_WORDS = re.compile(r"[^\W\d_]+(?:[ '\-][^\W\d_]+)*")
_CLOCK = re.compile(r"(\d{1,2})(?:(?::([0-5]\d))\s*(?:([ap])\.? ?m\.?)?|\s*([ap])\.? ?m\.?)", re.I)
_CONGRUENT = re.compile(r"(.*?)\\equiv\s*(-?\d+)\s*\(?\\[pb]?mod\s*\{?\s*(\d+)\s*\}?\)?")
_BASE = re.compile(r"([0-9A-Za-z]+)_\{?(\d+)\}?")
_RATIO = re.compile(r"[^:=,\s()]+(?:\s*:\s*[^:=,\s()]+){2,}")


class Number(NamedTuple):
    """A plain number read from a text; `value` is as written, before any division by 100."""

    value: Decimal
    percent: bool
    unit: Unit | None = None


def tidy(text: str) -> str:
    """The answer without what never changes it: outer dollars, spacing commands, final full stop, `{,}`, a remark in brackets."""
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
    sign = "-" if match["sign"] in {"-", "\u2212"} else ""
    return Number(Decimal(sign + match["digits"].replace(",", "").replace(" ", "")), *tail)


def _power_of_ten(found: re.Match[str]) -> Number | None:
    groups = found.groupdict()
    exponent = groups["exponent"] or groups["braced"] or groups["typed"] or groups["bare"]
    rest = groups["rest"] or groups["erest"] or ""
    if len(exponent) > 6 or abs(int(exponent.replace("\u2212", "-"))) > LARGEST_EXPONENT:
        return None
    tail = _tail(rest)
    if tail is None or tail[0]:
        return None
    sign = "-" if (groups["sign"] or groups["esign"]) in {"-", "\u2212"} else ""
    digits = groups["digits"] or groups["edigits"] or "1"
    return Number(Decimal(f"{sign}{digits}e{exponent.replace(chr(0x2212), '-')}"), *tail)


def _tail(rest: str) -> tuple[bool, Unit | None] | None:
    """Whether what stands behind the digits is a percent sign, and its unit; None if it makes it no plain number."""
    bare = rest.strip()
    if bare in {"", "$", "\\$", "\u20ac", "\u00a3", "\u00a5"} or _DEGREE.fullmatch(rest):
        return False, None
    if _PERCENT.fullmatch(rest):
        return True, None
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
    if gold and not re.match(r"[-\u2212]?0,\d", text):
        return None
    if not re.search(r"\d,\d+(?![\d,])|\d\.\d{3}\.\d{3}", text) or re.search(r",\d*,", text):
        return None
    return as_number(text.translate({ord(","): ".", ord("."): ","}))


def as_words(text: str) -> str | None:
    """`text` as lower-case words if it is nothing but words (`\\text{east}`, `Evelyn`, `(C)`), else None.

    A lone lower-case letter is a variable, and so are two or three letters outside `\\text{}`: not words.
    """
    tidied = tidy(text)
    wrapped = _WRAPPED.sub(r"\1", tidied)
    bare = re.sub(r"\s+", " ", wrapped.strip(" .()")).strip()
    if not _WORDS.fullmatch(bare):
        return None
    letters = len(re.sub(r"\W", "", bare))
    choice = letters == 1 and bare.isupper()
    return bare.casefold() if choice or letters >= 4 or wrapped != tidied else None


def quick(extracted: str, gold: str, tolerance: float | None = None) -> bool | None:
    """Equal, unequal, or None where it takes algebra to tell. Never slow, never raises.

    1. The same text after `tidy` is equal. 2. Two plain numbers are compared as exact decimals: `27.0` is `27`,
    `5.001` is not `5`, or by `tolerance`. 3. A gold of words is compared with words, without regard to case. 4. Towers
    of powers are compared by their exponents.
    """
    left, right = tidy(extracted), tidy(gold)
    if left and left == right:
        return True
    a, b = as_number(extracted), as_number(gold)
    if b is None and a is not None:
        b = with_decimal_comma(gold, gold=True)
    elif a is None and b is not None:
        a = with_decimal_comma(extracted)
    if a is not None and b is not None:
        return _same_number(a, b, tolerance)
    words = as_words(gold)
    if words is not None:
        if a is not None:
            return False
        theirs = as_words(extracted)
        if theirs is not None:
            return words == theirs
    return same_tower(left, right) if "^" in left or "^" in right else None


def _same_number(a: Number, b: Number, tolerance: float | None) -> bool:
    near = Decimal(str(tolerance)) if tolerance is not None else Decimal(0)
    if a.unit is not None and b.unit is not None and a.unit != b.unit:
        return same_quantity(a.value, a.unit, b.value, b.unit)
    if a.value == b.value or abs(a.value - b.value) <= near:
        return True
    if a.percent != b.percent:
        share, other = (a, b) if a.percent else (b, a)
        return abs(share.value / 100 - other.value) <= near
    return False


def equivalent(extracted: str, gold: str, tolerance: float | None = None) -> bool:
    """Whether `extracted` is the answer that `gold` is (gold first in mind: it is not symmetric).

    Nothing in here limits its own time: math-verify's limits use SIGALRM, miss some hangs, and turn the rest into
    "not equal". Call this only where a hang can be stopped from outside. An answer that cannot be parsed, or on which
    sympy fails, is not equal; running out of memory raises `MemoryError`.
    """
    answer, answer_remark = without_remark(canonical(tidy(extracted)))
    wanted, gold_remark = without_remark(canonical(_inner(gold)))
    answer = canonical(_inner(answer))
    wanted = canonical(_inner(wanted))
    if answer_remark and gold_remark and _folded(answer_remark) != _folded(gold_remark):
        return False
    if not answer or not wanted:
        return False

    def leaf(one: str, other: str) -> bool:
        return _same_expression(one, other, tolerance)

    if _is_region(wanted) and _is_region(answer) and reading.same_region(wanted, answer):
        return True
    return structure.same(wanted, answer, leaf)


def compare(extracted: str, gold: str, tolerance: float | None = None) -> bool:
    """Whether the answers are the same: `quick`, else `equivalent`. May hang: `grading.grade` cannot."""
    settled = quick(extracted, gold, tolerance)
    return equivalent(extracted, gold, tolerance) if settled is None else settled


def _inner(text: str) -> str:
    """`text` tidied, without any dollar that only marks mathematics: `$1$ and $2$` is `1 and 2`."""
    return tidy(re.sub(r"(?<!\\)\$", " ", tidy(text)).replace("\\$", " "))


def _folded(text: str) -> str:
    return re.sub(r"[\s{}$]|\\text", "", text).casefold()


def _is_region(text: str) -> bool:
    return reading.is_inequality(text) or bool(re.match(r"[(\[]|\\mathbb|\\emptyset", text))


def _same_expression(gold: str, answer: str, tolerance: float | None) -> bool:
    """Whether two single expressions are the same: names off, approximations cut, then numbers, words, algebra."""
    gold, answer = _without_approximation(gold), _without_approximation(answer)
    settled = quick(answer, gold, tolerance)
    if settled is not None:
        return settled
    if (based := _same_in_base(gold, answer)) is not None:
        return based
    if _RATIO.fullmatch(gold) or _RATIO.fullmatch(answer):
        return _same_ratio(gold, answer)
    if "\\equiv" in gold or "\\equiv" in answer:
        return _congruent(gold, answer)
    if (one := _CLOCK.fullmatch(_unwrapped(gold))) and (other := _CLOCK.fullmatch(_unwrapped(answer))):
        halves = {half.lower() for half in (one[3] or one[4], other[3] or other[4]) if half}
        return (int(one[1]), one[2] or "00") == (int(other[1]), other[2] or "00") and len(halves) < 2
    left, right = _named(gold), _named(answer)
    if left is not None and right is not None:
        if structure.same_name(left[0], right[0]):
            return structure.same(left[1], right[1], lambda a, b: _same_expression(a, b, tolerance))
        return _has_letters(left[1]) and _has_letters(right[1]) and reading.equal(gold, answer, tolerance)
    if left is not None and len(sides(answer)) == 1 and not reading.is_inequality(answer):
        return structure.same(left[1], answer, lambda a, b: _same_expression(a, b, tolerance))
    if len(sides(gold)) == 1 and not has_comparison(gold) and len(sides(answer)) > 1:
        return structure.same(gold, sides(answer)[-1], lambda a, b: _same_expression(a, b, tolerance))
    return reading.equal(gold, answer, tolerance)


def _named(text: str) -> tuple[str, str] | None:
    """Name and value of `x = ...`, of the last side where there are more."""
    parts = sides(text)
    name = name_of(parts[0]) if len(parts) > 1 else None
    return (name, parts[-1]) if name is not None and parts[-1] else None


def _has_letters(text: str) -> bool:
    return bool(re.search(r"(?<![A-Za-z\\])[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", text)))


def _without_approximation(text: str) -> str:
    """`text` before its first approximation sign, or after it where only a name stands before."""
    before, sign, after = text.partition("\\approx")
    if not sign:
        return text
    before, after = before.strip(" ="), after.strip()
    return after.partition("\\approx")[0].strip() if not before or name_of(before) else before


def _same_in_base(gold: str, answer: str) -> bool | None:
    """Numbers with a base: by value where both have one, by digits where one leaves it out; None if none has."""
    left, right = _BASE.fullmatch(gold.replace(" ", "")), _BASE.fullmatch(answer.replace(" ", ""))
    if not ((left and left[1][0].isdigit()) or (right and right[1][0].isdigit())):
        return None
    if left and right:
        return left[1].lower() == right[1].lower() and left[2] == right[2]
    one, other = (left[1], answer) if left else (gold, right[1] if right else "")
    return one.lower() == other.replace(" ", "").lower()


def _unwrapped(text: str) -> str:
    return _WRAPPED.sub(r"\1", text).strip()


def _congruent(gold: str, answer: str) -> bool:
    """`x \\equiv 3 \\pmod 7` is `x \\equiv 10 \\pmod 7`; against a plain number, its residue as written counts."""
    left, right = _CONGRUENT.fullmatch(gold), _CONGRUENT.fullmatch(answer)
    if left and right:
        same_left = left[1].replace(" ", "") == right[1].replace(" ", "")
        return same_left and left[3] == right[3] and (int(left[2]) - int(right[2])) % int(left[3]) == 0
    return bool(quick(right[2] if right else answer, left[2] if left else gold)) if left or right else False


def _same_ratio(gold: str, answer: str) -> bool:
    """`3:4:5` is `6:8:10`: of three terms and more, each is compared with the first."""
    left, right = gold.split(":"), answer.split(":")
    if len(left) != len(right):
        return False
    return all(
        reading.equal(f"({a})\\cdot ({right[0]})", f"({b})\\cdot ({left[0]})") for a, b in zip(left, right, strict=True)
    )


def understood(gold: str) -> bool:
    """Whether algebra makes anything of a gold answer that is no number and no words. May hang.

    One that it does not understand could only be met character by character: a right answer in other notation could
    never be seen as right.
    """
    wanted, _ = without_remark(canonical(_inner(gold)))
    wanted = canonical(_inner(wanted))
    if not wanted:
        return False

    def leaf(one: str, _: str) -> bool:
        one = _without_approximation(one)
        value = (_named(one) or ("", one))[1]
        forms = (_CONGRUENT.fullmatch, _RATIO.fullmatch, as_number, as_words)
        if any(form(value) for form in forms) or _CLOCK.fullmatch(_unwrapped(value)) or _same_in_base(value, value):
            return True
        if value != one and structure.collection(value) is not None:
            return structure.same(value, value, leaf)
        return reading.read(value) is not None

    return (_is_region(wanted) and reading.same_region(wanted, wanted)) or structure.same(wanted, wanted, leaf)
