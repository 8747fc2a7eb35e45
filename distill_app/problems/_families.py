"""The arithmetic of the template families: which numbers are drawn, which steps solve the problem.

Wording lives in `_wording.py`. A family's operand tuple is what decides the split a problem belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distill_app.records import Step


@dataclass(frozen=True, slots=True)
class Size:
    """The numbers of one difficulty. Ranges are what is drawn; the two limits bound every step."""

    addend: range
    factor: range
    times: range
    sums_below: int
    products_below: int


SIZES = {
    "small": Size(range(2, 56), range(2, 45), range(2, 10), 60, 90),
    "medium": Size(range(10, 100), range(10, 100), range(2, 13), 1_000, 1_200),
    "large": Size(range(100, 1_000), range(100, 1_000), range(2, 100), 10_000, 100_000),
}

Work = tuple[dict[str, int], tuple[Step, ...]]


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of problem. `slots` gives what each operand is drawn from, `work` the numbers and the steps.

    `work(*operands)` returns the numbers the wording may show, by letter, and the steps; the last step's result
    is the answer. Operands of a `commutative` family count as the same tuple in any order.
    """

    name: str
    skills: tuple[str, ...]
    slots: Callable[[Size], tuple[Sequence[int], ...]]
    work: Callable[..., Work]
    commutative: bool = False


def _step(left: float, operator: str, right: float, label: str) -> Step:
    if operator == "/":
        result = left / right
    else:
        result = left + right if operator == "+" else left - right if operator == "-" else left * right
    return Step(float(left), operator, float(right), float(result), label)


def _add(a: int, b: int) -> Work:
    return {"a": a, "b": b}, (_step(a, "+", b, "total"),)


def _sub(b: int, rest: int) -> Work:
    return {"a": b + rest, "b": b}, (_step(b + rest, "-", b, "number left"),)


def _mul(a: int, b: int) -> Work:
    return {"a": a, "b": b}, (_step(a, "*", b, "total"),)


def _div(groups: int, each: int) -> Work:
    return {"a": groups * each, "b": groups}, (_step(groups * each, "/", groups, "number for each"),)


def _area(a: int, b: int) -> Work:
    return {"a": a, "b": b}, (_step(a, "*", b, "area"),)


def _perimeter(a: int, b: int) -> Work:
    half = _step(a, "+", b, "length of two sides")
    return {"a": a, "b": b}, (half, _step(half.result, "*", 2, "perimeter"))


def _add_three(a: int, b: int, c: int) -> Work:
    first = _step(a, "+", b, "first two together")
    return {"a": a, "b": b, "c": c}, (first, _step(first.result, "+", c, "total"))


def _off_and_on(b: int, rest: int, c: int) -> Work:
    left = _step(b + rest, "-", b, "number left after the first change")
    return {"a": b + rest, "b": b, "c": c}, (left, _step(left.result, "+", c, "number at the end"))


def _mul_add(a: int, b: int, c: int) -> Work:
    packed = _step(a, "*", b, "number in the equal groups")
    return {"a": a, "b": b, "c": c}, (packed, _step(packed.result, "+", c, "total"))


def _mul_sub(a: int, b: int, c: int) -> Work:
    packed = _step(a, "*", b, "number at the start")
    return {"a": a, "b": b, "c": c}, (packed, _step(packed.result, "-", c, "number left"))


def _share(groups: int, each: int, a: int) -> Work:
    b = groups * each - a
    pooled = _step(a, "+", b, "number to share")
    return {"a": a, "b": b, "c": groups}, (pooled, _step(pooled.result, "/", groups, "number for each"))


def _left_share(groups: int, each: int, b: int) -> Work:
    a = groups * each + b
    rest = _step(a, "-", b, "number still to go")
    return {"a": a, "b": b, "c": groups}, (rest, _step(rest.result, "/", groups, "number of equal parts"))


def _rate(hours: int, per_hour: int, longer: int) -> Work:
    rate = _step(hours * per_hour, "/", hours, "number in one unit of time")
    answer = _step(rate.result, "*", longer, "number in the longer time")
    return {"a": hours * per_hour, "b": hours, "c": longer}, (rate, answer)


def _times(a: int, k: int) -> Work:
    other = _step(a, "*", k, "larger amount")
    return {"a": a, "b": k}, (other, _step(a, "+", other.result, "both together"))


def _compare(a: int, b: int) -> Work:
    other = _step(a, "+", b, "larger amount")
    return {"a": a, "b": b}, (other, _step(a, "+", other.result, "both together"))


def _change(price: int, count: int, paid: int) -> Work:
    cost = _step(count, "*", price, "cost")
    return {"a": count, "b": price, "c": paid}, (cost, _step(paid, "-", cost.result, "change"))


