"""Multiple-choice questions: the options written below the question, one a line, and the answer as a letter.

One form for every source:

    Which of these floats on water?
    A) a stone
    B) a cork

Options are lettered A, B, ... in their order, whatever the data call them (1, 2, ...): a student meets letters only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from distill_app.problems._rows import BadRow, Row, as_text, value_of

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_INSTRUCT = re.compile(
    r"(?:Please choose the correct answer to the question:\s*)?(?P<question>.+?)\s*\n+"
    r"(?P<options>Answer1:.*?)\s*\n+Answer format: \S+\s*",
    re.DOTALL,
)
_INSTRUCT_OPTION = re.compile(r"(?:^|(?<=\s))Answer(\d):\s*")


def asked(row: Row, question: str, answer: str, choices: str | None, labels: str | None) -> tuple[str, str]:
    """The question with its options below, and the letter of the right one.

    `choices` and `labels` are columns: the options' texts, and what the gold `answer` calls each (null: A, B, ... or
    the option's text). Where the row has no such column the question must hold its options itself: marked by letters,
    the answer's among them ("(C)", "C)", "C."), or in the form of the LLM-Adapters data ("Answer1: ... Answer2: ...",
    answer "answer2"), which is written anew. `BadRow` where there are no options, or the answer is none of them.
    """
    if choices is not None and (choices in row or "." in choices):
        options = _list(row, choices)
        names = list(LETTERS) if labels is None else _list(row, labels)
        if not 2 <= len(options) <= len(LETTERS):
            raise BadRow(f"column {choices!r} holds {len(options)} options", "too few or too many options")
        if labels is not None and len(names) != len(options):
            raise BadRow(f"there are {len(options)} options and {len(names)} labels", "labels that do not fit")
        return written(question, options), LETTERS[
            _place(answer, names[: len(options)], options if labels is None else ())
        ]
    if instruct := _INSTRUCT.fullmatch(question):
        return _instruct(instruct, answer)
    letter = re.sub(r"^\(?([A-Z])[).]?$", r"\1", answer)
    if not re.fullmatch(r"[A-Z]", letter) or not re.search(rf"(?<![A-Za-z0-9]){letter}[).:]", question):
        raise BadRow(
            f"there is no column {choices or 'choices'!r}, and the question names no option {answer[:40]!r} itself",
            f"no {choices or 'choices'!r}",
        )
    return question, letter


def written(question: str, options: Sequence[str]) -> str:
    """The question with its options in the form above."""
    return "\n".join([question, *(f"{letter}) {option}" for letter, option in zip(LETTERS, options, strict=False))])


def _list(row: Row, column: str) -> list[str]:
    value = value_of(row, column)
    if not isinstance(value, list):
        raise BadRow(f"column {column!r} does not hold a list", f"{column!r} is no list")
    return [as_text(item, column, numbers=True) for item in value]


def _place(answer: str, names: Sequence[str], options: Sequence[str] = ()) -> int:
    """Where the one option stands that `answer` is the name of, or (of `options`) the text."""
    found = {place for place, name in enumerate(names) if name == answer}
    found |= {place for place, option in enumerate(options) if option == answer}
    if len(found) != 1:
        what = "more than one" if found else "none"
        raise BadRow(
            f"the answer {answer[:40]!r} is {what} of the options {', '.join(names)}", f"{what} of the options"
        )
    return found.pop()


def _instruct(found: re.Match[str], answer: str) -> tuple[str, str]:
    _, *parts = _INSTRUCT_OPTION.split(found["options"])
    names, options = [f"answer{digit}" for digit in parts[::2]], [text.strip() for text in parts[1::2]]
    if names != [f"answer{number}" for number in range(1, len(names) + 1)] or not all(options):
        raise BadRow("the options Answer1, Answer2, ... in the question are not in order", "options out of order")
    return written(found["question"], options), LETTERS[_place(answer, names)]
