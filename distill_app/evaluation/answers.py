"""Finding the final answer in what a model wrote. The order of the rules is the whole policy; keep it short.

1. `unclosed_think`: a `<think>` without its `</think>` holds no answer. Otherwise only the text after the last
   `</think>` counts.
2. `boxed`: the last `\\boxed{...}` with balanced braces that is not empty; neighbours joined by "and", "or" or
   commas alone belong to it.
3. `answer_line`: what follows the last "Answer:", "answer is" or "####" (in English or one of the languages in
   `PHRASES`), to the end of its line or sentence.
4. `choice_letter` or `yes_no`, where the gold is a letter or a yes or no: what the text settles on (see `choices`).
5. `bare`: the text is one short line with no prose: it is the answer (with a digit, where the gold is a number).
6. `last_formula`: the last `$...$`, `\\(...\\)` or `\\[...\\]` that is no prose, if no number comes after it.
7. `last_number`: the last number of the text; several joined by "or" are one answer.

A program (`open('x')`, `__import__`) is no answer by 5 to 7. A gold may be a whole solution: `gold_answer` finds the
answer in it by 2 and 3.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from distill_app.evaluation import choices
from distill_app.evaluation.boxes import last_boxed
from distill_app.evaluation.equivalence import compare
from distill_app.evaluation.notation import SET_WORDS
from distill_app.evaluation.numbers import as_number, as_words, tidy
from distill_app.thinking import split

__all__ = ["Extracted", "compare", "extract", "gold_answer", "last_boxed"]

PHRASES = (
    r"la r[e\u00e9]ponse(?: finale| correcte)? (?:est|:)|\br[e\u00e9]ponse(?: finale| correcte)?\s*(?:est|:)",
    r"\brespuesta(?: final| correcta)?\s*(?:es|:)",
    r"\bresposta(?: final| correta)?\s*(?:\u00e9|:)",
    r"\brisposta(?: finale| corretta| giusta)?\s*(?:\u00e8|:)",
    r"\bantwort(?: lautet| ist|\s*:)",
    r"\bantwoord(?: is|\s*:)",
    r"\bodpowied[z\u017a](?: to|\s*:)",
    r"\u043e\u0442\u0432\u0435\u0442\s*(?::|\u2014|-)",
    r"\u7b54\u6848(?:\u662f|\u4e3a|\u70ba|\u5e94\u4e3a|\u9009|[:\uff1a])|\u7b54[:\uff1a]",
    r"\u7b54\u3048(?:\u306f|[:\uff1a])",
    r"(?:\uc815\ub2f5|\ub2f5)(?:\uc740|[:\uff1a])",
    r"\u0909\u0924\u094d\u0924\u0930\s*(?:\u0939\u0948|[:\uff1a])",
    r"(?:\u0627\u0644\u0625\u062c\u0627\u0628\u0629|\u0627\u0644\u062c\u0648\u0627\u0628)(?:\s+\u0627\u0644\u0635\u062d\u064a\u062d\u0629)?\s*(?:\u0647\u064a|\u0647\u0648|:)",
    r"\u0111\u00e1p \u00e1n(?: \u0111\u00fang)?(?: l\u00e0|\s*:)",
    r"\bcevap\s*:",
    r"\u0e04\u0e33\u0e15\u0e2d\u0e1a(?:\u0e04\u0e37\u0e2d|\s*:)",
)
"""How "the answer is" is said in French, Spanish, Portuguese, Italian, German, Dutch, Polish, Russian, Chinese,
Japanese, Korean, Hindi, Arabic, Vietnamese, Turkish and Thai."""

_ANSWER = re.compile(
    r"(?:####|\banswers?\b[ \t]{0,3}\*{0,2}[ \t]{0,3}(?:\b(?:is|are)\b[ \t]{0,3}:?|:|=)\*{0,2}"
    r"|\banswer to[^.\n]{1,80}?\bis\b|\b(?:correct|right) (?:option|choice)[ \t]{0,3}(?:is\b:?|:)"
    r"|\banswer must be\b)",
    re.I,
)
_ANSWER_ABROAD = re.compile("(?:" + "|".join(PHRASES) + ")", re.I)
_HINT_ABROAD = re.compile(r"(?i:r[e\u00e9]ponse|respues|respos|rispos|antw|odpowie|cevap)|[\u0111\u0400-\uffff]")
"""Without one of these there is no phrase to look for: a text in English is searched once, not twice."""

_ANSWER_NAKED = re.compile(r"\banswers?\b\W{0,4}(?=\n|[(\[]?[A-Z](?![\w']))", re.I)
_FORMULA = re.compile(
    r"(?<!\\)\$\$(.{1,1000}?)(?<!\\)\$\$|(?<![\\$])\$([^$]{1,1000}?)(?<!\\)\$|\\\((.{1,1000}?)\\\)|\\\[(.{1,1000}?)\\\]",
    re.S,
)
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.])(?:(?<![\w)])[-\u2212\u2013])?\\?\$?"
    r"(?:\\[dt]?frac\{\d+\}\{\d+\}|\d+/\d+|[1-9]\d{0,2}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+\.\d+|\d+,\d+(?![\d,])|\d+|\.\d+)"
    r"(?:\s*(?:\\?%|percent(?:age)?\b))?"
)
_FRACTION = re.compile(r"[-\u2212]?(?:\\[dt]?frac\s*\{?\d+\}?\s*\{?\d+\}?|\d+\s*/\s*\d+)")
_ALTERNATIVES = re.compile(r"(?:^|\s)(?:or|ou|oder|\u6216)\s*\\?\$?$")
_SENTENCE = re.compile(r"(?<=[^\s.])[.!?]\s+(?=[A-Z\W])|\n|\u3002")
_ASIDE = re.compile(r",?\s+(?:and not|not|rather than|because|since)\b")
_JOINT = re.compile(r"\s*(?:,\s*(?:and|or)?|and|or)\s*(?=\$|\\[(\[])")
_MODULUS = re.compile(r"mod(?:ulo)?\W{0,3}$")
_FUNCTIONS = {"sqrt", "sin", "cos", "tan", "sec", "cot", "csc", "log", "ln", "exp", "pi", "and", "or", "oo", "inf"}
_LITTLE_WORDS = {"a", "i", "is", "so", "the", "of", "to", "at", "in", "it", "we", "by", "if", "as", "be", "on", "no"}
_LITTLE_WORDS |= {"for", "are", "has", "get", "let", "an", "he", "she", "its"}
_FUNCTIONS |= {"arcsin", "arccos", "arctan", "infinity", "mod"}
_PROSE = re.compile(r"(?<!\\)\b[^\W\d_]{2,}[,:;]? +[^\W\d_]{2,}\b")
_CODE = re.compile(r"__\w+__|\b[A-Za-z_]\w*\(\s*['\"]|\blambda\b[^.\n]*:|\bimport\s+\w+")
_TEXTED = re.compile(r"\\(?:text|mbox|mathrm|textbf|operatorname|begin|end)\{[^{}]*\}")


TAIL_CHARACTERS = 4000
BARE_CHARACTERS = 100
FORMULA_CHARACTERS = 1000
"""A line without any word is a formula up to this length."""


class Extracted(NamedTuple):
    """The answer found and the rule that found it; no answer leaves `answer` None."""

    answer: str | None
    rule: str | None


def extract(text: str, gold: str, kind: str = "auto") -> Extracted:
    """The final answer of `text` by the rules above, in their order; `(None, None)` if none applies.

    `gold` and `kind` say what kind of answer is looked for and nothing else: where it is a plain number and an answer
    line holds more than one, the number after the last "=" is taken, else the first; where it is a letter, the answer
    is one. The rules never look at its value.
    """
    thought = split(text)
    if thought.state == "unclosed":
        return Extracted(None, "unclosed_think")
    text = thought.answer
    kind = kind_of(gold, kind)
    numeric = kind in ("number", "integer") or as_number(gold) is not None or bool(_FRACTION.fullmatch(tidy(gold)))
    if boxed := last_boxed(text, several=not numeric and kind != "choice"):
        return Extracted(boxed, "boxed")
    if kind in ("choice", "yes_no"):
        return _one_of_few(text, kind)
    if line := _answer_line(text, numeric):
        return Extracted(line, "answer_line")
    bare = text.strip()
    if _CODE.search(bare[-TAIL_CHARACTERS:]):
        return Extracted(None, None)
    if _is_bare(bare, needs_digit=numeric, words=as_words(gold) is not None):
        return Extracted(bare, "bare")
    # The last formula or number is near the end: what a text of any length costs stays small.
    text = text[-TAIL_CHARACTERS:]
    formulas = [found for found in _FORMULA.finditer(text) if not _PROSE.search(_TEXTED.sub(" ", found.group()))]
    numbers = [found for found in _NUMBER.finditer(text) if not _MODULUS.search(text[: found.start()][-12:])]
    if formulas and not (numbers and numbers[-1].start() >= formulas[-1].end()):
        return Extracted(next(group for group in formulas[-1].groups() if group).strip(), "last_formula")
    if numbers:
        return Extracted(_with_alternatives(text, numbers), "last_number")
    return Extracted(None, None)


@lru_cache(maxsize=4096)
def kind_of(gold: str, kind: str) -> str:
    """`kind`, or for `auto` what the gold is: `choice` for one capital letter, `yes_no` for one of its words."""
    if kind != "auto" or gold[:1].isdigit():
        return kind
    if choices.is_letter(gold):
        return "choice"
    return "yes_no" if choices.as_yes_no(gold) is not None else "auto"


@lru_cache(maxsize=4096)
def gold_answer(gold: str) -> str:
    """The answer in a gold: itself, or the last box or answer line of a gold that is a whole solution.

    A box that is never closed goes to the end. Never empty unless `gold` is.
    """
    if "boxed" in gold or "fbox" in gold:
        gold = re.sub(r"\\\\(?=(?:f?boxed|text|quad)\b)", r"\\", gold)
        if boxed := last_boxed(gold, several=True):
            return boxed
        place = max(gold.rfind("\\boxed{"), gold.rfind("\\fbox{"))
        if place >= 0 and (opened := gold[gold.index("{", place) + 1 :].strip().rstrip("$").strip()):
            return opened
    if len(gold) > BARE_CHARACTERS or "\n" in gold.strip() or "####" in gold or _PROSE.search(_TEXTED.sub(" ", gold)):
        found = _answer_line(gold, numeric=False)
        if found:
            return found
    return gold


def _one_of_few(text: str, kind: str) -> Extracted:
    """The letter, or yes or no, that an answer phrase names, else that the text settles on."""
    for match in reversed(_phrases(text, naked=kind == "choice")):
        tail = text[match.end() : match.end() + 300].lstrip(" \t\n*:\uff1a")
        line = _SENTENCE.split(tail, maxsplit=1)[0]
        if kind == "choice":
            # A letter and a point are one word here: "B. Paris" is no sentence that ends behind B.
            found = choices.as_letter(tail.split("\n", 1)[0]) or choices.letter_in(line)
            if found is not None:
                return Extracted(found, "answer_line")
        else:
            settled = choices.as_yes_no(line)
            settled = choices.settled_yes_no(line) if settled is None else settled
            if settled is not None:
                return Extracted("yes" if settled else "no", "answer_line")
    if kind == "choice":
        letter = choices.settled_letter(text[-TAIL_CHARACTERS:])
        return Extracted(letter, "choice_letter") if letter else Extracted(None, None)
    answer = choices.settled_yes_no(text[:TAIL_CHARACTERS])
    return Extracted("yes" if answer else "no", "yes_no") if answer is not None else Extracted(None, None)


def _phrases(text: str, naked: bool = False) -> list[re.Match[str]]:
    """Where a text says "the answer is", in the order of the ends; `naked`: "answer B" says it, too."""
    found = list(_ANSWER.finditer(text))
    if _HINT_ABROAD.search(text):
        found.extend(_ANSWER_ABROAD.finditer(text))
    if naked:
        found.extend(_ANSWER_NAKED.finditer(text))
    return sorted(found, key=lambda match: match.end())


def _answer_line(text: str, numeric: bool) -> str | None:
    for match in reversed(_phrases(text)):
        tail = text[match.end() : match.end() + 1000].lstrip(" \t*:\uff1a")
        if tail.startswith("\n"):
            tail = tail.lstrip()
        if formulas := _formulas_listed(tail):
            return formulas
        tail = _SENTENCE.split(tail, maxsplit=1)[0].strip().strip("*_` ").rstrip(".!,; ").strip("*_` ")
        tail = _ASIDE.split(tail, maxsplit=1)[0]
        if tail.startswith("The ") and " is " in tail:
            tail = tail.rsplit(" is ", 1)[1]
        if tail:
            return _one_number(tail) if numeric else _one_formula(tail)
    return None


def _formulas_listed(tail: str) -> str | None:
    """The formula that `tail` begins with, and those joined to it by commas, "and" or "or"."""
    parts: list[str] = []
    place = 0
    while formula := _FORMULA.match(tail, place):
        parts.append(next(group for group in formula.groups() if group).strip())
        joint = _JOINT.match(tail, formula.end())
        if joint is None:
            break
        place = joint.end()
    return ", ".join(parts) or None


def _one_formula(tail: str) -> str:
    """The only formula of a line of prose ("the point $(1, 2)$ on the axis"), else the line."""
    formulas = list(_FORMULA.finditer(tail))
    if len(formulas) == 1 and _PROSE.search(_FORMULA.sub(" ", tail)):
        return next(group for group in formulas[0].groups() if group).strip()
    return tail


def _one_number(tail: str) -> str:
    """`tail` if it is a plain number; else the number after its last "=", else its first formula or number."""
    if as_number(tail) is not None:
        return tail
    if "=" in tail and as_number(last := tail.rsplit("=", 1)[1].strip(" $*).\\")) is not None:
        return last
    if formula := _FORMULA.search(tail):
        return next(group for group in formula.groups() if group).strip()
    if _PROSE.search(tail) or not tail.isascii():
        numbers = list(_NUMBER.finditer(tail))
        if numbers:
            return numbers[0].group().strip()
    return tail


def _with_alternatives(text: str, numbers: list[re.Match[str]]) -> str | None:
    """The last number, with those it is joined to by "or"; None if it is joined to something that is no number."""
    last = numbers[-1]
    parts = [last.group().strip()]
    while _ALTERNATIVES.search(text[max(0, last.start() - 20) : last.start()]):
        earlier = [number for number in numbers if number.end() <= last.start()]
        gap = text[earlier[-1].end() : last.start()] if earlier else ""
        if not earlier or not re.fullmatch(r"[\s$,]*(?:\w+\s+){0,2}(?:or|ou|oder|\u6216)\s*\\?\$?", gap):
            break
        last = earlier[-1]
        parts.insert(0, last.group().strip())
    return ", ".join(parts)


def _is_bare(line: str, needs_digit: bool, words: bool) -> bool:
    """Whether a text is one short line with one expression or word: no prose, no formula that is a part of it.

    `words`: the gold is words, and so up to five of them are an answer, too.
    """
    if len(line) > FORMULA_CHARACTERS or "\n" in line.strip():
        return False
    if not any(c.isdigit() if needs_digit else c.isalnum() or c == "\u221e" for c in line) and "\\" not in line:
        return False
    if needs_digit and not any(c.isdigit() for c in line) and not re.search(r"\\(?:infty|pi)", line):
        return False
    formulas = list(_FORMULA.finditer(line))
    if formulas and (len(formulas) > 1 or formulas[0].group() != line.rstrip(". ")):
        return False
    if re.search(
        r"[\u2e80-\uff00\uff5f-\uffef\u0600-\u06ff\u0900-\u097f\u0e00-\u0e7f]|(?<!\d )(?<!\d): |\\boxed", line
    ):
        return False
    if words and len(line) <= 60 and len(line.split()) <= 5 and line.rstrip(".").replace(" ", "").isalpha():
        return True
    if not needs_digit and SET_WORDS.fullmatch(line.rstrip(".")):
        return True
    plain = re.sub(r"(?<=[\d)}])(?:and|or)(?=[A-Z\d(\\])", " ", _TEXTED.sub(" ", line))
    plain = re.sub(r"\\[A-Za-z]+|[_^]\{?[A-Za-z]+\}?", " ", plain)
    found = set(re.findall(r"[A-Za-z]{2,}", plain)) - _FUNCTIONS
    if (not needs_digit or "\\" in line) and re.search(r"[=^_+*/\\]", line):
        # Two or three letters together in a formula are a product or a name: mc^2, AB = 5.
        found = {word for word in found if len(word) > 3 or word.lower() in _LITTLE_WORDS}
    if not found:
        return not _PROSE.search(plain)
    return len(line) <= BARE_CHARACTERS and (line.rstrip(".").isalpha() or as_number(line) is not None)
