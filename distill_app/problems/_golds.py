"""Gold answers, read by the kind of answer a problem has: `auto`, `number`, `integer`, `choice` or `yes_no`."""

from __future__ import annotations

from distill_app.evaluation.equivalence import as_number
from distill_app.problems._rows import BadRow, Row, as_text, value_of

_YES_NO = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}


def gold(row: Row, column: str, kind: str, answer_after: str | None) -> str:
    """The gold answer in `column`, as text of its kind. `BadRow` where there is none, or it is of another kind.

    Of a list of answers it is the only one, or all of them joined by ", ". `answer_after` keeps what follows the
    last such mark. For `yes_no`, true and yes are "yes", false and no are "no"; an `integer` loses commas and leading
    zeros ("27.0" is "27"); a `number` and every other answer stay as they are written. A `choice` is not checked here:
    see `_choices`.
    """
    value = value_of(row, column)
    if isinstance(value, bool) and kind == "yes_no":
        return "yes" if value else "no"
    if isinstance(value, list):
        if not value:
            raise BadRow(f"column {column!r} is an empty list", f"{column!r} is empty")
        text = ", ".join(as_text(item, column, numbers=True) for item in value)
    else:
        text = as_text(value, column, numbers=True)
    if answer_after is not None:
        text = _after(text, answer_after, column)
    if kind == "yes_no":
        if text.casefold() not in _YES_NO:
            raise BadRow(f"the answer {text[:80]!r} in column {column!r} is neither yes nor no", "no yes or no")
        return _YES_NO[text.casefold()]
    if kind == "integer":
        return _integer(text, column)
    if kind == "number" and not is_number(text):
        raise BadRow(f"the answer {text[:80]!r} in column {column!r} is not a number", "no number")
    return text


def is_number(text: str) -> bool:
    """Whether `text` is a plain number, as the grader reads one."""
    return as_number(text) is not None


def _after(text: str, mark: str, column: str) -> str:
    _, found, answer = text.rpartition(mark)
    if not found:
        raise BadRow(f"column {column!r} does not hold the mark {mark!r} of answer_after", f"no mark {mark!r}")
    if not answer.strip():
        raise BadRow(f"nothing follows the mark {mark!r} in column {column!r}", f"nothing after {mark!r}")
    return answer.strip()


def _integer(text: str, column: str) -> str:
    number = as_number(text)
    if number is None or number.percent or number.value != number.value.to_integral_value():
        raise BadRow(f"the answer {text[:80]!r} in column {column!r} is not a whole number", "no whole number")
    return str(int(number.value))


def tolerance(row: Row, column: str) -> float | None:
    """How far from the gold answer a number may be: a number at least 0, or text of one; null and "" are none."""
    value = value_of(row, column)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        found = float(as_text(value, column, numbers=True))
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise BadRow(
            f"column {column!r} holds {str(value)[:40]!r}, which is no tolerance", f"{column!r} is no tolerance"
        )
    return found
