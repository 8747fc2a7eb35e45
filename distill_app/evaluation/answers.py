"""Finding the final answer in what a model wrote. The order of the rules is the whole policy; keep it short.

1. `unclosed_think`: a `<think>` without its `</think>` holds no answer. Otherwise only the text after the last
   `</think>` counts.
2. `boxed`: the last `\\boxed{...}` with balanced braces that is not empty; neighbours joined by "and", "or" or
   commas alone belong to it.
3. `answer_line`: what follows the last "Answer:", "answer is" or "####", to the end of its line or sentence.
4. `bare`: the text is one short line with no prose: it is the answer (with a digit, where the gold is a number).
5. `last_formula`: the last `$...$`, `\\(...\\)` or `\\[...\\]`, if no number comes after it.
6. `last_number`: the last number of the text.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from distill_app.evaluation.equivalence import as_number, compare, tidy

__all__ = ["Extracted", "compare", "extract", "last_boxed"]

_ANSWER = re.compile(
    r"(?:####|\banswers?\b[ \t]{0,3}\*{0,2}[ \t]{0,3}(?:\b(?:is|are)\b[ \t]{0,3}:?|:|=)\*{0,2}"
    r"|\banswer to[^.\n]{1,80}?\bis\b)",
    re.I,
)
_FORMULA = re.compile(
    r"(?<!\\)\$\$(.{1,1000}?)(?<!\\)\$\$|(?<![\\$])\$([^$]{1,1000}?)(?<!\\)\$|\\\((.{1,1000}?)\\\)|\\\[(.{1,1000}?)\\\]",
    re.S,
)
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.])(?:(?<![\w)])[-\u2212])?\\?\$?"
    r"(?:\\[dt]?frac\{\d+\}\{\d+\}|\d+/\d+|[1-9]\d{0,2}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+\.\d+|\d+|\.\d+)(?:\s*(?:\\?%|percent(?:age)?\b))?"
)
_SENTENCE = re.compile(r"(?<=[^\s.])[.!?]\s+(?=[A-Z\W])|\n")
_BRACE = re.compile(r"\\(?:boxed|fbox)\s*\{|(?<!\\)[{}]")
_BETWEEN = re.compile(r"(?:[\s,;.$&]|\\[()\[\],;: ]|\\quad|\\qquad|\\text\{\s*(?:and|or)\s*\}|\b(?:and|or)\b)*")
_LOOSE = re.compile(r"\W*(?:text\W+)?(?:\w+\W+){0,4}(?:and|or)\W*")
_FUNCTIONS = {"sqrt", "sin", "cos", "tan", "sec", "cot", "csc", "log", "ln", "exp", "pi", "and", "or"}
_PROSE = re.compile(r"(?<!\\)\b[^\W\d_]{2,}[,:;]? +[^\W\d_]{2,}\b")


TAIL_CHARACTERS = 4000


class Extracted(NamedTuple):
    """The answer found and the rule that found it; no answer leaves `answer` None."""

    answer: str | None
    rule: str | None


def extract(text: str, gold: str) -> Extracted:
    """The final answer of `text` by the rules above, in their order; `(None, None)` if none applies.

    `gold` says what kind of answer is looked for and nothing else: where it is a plain number and an answer line
    holds more than one, the number after the last "=" is taken, else the first. The rules never look at its value.
    """
    opened, closed = text.rfind("<think>"), text.rfind("</think>")
    if opened > closed:
        return Extracted(None, "unclosed_think")
    if closed >= 0:
        text = text[closed + len("</think>") :]
    if boxed := last_boxed(text, several=as_number(gold) is None):
        return Extracted(boxed, "boxed")
    if line := _answer_line(text, gold):
        return Extracted(line, "answer_line")
    bare = text.strip()
    if _is_bare(bare, needs_digit=as_number(gold) is not None):
        return Extracted(bare, "bare")
    # The last formula or number is near the end: what a text of any length costs stays small.
    text = text[-TAIL_CHARACTERS:]
    formulas = list(_FORMULA.finditer(text))
    numbers = list(_NUMBER.finditer(text))
    if formulas and not (numbers and numbers[-1].start() >= formulas[-1].end()):
        return Extracted(next(group for group in formulas[-1].groups() if group).strip(), "last_formula")
    if numbers:
        return Extracted(numbers[-1].group().strip(), "last_number")
    return Extracted(None, None)


def last_boxed(text: str, several: bool = False) -> str | None:
    """The content of the last non-empty `\\boxed{...}`, joined by ", " with the boxes it is listed with.

    Boxes with only "and", "or" or commas between them make one list, so that naming several answers where one is
    asked for is not a way to be right. `several`: up to four words may stand before the "and".
    """
    boxes = [(start, end, inner) for start, end, inner in _boxes(text) if tidy(inner)]
    if not boxes:
        return None
    start, _, inner = boxes[-1]
    parts = [inner]
    for earlier_start, earlier_end, earlier in reversed(boxes[:-1]):
        gap = text[earlier_end:start]
        if len(gap) > 100:
            break
        listed = re.search(r"and|or|,", gap) and _BETWEEN.fullmatch(gap)
        if not listed and not (several and _LOOSE.fullmatch(gap)):
            break
        parts.insert(0, earlier)
        start = earlier_start
    return ", ".join(part.strip() for part in parts)


def _boxes(text: str) -> list[tuple[int, int, str]]:
    """Start, end and content of every `\\boxed{...}` or `\\fbox{...}` that is closed and in no other box, in order."""
    found: list[tuple[int, int, str]] = []
    opened: list[re.Match[str]] = []
    for token in _BRACE.finditer(text):
        if token.group() != "}":
            opened.append(token)
        elif opened:
            start = opened.pop()
            if start.group() != "{":
                while found and found[-1][0] > start.start():
                    found.pop()
                found.append((start.start(), token.end(), text[start.end() : token.start()]))
    return found


def _answer_line(text: str, gold: str) -> str | None:
    matches = list(_ANSWER.finditer(text))
    for match in reversed(matches):
        tail = text[match.end() : match.end() + 1000].lstrip(" \t*:")
        if tail.startswith("\n"):
            tail = tail.lstrip()
        if formula := _FORMULA.match(tail):
            return next(group for group in formula.groups() if group).strip()
        tail = _SENTENCE.split(tail, maxsplit=1)[0].strip().strip("*_` ").rstrip(".!,; ").strip("*_` ")
        if tail.startswith("The ") and " is " in tail:
            tail = tail.rsplit(" is ", 1)[1]
        if tail:
            return _one_number(tail) if as_number(gold) is not None else tail
    return None


def _one_number(tail: str) -> str:
    """`tail` if it is a plain number; else the number after its last "=", else its first formula or number."""
    if as_number(tail) is not None:
        return tail
    if "=" in tail and as_number(last := tail.rsplit("=", 1)[1].strip(" $*).\\")) is not None:
        return last
    if formula := _FORMULA.search(tail):
        return next(group for group in formula.groups() if group).strip()
    if _PROSE.search(tail) and (number := _NUMBER.search(tail)):
        return number.group().strip()
    return tail


def _is_bare(line: str, needs_digit: bool) -> bool:
    """Whether a text is one short line with one expression or word: no prose, no formula that is a part of it."""
    if len(line) > 100 or "\n" in line or not any(c.isdigit() if needs_digit else c.isalnum() for c in line):
        return False
    formulas = list(_FORMULA.finditer(line))
    if formulas and (len(formulas) > 1 or formulas[0].group() != line.rstrip(". ")):
        return False
    if re.search(r"[\u2e80-\uffef]|: |\\boxed", line):
        return False
    plain = re.sub(r"\\(?:text|mbox|mathrm|textbf|operatorname)\{[^{}]*\}", " ", line)
    words = set(re.findall(r"(?<![\\A-Za-z])[A-Za-z]{2,}", plain)) - _FUNCTIONS
    return not words or line.rstrip(".").isalpha() or as_number(line) is not None
