"""Text from models and data for `gr.Markdown`: every sign stands for itself, and mathematics is set by KaTeX.

All that Markdown, HTML or an address could be made of is written as a character reference, which neither reads as
structure. What is mathematics (`$…$`, `$$…$$`, `\\(…\\)`, `\\[…\\]`, a bare `\\boxed{…}`) is put between characters of
Unicode's private use, which are the only delimiters that `gr.Markdown` is told of, so that no other text is taken for
it. KaTeX is not trusted by Gradio: commands that would open an address or load a picture are shown as text.
"""

from __future__ import annotations

import re

INLINE, INLINE_END, DISPLAY, DISPLAY_END = "\ue000", "\ue001", "\ue002", "\ue003"
DELIMITERS: list[dict[str, str | bool]] = [
    {"left": DISPLAY, "right": DISPLAY_END, "display": True},
    {"left": INLINE, "right": INLINE_END, "display": False},
]
"""What `gr.Markdown(latex_delimiters=...)` takes."""
LONGEST = 60_000
"""Characters shown of one text."""

_MATHS = re.compile(
    r"\$\$(?P<dollars>.+?)\$\$"
    r"|\\\[(?P<brackets>.+?)\\\]"
    r"|\\\((?P<parens>.+?)\\\)"
    r"|(?<![\\$\w])\$(?![\s$])(?P<dollar>[^$\n]*?[^\s$\\])\$(?![\d$])"
    r"|(?P<boxed>\\boxed\s*\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})",
    re.DOTALL,
)
_SIGNS = re.compile(r"[^\w\s]|_", re.ASCII)
_OWN = re.compile("[\ue000-\ue003]")


def escaped(text: str) -> str:
    """Markdown that shows `text` as it stands, lines and leading blanks kept."""
    return _escaped(text, at_start=True)


def _escaped(text: str, *, at_start: bool) -> str:
    """`escaped` for a part of a text; `at_start` says that it begins a line."""
    lines = (_OWN.sub("", text)).replace("\r\n", "\n").split("\n")
    return "\n".join(_line(line, at_start=at_start or place > 0) for place, line in enumerate(lines))


def _line(line: str, *, at_start: bool) -> str:
    body = line.lstrip(" \t") if at_start else line
    blanks = line[: len(line) - len(body)].expandtabs(4)
    return "&nbsp;" * len(blanks) + _SIGNS.sub(lambda sign: _reference(sign.group()), body)


def _reference(sign: str) -> str:
    # Letters and signs beyond ASCII are no structure to anybody.
    return f"&#{ord(sign)};" if ord(sign) < 128 else sign


def rendered(text: str) -> str:
    """Markdown that shows `text`, its mathematics set. Characters beyond `LONGEST` are only counted."""
    more = len(text) - LONGEST
    text = _OWN.sub("", text[:LONGEST])
    parts: list[str] = []
    at = 0
    for found in _MATHS.finditer(text):
        parts += [_escaped(text[at : found.start()], at_start=not at), _maths(found)]
        at = found.end()
    parts.append(_escaped(text[at:], at_start=not at))
    if more > 0:
        parts.append(f"\n\n… and {more:,} more characters")
    return "".join(parts)


def _maths(found: re.Match[str]) -> str:
    display = found["dollars"] or found["brackets"]
    body = display or found["parens"] or found["dollar"] or found["boxed"] or ""
    # KaTeX has words for the signs that HTML would read, and a blank line would end the paragraph.
    body = re.sub(r"\s+", " ", body).strip().replace("<", r"\lt ").replace(">", r"\gt ")
    left, right = (DISPLAY, DISPLAY_END) if display else (INLINE, INLINE_END)
    return f"{left}{body}{right}"