def _percent(percent: int, part: int) -> Work:
    parts = _step(100, "/", percent, "number of equal parts")
    whole = part * (100 // percent)
    return {"a": whole, "b": percent}, (parts, _step(whole, "/", parts.result, "part asked for"))


def _discount(percent: int, part: int) -> Work:
    numbers, (parts, off) = _percent(percent, part)
    off = _step(off.left, "/", off.right, "amount taken off")
    return numbers, (parts, off, _step(numbers["a"], "-", off.result, "new amount"))


def _equation(number: int, k: int, b: int) -> Work:
    c = number * k + b
    before = _step(c, "-", b, "number before the last change")
    return {"a": k, "b": b, "c": c}, (before, _step(before.result, "/", k, "number thought of"))


def _two_kinds(a: int, b: int, c: int, d: int) -> Work:
    first, second = _step(a, "*", b, "first kind"), _step(c, "*", d, "second kind")
    return {"a": a, "b": b, "c": c, "d": d}, (first, second, _step(first.result, "+", second.result, "total"))


def _average(a: int, b: int, mean: int) -> Work:
    c = 3 * mean - a - b
    first = _step(a, "+", b, "first two together")
    total = _step(first.result, "+", c, "all three together")
    return {"a": a, "b": b, "c": c}, (first, total, _step(total.result, "/", 3, "average"))


_PERCENTS = (5, 20, 25, 50)
_NOTES = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)


def _two_addends(size: Size) -> tuple[Sequence[int], ...]:
    return size.addend, size.addend


def _two_factors(size: Size) -> tuple[Sequence[int], ...]:
    return size.factor, size.times


def _factors_and_addend(size: Size) -> tuple[Sequence[int], ...]:
    return size.factor, size.times, size.addend


def _groups_and_addend(size: Size) -> tuple[Sequence[int], ...]:
    return size.times, size.factor, size.addend


_FAMILIES = (
    Family("add", ("addition",), _two_addends, _add, commutative=True),
    Family("sub", ("subtraction",), _two_addends, _sub),
    Family("mul", ("multiplication",), _two_factors, _mul, commutative=True),
    Family("div", ("division",), lambda s: (s.times, s.factor), _div),
    Family("area", ("multiplication", "area"), _two_factors, _area, commutative=True),
    Family("perimeter", ("addition", "multiplication", "perimeter"), _two_addends, _perimeter, commutative=True),
    Family("add_three", ("addition",), lambda s: (s.addend,) * 3, _add_three, commutative=True),
    Family("off_and_on", ("subtraction", "addition"), lambda s: (s.addend,) * 3, _off_and_on),
    Family("mul_add", ("multiplication", "addition"), _factors_and_addend, _mul_add),
    Family("mul_sub", ("multiplication", "subtraction"), _factors_and_addend, _mul_sub),
    Family("share", ("addition", "division", "sharing"), _groups_and_addend, _share),
    Family("save_up", ("subtraction", "division", "money"), _groups_and_addend, _left_share),
    Family("rate", ("division", "multiplication", "rates"), lambda s: (s.times, s.factor, s.times), _rate),
    Family("times", ("multiplication", "addition", "comparison"), _two_factors, _times),
    Family("compare", ("addition", "comparison"), _two_addends, _compare),
    Family("change", ("multiplication", "subtraction", "money"), lambda s: (s.factor, s.times, _NOTES), _change),
    Family("percent", ("percentages", "division"), lambda s: (_PERCENTS, s.factor), _percent),
    Family(
        "discount",
        ("percentages", "division", "subtraction", "money"),
        lambda s: (_PERCENTS, s.factor),
        _discount,
    ),
    Family("equation", ("subtraction", "division", "equations"), _factors_and_addend, _equation),
    Family(
        "two_kinds",
        ("multiplication", "addition", "money"),
        lambda s: (s.times, s.factor, s.times, s.factor),
        _two_kinds,
    ),
    Family("average", ("addition", "division", "averages"), lambda s: (s.addend,) * 3, _average),
)

FAMILIES: dict[str, Family] = {family.name: family for family in _FAMILIES}
"""The families by name, in the order the generator takes turns."""


def fits(numbers: dict[str, int], steps: Sequence[Step], size: Size) -> bool:
    """Whether the question's numbers are integers from 2 and every step lies inside the limits of `size`.

    In a problem of several steps no result may equal a number of the question or another result: so a mistake in
    one step can be carried, by value and without doubt, into the later steps that use it.
    """
    if any(number < 2 for number in numbers.values()):
        return False
    for step in steps:
        if not step.result.is_integer() or min(step.left, step.right, step.result) < 1:
            return False
        limit = size.sums_below if step.operator in "+-" else size.products_below
        out_of_hundred = step.operator == "/" and step.left == 100  # how a percentage becomes a number of parts
        if max(step.left, step.result) >= limit and not out_of_hundred:
            return False
    results = {step.result for step in steps}
    return len(steps) == 1 or (len(results) == len(steps) and results.isdisjoint(numbers.values()))
