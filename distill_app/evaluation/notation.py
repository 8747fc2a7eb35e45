"""One spelling for the many ways in which an answer is written: Unicode, keyboard and LaTeX forms of the same sign.

`canonical` changes how an answer is written and never what it says. `elements`, `sides` and `name_of` find the parts
that the comparison needs: the members of a list, the sides of an equation, a left side that only names the value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

_UNICODE = str.maketrans(
    {
        "\u2212": "-",
        "\u2013": "-",
        "\u2010": "-",
        "\ufe63": "-",
        "\u00d7": r"\times ",
        "\u00b7": r"\cdot ",
        "\u22c5": r"\cdot ",
        "\u2217": r"\cdot ",
        "\u00f7": "/",
        "\u2215": "/",
        "\u2044": "/",
        "\u221e": r"\infty ",
        "\u03c0": r"\pi ",
        "\u03b8": r"\theta ",
        "\u03b1": r"\alpha ",
        "\u03b2": r"\beta ",
        "\u03bb": r"\lambda ",
        "\u03bc": r"\mu ",
        "\u03c6": r"\varphi ",
        "\u03c9": r"\omega ",
        "\u2264": r"\le ",
        "\u2a7d": r"\le ",
        "\u2265": r"\ge ",
        "\u2a7e": r"\ge ",
        "\u2260": r"\neq ",
        "\u2248": r"\approx ",
        "\u2208": r"\in ",
        "\u222a": r"\cup ",
        "\u2229": r"\cap ",
        "\u2216": r"\setminus ",
        "\u2205": r"\emptyset ",
        "\u00b1": r"\pm ",
        "\u00b0": r"^\circ ",
        "\u211d": r"\mathbb{R}",
        "\u2124": r"\mathbb{Z}",
        "\u2115": r"\mathbb{N}",
        "\u211a": r"\mathbb{Q}",
        "\u27e8": "(",
        "\u27e9": ")",
        "\u3008": "(",
        "\u3009": ")",
        "\u3002": ".",
        "\u3001": ",",
        "\u00a0": " ",
        "\u2009": " ",
        "\u202f": " ",
    }
)
_POWERS = dict(zip("\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079", "0123456789", strict=True))
_POWER = re.compile("[" + "".join(_POWERS) + "]+")
_VULGAR = re.compile("(\\d*)\\s*([\u00bc-\u00be\u2150-\u215e])")
_ROOT = re.compile("\u221a\\s*(\\(|\\{|\\d+(?:\\.\\d+)?|[A-Za-z])")

_Replacement = str | Callable[[re.Match[str]], str]
_SPELLINGS: list[tuple[str, _Replacement]] = [
    (r"(?<!\\)\\\\(?=(?:boxed|text|frac|dfrac|sqrt|left|right|mathrm|pi|infty|cup|begin|end)\b)", r"\\"),
    (r"\\(?:left|right|middle|[bB]igg?[lrm]?)(?![A-Za-z])\.?", ""),
    (r"\\(?:displaystyle|textstyle|limits|nolimits|phantom|hfill|mathstrut|underline)(?![A-Za-z])", ""),
    (r"\\[!]", ""),
    (r"\\[,;:> ]|~|\\(?:q?quad|thinspace|enspace)(?![A-Za-z])", " "),
    (r"\\(?:hspace|vspace|color|textcolor)\s*\{[^{}]*\}", " "),
    (r"\\(?:lbrace|lcurly)(?![A-Za-z])", r"\\{"),
    (r"\\(?:rbrace|rcurly)(?![A-Za-z])", r"\\}"),
    (r"\\(?:langle|lparen)(?![A-Za-z])|<(?=[^<>=]*,[^<>=]*>$)", "("),
    (r"\\(?:rangle|rparen)(?![A-Za-z])|(?<=\d)>$", ")"),
    (r"\\lbrack(?![A-Za-z])", "["),
    (r"\\rbrack(?![A-Za-z])", "]"),
    (r"\\[lr]?vert(?![A-Za-z])", "|"),
    (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
    (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
    (r"\\(?:leqslant|leq|le)(?![A-Za-z])|<=|=<", r"\\le "),
    (r"\\(?:geqslant|geq|ge)(?![A-Za-z])|>=", r"\\ge "),
    (r"\\(?:not\s*=|neq|ne)(?![A-Za-z])|!=|\\not=", r"\\neq "),
    (r"\\lt(?![A-Za-z])", "<"),
    (r"\\gt(?![A-Za-z])", ">"),
    (r"\\(?:varnothing|O)(?![A-Za-z])|\\\{\s*\\\}", r"\\emptyset "),
    (r"\\(?:thickapprox|simeq|approxeq|doteq)(?![A-Za-z])|~=", r"\\approx "),
    (r"\\(?:infin|infinity)(?![A-Za-z])", r"\\infty "),
    (r"\\degree(?![A-Za-z])|\^\s*\{?\s*o\s*\}?(?=\s*$)", r"^\\circ "),
    (r"\\backslash(?![A-Za-z])", r"\\setminus "),
    (
        r"\\(?:bold|boldsymbol|pmb|mathbf|mathit|mathsf|mathcal|textbf|textit|textrm|textnormal|mbox|hbox|mathrm)"
        r"(?![A-Za-z])",
        r"\\text",
    ),
    (r"\\R(?![A-Za-z])|\\mathbb\s+R\b|\\Reals(?![A-Za-z])", r"\\mathbb{R}"),
    (r"\\(max|min|odot|bar|star|ast|perp|parallel|prime|text)(?![A-Za-z])(?=\s*[},])", r"\1"),
    (r"\\odot(?![A-Za-z])", "odot"),
    (r"\\operatorname\*?\s*\{(\w+)\}", r"\\\1 "),
    (r"\b(?:np|math|numpy|sympy)\.(?=[a-z])", ""),
    (r"\*\*", "^"),
    (
        r"\\(sin|cos|tan|cot|sec|csc)\s*[({]?\s*(\d+(?:\.\d+)?)\s*\^\s*\{?\s*\\circ\s*\}?\s*[)}]?",
        r"\\\1(\\frac{\2\\pi}{180})",
    ),
    (
        r"(?<=\\frac)\{([1-9]\d{0,2}(?:,\d{3})+)\}|(?<=\})\{([1-9]\d{0,2}(?:,\d{3})+)\}",
        lambda found: "{" + (found.group(1) or found.group(2)).replace(",", "") + "}",
    ),
    (r"^\\\{\s*([A-Za-z])\s*(?:\\mid(?![A-Za-z])|\||:)\s*(?=[^{}]*[<>])([^{}]*)\\\}$", r"\2"),
    (r"(?i)^(?:\\text\s*\{\s*)?(?:the set of )?all real(?: number)?s\s*\}?$", r"\\mathbb{R}"),
    (r"(?i)^(?:\\text\s*\{\s*)?(?:no (?:real )?solutions?|(?:the )?empty set)\s*\}?$", r"\\emptyset "),
    (r"^\\text\s*\{([^{}]*[\d,][^{}]*)\}$", r"\1"),
    (r"(?<![\\A-Za-z])(?:infinity|infty|oo|inf)(?![A-Za-z])", r"\\infty "),
    (r"(?<=[)\]])\s*U\s*(?=[(\[])", r"\\cup "),
    (
        r"(?<![\\A-Za-z])(sqrt|sin|cos|tan|sec|csc|cot|log|ln|exp|arcsin|arccos|arctan)(?=\s*[({\d\\]|\s+[a-z]\b)",
        r"\\\1",
    ),
    (r"(?<![\\A-Za-z])pi(?![A-Za-z])", r"\\pi "),
    (r"\\text\s*\{\s*(?:percent|percentage|pct)\s*\}|\b(?:percentage|percent|pct)\b|(?<!\\)%", r"\\%"),
    (r"\\text\s*\{\s*([A-Za-z])\s*\}(?![({])", r" \1 "),
    (r"\\text\s*\{\s*,?\s*(?:and|or)\s*\}", lambda found: " or " if "or" in found.group() else " and "),
    (r"\\text\s*\{\s*,\s*\}", ","),
    (r"(?<![A-Za-z])(\d+(?:\.\d+)?)[eE]([+-]?\d+)(?![\w.])", r"\1\\cdot 10^{\2}"),
    (r"(?<![\d.])(\d+)\s+(\d+)\s*/\s*(\d+)(?![\d.])", r"\1\\frac{\2}{\3}"),
    (r"(?<![\d.])(\d+)\s*-\s*(\d+)/(\d+)(?![\d.])", r"\1-\\frac{\2}{\3}"),
    (r"(\d)\.(?=\s*(?:[/*+^)\]},-]|$))", r"\1"),
    (r"(?<![\d)}\\])\.(?=\d)", "0."),
    (r"\*", r"\\cdot "),
]
_SIMPLE = [(re.compile(pattern), replacement) for pattern, replacement in _SPELLINGS]
SET_WORDS = re.compile(r"(?i)(?:the set of )?all real(?: number)?s|no (?:real )?solutions?|(?:the )?empty set")
"""Words that stand for a set."""

_RECURRING = re.compile(r"(\d*)\.(\d*)\s*\\(?:overline|bar)\s*\{?\s*(\d+)\s*\}?")
_OPEN, _CLOSE = "([{", ")]}"
_SEPARATOR = re.compile(r"(?<![A-Za-z\\])(?:and|or)(?![a-z])")
_COMPARISON = re.compile(r"\\(?:le|ge|neq|approx|in|equiv|sim|to)(?![A-Za-z])|[<>=]")
_WHERE = re.compile(r"\s*[,;]?\s*(?:\\text\s*\{\s*)?\b(?:where|for|with|when|if)\b(?!\w)", re.I)
_NAME = re.compile(
    r"""
    (?:\\(?:Delta|delta|nabla)\s*)?
    (?:\\?[A-Za-z]+'*|\\text\s*\{[^{}]*\}|\([A-Za-z](?:\s*,\s*[A-Za-z])+\)|\\angle\s*[A-Z]+|\|[A-Z]{2}\|
      |\\over(?:line|rightarrow)\s*\{[A-Z]+\}|[A-Za-z]\s*:\s*[A-Za-z])
    (?:\s*[_^]\s*(?:\{[^{}]*\}|\\?\w|\\[A-Za-z]+|\*))*
    (?:\s*\((?:\s*\\?[A-Za-z]\w*\s*,?)+\))?
    """,
    re.VERBOSE,
)


class Element(NamedTuple):
    """A member of a list and the separator before it: "" (the first), ",", ";", "and" or "or"."""

    text: str
    before: str


def canonical(text: str) -> str:
    """`text` in the one spelling that `reading` understands. Cheap: no algebra, cost linear in the text's length.

    Unicode signs and keyboard forms (`sqrt(3)/2`, `2**3`, `4.5e33`, `2 1/3`, `oo`) become LaTeX, synonyms become one
    command, sizes and spacing go, `0.\\overline{3}` becomes a fraction, and arguments get the braces that TeX would
    give them (`\\frac12`, `\\sqrt3`).
    """
    text = text.translate(_UNICODE)
    text = "".join(unicodedata.normalize("NFKC", c) if "\uff01" <= c <= "\uff5e" else c for c in text)
    text = _POWER.sub(lambda found: "^{" + "".join(_POWERS[c] for c in found.group()) + "}", text)
    text = _VULGAR.sub(_vulgar, text)
    text = _ROOT.sub(_root, text)
    for pattern, replacement in _SIMPLE:
        text = pattern.sub(replacement, text)
    text = _RECURRING.sub(_recurring, text)
    text = _braced(text)
    return re.sub(r"\s+", " ", text).strip()


def _vulgar(found: re.Match[str]) -> str:
    top, bottom = unicodedata.normalize("NFKC", found.group(2)).split("\u2044")
    return f"{found.group(1)}\\frac{{{top}}}{{{bottom or 1}}}"


def _root(found: re.Match[str]) -> str:
    inside = found.group(1)
    return "\\sqrt" + (inside if inside in "({" else "{" + inside + "}")


def _recurring(found: re.Match[str]) -> str:
    whole, fixed, again = found.groups()
    bottom = int("9" * len(again) + "0" * len(fixed))
    top = int((whole or "0") + fixed + again) - int((whole or "0") + fixed)
    return f"\\frac{{{top}}}{{{bottom}}}"


def _braced(text: str) -> str:
    """Braces round the arguments of `\\frac` and `\\sqrt` that have none, and braces for `\\sqrt(...)`, `^(...)`."""
    out: list[str] = []
    place = 0
    for found in re.finditer(r"\\(frac|sqrt)(?![A-Za-z])\s*|\^\s*(?=\()", text):
        if found.start() < place:
            continue
        out.append(text[place : found.start()])
        place = found.end()
        out.append(found.group().strip())
        count = 2 if found.group(1) == "frac" else 1
        if found.group(1) == "sqrt" and text[place : place + 1] == "[" and (close := text.find("]", place)) > 0:
            out.append(text[place : close + 1])
            place = close + 1
        for _ in range(count):
            argument, place = _argument(text, place, typed=found.group(1) != "frac")
            out.append("{" + _braced(argument) + "}" if argument is not None else "")
    return "".join(out) + text[place:] if out else text


def _argument(text: str, place: int, typed: bool) -> tuple[str, int]:
    """The argument that TeX would read at `place`, and where it ends; `typed`: a pair of parentheses counts too."""
    while place < len(text) and text[place] == " ":
        place += 1
    if place >= len(text):
        return "", place
    first = text[place]
    if first == "{" or (typed and first == "("):
        end = closing(text, place)
        if end is None:
            return text[place + 1 :], len(text)
        return text[place + 1 : end], end + 1
    if command := re.compile(r"\\[A-Za-z]+").match(text, place):
        return command.group(), command.end()
    if first in ")]},":
        return "", place
    return first, place + 1


def closing(text: str, start: int) -> int | None:
    """Where the bracket at `start` closes: intervals may close with another kind than they opened with."""
    depth = 0
    for place in range(start, len(text)):
        if text[place] in _OPEN:
            depth += 1
        elif text[place] in _CLOSE:
            depth -= 1
            if depth == 0:
                return place
    return None


def elements(text: str) -> list[Element]:
    """The members of a list, in order: what stands between commas, semicolons, "and", "or" outside all brackets."""
    found: list[Element] = []
    depth, start, before = 0, 0, ""
    place = 0
    while place < len(text):
        here = text[place]
        step, separator = 1, ""
        if here in _OPEN:
            depth += 1
        elif here in _CLOSE:
            depth -= 1
        elif depth == 0 and here in ",;":
            separator = here
        elif depth == 0 and here in "ao" and (word := _SEPARATOR.match(text, place)):
            separator, step = word.group(), len(word.group())
        if separator:
            part = text[start:place].strip()
            if part:
                found.append(Element(part, before))
                before = separator
            elif before in ("", ",", ";"):
                before = separator
            start = place + step
        place += step
    if rest := text[start:].strip():
        found.append(Element(rest, before))
    return found


def sides(text: str) -> list[str]:
    """`text` cut at every "=" outside brackets; `\\le` and the like are no cuts."""
    parts: list[str] = []
    depth = start = 0
    for place, here in enumerate(text):
        if here in _OPEN:
            depth += 1
        elif here in _CLOSE:
            depth -= 1
        elif here == "=" and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]


def has_comparison(text: str) -> bool:
    """Whether `text` says anything like "is less than", "equals", "is in"."""
    return bool(_COMPARISON.search(text))


def name_of(text: str) -> str | None:
    """`text` without spaces if it only names something: `x`, `x_1`, `f(x)`, `(p, q)`, `\\Delta p`, `\\angle ABC`."""
    text = text.strip()
    if not _NAME.fullmatch(text) or re.match(r"\\(?:frac|sqrt|pi|infty|text\s*\{\s*(?:and|or))", text):
        return None
    return re.sub(r"[\s{}]", "", text)


def without_remark(text: str) -> tuple[str, str]:
    """`text` cut before ", where ..." or ", for ...": the answer and the remark ("" where there is none)."""
    found = _WHERE.search(text)
    if found is None or not text[: found.start()].strip():
        return text, ""
    return text[: found.start()].strip(" ,;$"), text[found.start() :].strip(" ,;$")
