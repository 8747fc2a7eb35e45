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

from distill_app.evaluation import reading, structure
from distill_app.evaluation.forms import has_form, same_form
from distill_app.evaluation.notation import canonical, has_comparison, name_of, sides, without_remark
from distill_app.evaluation.numbers import as_number, as_words, same_number, tidy, with_decimal_comma, without_unit
from distill_app.evaluation.towers import same_tower

_NUMBERS = re.compile(r"[(\[](?:[-\d\s.]|,(?!\d{3}(?!\d)))*[)\]]")
"""Numbers in brackets, in none of which a comma can be for thousands."""

__all__ = ["as_number", "compare", "equivalent", "quick", "understood"]


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
        return same_number(a, b, tolerance)
    words = as_words(gold)
    if words is not None:
        if a is not None:
            return False
        theirs = as_words(extracted)
        if theirs is not None:
            return words == theirs
    return same_tower(left, right) if "^" in left or "^" in right else None


def equivalent(extracted: str, gold: str, tolerance: float | None = None) -> bool:
    """Whether `extracted` is the answer that `gold` is (gold first in mind: it is not symmetric).

    Nothing in here limits its own time: math-verify's limits use SIGALRM, miss some hangs, and turn the rest into
    "not equal". Call this only where a hang can be stopped from outside. An answer that cannot be parsed, or on which
    sympy fails, is not equal; running out of memory raises `MemoryError`.
    """
    answer, answer_remark = _taken(extracted)
    wanted, gold_remark = _taken(gold)
    if answer_remark and gold_remark and _folded(answer_remark) != _folded(gold_remark):
        return False
    if not answer or not wanted:
        return False

    def leaf(one: str, other: str) -> bool:
        return _same_expression(one, other, tolerance)

    if _may_be_regions(wanted, answer) and reading.same_region(wanted, answer):
        return True
    return structure.same(wanted, answer, leaf)


def compare(extracted: str, gold: str, tolerance: float | None = None) -> bool:
    """Whether the answers are the same: `quick`, else `equivalent`. May hang: `grading.grade` cannot."""
    settled = quick(extracted, gold, tolerance)
    return equivalent(extracted, gold, tolerance) if settled is None else settled


def _taken(text: str) -> tuple[str, str]:
    """An answer in canonical form, without its unit, and the remark behind it."""
    text = without_unit(_inner(text))
    if len(re.findall(r"=", text)) > 1:
        text = re.sub(r"\\q?quad(?![A-Za-z])", ", ", text)
    text, remark = without_remark(canonical(text))
    return canonical(_inner(text)), remark


def _inner(text: str) -> str:
    """`text` tidied, without any dollar that only marks mathematics: `$1$ and $2$` is `1 and 2`."""
    return tidy(re.sub(r"(?<!\\)\$", " ", tidy(text)).replace("\\$", " "))


def _folded(text: str) -> str:
    return re.sub(r"[\s{}$]|\\text", "", text).casefold()


def _may_be_regions(gold: str, answer: str) -> bool:
    """Whether two texts can be one set of reals: numbers in brackets with two commas are no interval.

    That is seen here because reading them to find it out takes 20 ms.
    """
    listed = any(_NUMBERS.fullmatch(text) and text.count(",") > 1 for text in (gold, answer))
    return not listed and _is_region(gold) and _is_region(answer)


def _is_region(text: str) -> bool:
    return reading.is_inequality(text) or bool(re.match(r"[(\[]|\\mathbb|\\emptyset", text))


def _same_expression(gold: str, answer: str, tolerance: float | None) -> bool:
    """Whether two single expressions are the same: names off, approximations cut, then numbers, words, algebra."""
    gold, answer = _without_approximation(gold), _without_approximation(answer)
    settled = quick(answer, gold, tolerance)
    if settled is not None:
        return settled
    if (settled := same_form(gold, answer)) is not None:
        return settled
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


def understood(gold: str) -> bool:
    """Whether algebra makes anything of a gold answer that is no number and no words. May hang.

    One that it does not understand could only be met character by character: a right answer in other notation could
    never be seen as right.
    """
    wanted, _ = _taken(gold)
    if not wanted:
        return False

    def leaf(one: str, _: str) -> bool:
        one = _without_approximation(one)
        value = (_named(one) or ("", one))[1]
        if as_number(value) or as_words(value) or has_form(value):
            return True
        if value != one and structure.collection(value) is not None:
            return structure.same(value, value, leaf)
        return reading.read(value) is not None

    return (_is_region(wanted) and reading.same_region(wanted, wanted)) or structure.same(wanted, wanted, leaf)
