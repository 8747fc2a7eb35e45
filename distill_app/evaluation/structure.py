"""Answers of several parts: lists, sets, tuples, intervals, assignments, plus or minus. Text only, no algebra.

The policy:

- A gold list or set has no order, and a number of members: as many, each matched once. Round brackets round the
  answer's list do not matter; square ones do.
- A gold tuple or interval has an order. The answer has the same brackets (with three members and more, square brackets
  are a vector's, like round ones) or none; braces are a set, which has no order, and are wrong.
- `\\pm` is two members.
- Names. `x = 5` is `5` and not `y = 5`; `f(x) = ...` is its right side, whatever the letter in the brackets. Several
  assignments are compared by name; where a name comes again, a new solution begins, and solutions have no order. Where
  only one side has names, its values are taken in the order of the names if they differ, in any order if it is one
  unknown (`x = 2 or x = 3`, `x_1 = 2, x_2 = 3`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from distill_app.evaluation.notation import closing, elements, name_of, sides
from distill_app.evaluation.numbers import as_number

Leaf = Callable[[str, str], bool]
"""Says whether (gold, answer), two single expressions, are the same."""

_T = TypeVar("_T")
_MATRIX = re.compile(r"\\begin\{[pbBv]?matrix\}(.*)\\end\{[pbBv]?matrix\}", re.S)
_SET_SIGN = re.compile(r"\\(?:cup|cap|setminus|mathbb)(?![A-Za-z])")

MEMBERS = 64
"""Longer lists are not taken apart: they are compared as one expression."""


@dataclass(frozen=True, slots=True)
class Collection:
    """Members between brackets: "" (a bare list), "{}", "()", "[]", "(]", "[)"."""

    brackets: str
    members: tuple[str, ...]

    @property
    def ordered(self) -> bool:
        """Whether the brackets are those of a tuple or an interval."""
        return self.brackets not in ("", "{}")


def same(gold: str, answer: str, leaf: Leaf) -> bool:
    """Whether two answers in canonical form are the same by the policy above; `leaf` judges single expressions."""
    one, other = assignments(gold), assignments(answer)
    if one and other and (len(one) > 1 or len(other) > 1):
        return _same_solutions(one, other, leaf)
    left, right = collection(_unnamed(gold)), collection(_unnamed(answer))
    if one and len(one) > 1:
        return _values_match(one, right, leaf, named_is_gold=True)
    if other and len(other) > 1:
        return _values_match(other, left, leaf, named_is_gold=False)
    if left is None and right is not None:
        left = _matrix(gold, right)
    elif right is None and left is not None:
        right = _matrix(answer, left)
    if left is None and right is None:
        return leaf(gold, answer)
    if left is None or right is None:
        sets = bool(_SET_SIGN.search(gold) or _SET_SIGN.search(answer))
        return leaf(gold, answer) if sets or _is_interval(left) or _is_interval(right) else False
    if not left.ordered:
        if right.ordered and right.brackets != "()":
            return False
        return _match(left.members, right.members, lambda a, b: same(a, b, leaf))
    if len(left.members) != len(right.members) or right.brackets == "{}":
        return False
    exact = len(left.members) == 2 or left.brackets in ("(]", "[)")
    if right.brackets != left.brackets and right.brackets and exact:
        return False
    if not right.brackets and left.brackets != "()" and exact:
        return False
    return all(same(a, b, leaf) for a, b in zip(left.members, right.members, strict=True))


def collection(text: str) -> Collection | None:
    """The list, set, tuple or interval that `text` is, `\\pm` written out; None for a single expression."""
    text = text.strip()
    start = 1 if text.startswith("\\{") else 0
    if text[start : start + 1] and text[start] in "([{" and closing(text, start) == len(text) - 1:
        inner = text[start + 1 : -1].removesuffix("\\")
        members = _expanded(inner)
        if len(members) > 1:
            # TeX does not print a brace without its backslash.
            return Collection("" if text[start] == "{" and not start else text[start] + text[-1], members)
        # A single member in braces is TeX's group or a set of one.
        return collection(members[0]) if text[start] == "{" and members else None
    # 10,080 is a number and no list.
    members = _expanded(text) if as_number(text) is None else ()
    return Collection("", members) if len(members) > 1 else None


def assignments(text: str) -> list[tuple[str, str]]:
    """(name, value) of each member if every member is `name = value`, or `(p, q) = (3, 2)`; else nothing."""
    text = text.strip()
    if text.startswith("\\{") and closing(text, 1) == len(text) - 1:
        text = text[2:-1].removesuffix("\\")
    elif text[:1] in ("{", "(") and "=" in text and closing(text, 0) == len(text) - 1:
        text = text[1:-1]
    found: list[tuple[str, str]] = []
    for element in elements(text):
        parts = sides(element.text)
        name = name_of(parts[0]) if len(parts) > 1 else None
        if name is None or not parts[-1]:
            return []
        values = collection(parts[-1]) if name.startswith("(") else None
        names = name.strip("()").split(",")
        if values is not None and len(values.members) == len(names):
            found.extend(zip(names, values.members, strict=True))
        else:
            found.append((name, parts[-1]))
    return found if len(found) <= MEMBERS else []


def _expanded(text: str) -> tuple[str, ...]:
    """The members of a list, a name before the first one taken off if it stands for all (`x = 2, 3`)."""
    found: list[str] = []
    parts = [element.text for element in elements(text)]
    if len(parts) > MEMBERS:
        return (text,)
    for part in parts:
        value = _unnamed(part) if len(parts) > 1 or "\\pm" in part else part
        if re.search(r"\\(?:pm|mp)(?![A-Za-z])", value) and collection_brackets(value) is None:
            for plus, minus in (("+", "-"), ("-", "+")):
                spelled = re.sub(r"\\pm(?![A-Za-z])", plus, value)
                spelled = re.sub(r"\\mp(?![A-Za-z])", minus, spelled)
                found.append(re.sub(r"^\s*\+", "", spelled).strip())
        else:
            found.append(value)
    return tuple(found)


def collection_brackets(text: str) -> str | None:
    """The brackets round all of `text`, if what is in them is a list."""
    text = text.strip()
    start = 1 if text.startswith("\\{") else 0
    if text[start : start + 1] in ("(", "[", "{") and closing(text, start) == len(text) - 1:
        return text[start] if len(elements(text[start + 1 : -1].removesuffix("\\"))) > 1 else None
    return None


def _unnamed(text: str) -> str:
    """`text` without a name and its "=" (or "is in") in front: `(p, q) = (3, 2)` is `(3, 2)`."""
    if found := re.match(r"([^=<>]*?)\\in(?![A-Za-z])", text):
        return text[found.end() :].strip() if name_of(found.group(1)) else text
    parts = sides(text)
    if len(parts) > 1 and name_of(parts[0]):
        return parts[-1]
    return text


def _matrix(text: str, like: Collection) -> Collection | None:
    """A matrix as what it is compared with: a row or column as a tuple, several rows as a list of them."""
    found = _MATRIX.fullmatch(text.strip())
    if found is None or not like.ordered:
        return None
    rows = [[cell.strip() for cell in row.split("&")] for row in found.group(1).split("\\\\") if row.strip()]
    if len(rows) > 1 and len(rows[0]) > 1:
        return Collection(like.brackets, tuple(f"[{','.join(row)}]" for row in rows))
    return Collection(like.brackets, tuple(cell for row in rows for cell in row))


def _is_interval(found: Collection | None) -> bool:
    return found is not None and len(found.members) == 2 and found.ordered


def _solutions(named: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """Assignments as solutions: where a name comes again, the next one begins."""
    groups: list[dict[str, str]] = [{}]
    for name, value in named:
        if name in groups[-1]:
            groups.append({})
        groups[-1][name] = value
    return groups


def _same_solutions(gold: Sequence[tuple[str, str]], answer: Sequence[tuple[str, str]], leaf: Leaf) -> bool:
    def one_solution(left: dict[str, str], right: dict[str, str]) -> bool:
        if set(left) != set(right):
            heads = {_head(name): value for name, value in left.items()}
            others = {_head(name): value for name, value in right.items()}
            if set(heads) != set(others) or len(heads) != len(left) or len(others) != len(right):
                return False
            left, right = heads, others
        return all(same(value, right[name], leaf) for name, value in left.items())

    return _match(_solutions(gold), _solutions(answer), one_solution)


def _values_match(
    named: Sequence[tuple[str, str]], listed: Collection | None, leaf: Leaf, *, named_is_gold: bool
) -> bool:
    if listed is None:
        return False

    def judge(value: str, member: str) -> bool:
        return same(value, member, leaf) if named_is_gold else same(member, value, leaf)

    names = [name for name, _ in named]
    values = [value for _, value in named]
    one_unknown = len({_base(name) for name in names}) == 1
    if one_unknown and not (listed.ordered and not named_is_gold):
        return _match(values, list(listed.members), judge)
    if len(set(names)) < len(names) or len(values) != len(listed.members):
        return False
    by_name = (
        [value for _, value in sorted(named)] if all(re.fullmatch(r"[A-Za-z](?:_?\d+)?", n) for n in names) else []
    )
    orders = [values] if named_is_gold or not by_name else [by_name]
    if named_is_gold and by_name and by_name != values:
        orders.append(by_name)
    return any(all(judge(v, m) for v, m in zip(order, listed.members, strict=True)) for order in orders)


def _base(name: str) -> str:
    return re.sub(r"[_\d]+$", "", _head(name))


def _head(name: str) -> str:
    """The name of a function without its argument: `W(n)` and `W(x)` are one."""
    return re.sub(r"\([A-Za-z]\)$", "()", name)


def same_name(left: str, right: str) -> bool:
    """Whether two left sides name the same thing."""
    return left == right or _head(left) == _head(right)


def _match(gold: Sequence[_T], answer: Sequence[_T], judge: Callable[[_T, _T], bool]) -> bool:
    """Whether every member of one can be paired with its own member of the other."""
    if len(gold) != len(answer):
        return False
    partner: dict[int, int] = {}
    known: dict[tuple[int, int], bool] = {}

    def fits(i: int, j: int) -> bool:
        if (i, j) not in known:
            known[i, j] = judge(gold[i], answer[j])
        return known[i, j]

    def place(i: int, tried: set[int]) -> bool:
        for j in sorted(range(len(answer)), key=lambda j: j != i):
            if j not in tried and fits(i, j):
                tried.add(j)
                if j not in partner or place(partner[j], tried):
                    partner[j] = i
                    return True
        return False

    return all(place(i, set()) for i in range(len(gold)))
