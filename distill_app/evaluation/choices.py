"""Answers out of a few: the letter of a choice, yes or no. Finding the one that a text settles on.

A text that settles on two has no answer here: naming every option is not a way to be right.
"""

from __future__ import annotations

import re

LETTERS = "A-Z"
_WRAP = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathsf|mbox|bf|rm)(?![A-Za-z])\s*|[{}$*_`]|\\[,;:! ()\[\]]"
)
_ALONE = re.compile(r"[\s(\[.:]*([A-Za-z])[\s)\].:,;!]*")
_WITH_TEXT = re.compile(
    r"\s*(?:[(\[]\s*([A-Za-z])\s*[)\]]|([A-Z])\s*[.):\uff0e\uff09\uff1a\u3001])(?!\w)?\s*(.*)", re.S
)
_LEADING = re.compile(r"\s*([A-Z])(?=\s|$|[^\w\s'\-+*/=^<>\\&|])")
_OPTION = re.compile(
    r"(?:\b(?:option|choice|answer|opci[o\u00f3]n|option|alternative|letter)s?|\u9009\u9879?|\u9078\u9805?|\u9009\u62e9)"
    r"\s*(?:is|:|\uff1a)?\s*[(\[*]{0,3}([A-Z])(?![\w'])",
    re.I,
)
_STANDING = re.compile(r"(?<![A-Za-z0-9'_\\])([A-Z])(?![A-Za-z0-9'_]|\s*[-+*/=^<>]\s*\w)")
_BRACKETED = re.compile(r"[(\[*]{1,3}([A-Z])[)\]*]{1,3}(?!\w)")
_LISTED = re.compile(
    r"\s*(?:,|/|;|&|\band\b|\bor\b|\bund\b|\bet\b|\by\b|\u548c|\u6216)\s*(?:and\s+|or\s+)?[(\[*]{0,3}([A-Z])(?![\w'])",
    re.I,
)
_DENIED = re.compile(
    r"(?:\b(?:not|non|never|neither|nor|rather than|pas|no|nicht|kein)|n't|\u4e0d\u662f|\u975e)\W*(?:\w+\s)?\W*$",
    re.I,
)
_YES = {"yes": True, "true": True, "no": False, "false": False}
_YES_NO = re.compile(r"(?<![\w'])(yes|no|true|false)(?=\s*(?:[.,;:!)\"]|$))", re.I | re.M)


def plain(text: str) -> str:
    """`text` without the marks of LaTeX and Markdown that only set a letter off."""
    return re.sub(r"[ \t]+", " ", _WRAP.sub(" ", text)).strip()


def as_letter(text: str) -> str | None:
    """The capital letter that a short text gives as its answer: `B`, `(b)`, `B.`, `B) Paris`, `\\textbf{(B)}\\ 12`.

    None for anything else; a lower-case letter counts alone or in brackets only, and two letters are none.
    """
    if not text[:1].isalpha() and text.strip().isdigit():
        return None
    text = plain(text)
    if alone := _ALONE.fullmatch(text):
        return alone.group(1).upper()
    found = _WITH_TEXT.match(text)
    if found is None or _LISTED.match(text, found.end(1) if found.group(1) else found.end(2)):
        return None
    letter = (found.group(1) or found.group(2)).upper()
    others = {other.group(1) for other in _BRACKETED.finditer(found.group(3)) if not _denied(found.group(3), other)}
    if re.match(r"(?:and|or|,|&)?\s*[(\[]?[A-Z][)\].]?\s*(?:$|,|and\b|or\b)", found.group(3)) or others - {letter}:
        return None
    return letter


def is_letter(text: str) -> bool:
    """Whether a gold answer is one capital letter, alone or in brackets or `\\text{}`: a choice."""
    return bool(re.fullmatch(r"\s*\(?\s*[A-Z]\s*\)?\s*\.?", plain(text))) and not re.search(r"\\math", text)


def letter_in(line: str) -> str | None:
    """The letter that follows a phrase like "the answer is": the first that stands alone and is not denied.

    None if there is none, or if others are listed with it ("A and B").
    """
    line = plain(line)
    if (whole := as_letter(line)) is not None and len(line) <= 3:
        return whole
    for found in _STANDING.finditer(line):
        letter, rest = found.group(1), line[found.end() :]
        if (
            letter in "AI"
            and re.match(r"\s+[a-z]", rest)
            and not re.match(r"\s+(?:is|because|since|not|non|and|or)\b", rest)
        ):
            continue
        if _DENIED.search(line[: found.start()]):
            continue
        return None if _LISTED.match(rest) else letter
    if lower := re.match(r"\W*(?:option\s+|choice\s+)?\(?([a-z])\)?(?:[.,;:)]|\s*$)", line):
        return lower.group(1).upper()
    return None


def settled_letter(text: str) -> str | None:
    """The letter a text without an answer phrase settles on: it begins or ends with it, or speaks of "option B".

    In this order: all of the text is the letter with or without its option's text; the last "option B" or "choice B";
    the letter at the very start, set off from what follows; the last letter in brackets or bold; the last line that
    is a letter; the last letter that stands alone and is not denied.
    """
    text = plain_lines(text)
    if not text:
        return None
    first, last = text.split("\n", 1)[0], text.rsplit("\n", 1)[-1]
    if "\n" not in text and len(text) < 200 and (whole := as_letter(text)):
        return whole
    named = [m for m in _OPTION.finditer(text) if m.group(1).isupper() and not _DENIED.search(text[: m.start()])]
    if named:
        return _one(text, named[-1])
    if (lead := _LEADING.match(first)) and not _LISTED.match(first, lead.end()):
        rest = first[lead.end() :]
        reason = re.match(r"\W*(?:because|since|as|,|\.|\)|:|$)", rest)
        others = {m.group(1) for m in _STANDING.finditer(rest) if not _denied(rest, m) and not _article(rest, m)}
        if others and not reason:
            pass
        elif (
            lead.group(1) not in "AI" or not re.match(r"\s+[a-z]", rest) or re.match(r"\s+(?:is|because|since)\b", rest)
        ):
            return lead.group(1)
    if (letter := as_letter(last)) is not None and len(last) < 200:
        return letter
    bracketed = [m for m in _BRACKETED.finditer(text) if not _DENIED.search(text[: m.start()])]
    if bracketed:
        return _one(text, bracketed[-1])
    standing = [
        m
        for m in _STANDING.finditer(text)
        if not _DENIED.search(text[: m.start()]) and not (m.group(1) in "AI" and re.match(r"\s+[a-z]", text[m.end() :]))
    ]
    return _one(text, standing[-1]) if standing else None


def _denied(text: str, found: re.Match[str]) -> bool:
    return bool(_DENIED.search(text[: found.start()]))


def _article(text: str, found: re.Match[str]) -> bool:
    """Whether the letter is the English word A or I: a small letter follows."""
    return found.group(1) in "AI" and re.match(r"\s+[a-z]", text[found.end() :]) is not None


def _one(text: str, found: re.Match[str]) -> str | None:
    """The letter found, unless it is one of several listed there."""
    if _LISTED.match(text, found.end()):
        return None
    before = re.search(
        r"(?<![A-Za-z0-9'_])[(\[*]*([A-Z])[)\]*.]*\s*(?:,|/|&|\band\b|\bor\b)\s*(?:and\s+|or\s+)?$",
        text[: found.start(1)].rstrip("([* "),
    )
    return None if before and not _DENIED.search(text[: before.start()]) else found.group(1)


def plain_lines(text: str) -> str:
    """`plain`, line by line, without empty lines."""
    return "\n".join(line for line in (plain(line) for line in text.splitlines()) if line)


def as_yes_no(text: str) -> bool | None:
    """Yes and true are True, no and false are False; None for anything that is not just one of these words."""
    return _YES.get(plain(text).strip(" .!,;:()'\"").casefold())


def settled_yes_no(text: str) -> bool | None:
    """What a text settles on: the word it begins with, else the only one of yes/no and true/false that it uses."""
    text = plain_lines(text)
    if leading := re.match(r"\W*(yes|no|true|false)\b(?!\s+(?:and|or|one|matter|more|longer|way)\b)", text, re.I):
        return _YES[leading.group(1).casefold()]
    # "no" before another word is no answer: "there is no such number".
    found = {_YES[word.casefold()] for word in _YES_NO.findall(text)}
    return found.pop() if len(found) == 1 else None
