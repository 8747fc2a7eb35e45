"""YAML's own complaints in words that help someone who has not read its specification."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from distill_app.errors import Fault, Position

if TYPE_CHECKING:
    from ruamel.yaml.error import YAMLError

# (in the context, in the problem, report where the context began, what is wrong, what to do)
_SENTENCES = (
    (
        "quoted scalar",
        "end of stream",
        True,
        "the quote that opens here is never closed.",
        "Close it, or delete it.",
    ),
    (
        "quoted scalar",
        "document separator",
        True,
        "the quote that opens here is never closed.",
        "Close it, or delete it.",
    ),
    (
        "quoted scalar",
        "unknown escape",
        False,
        "a backslash in double quotes starts an escape, and this one does not exist.",
        "Write two backslashes, or use single quotes.",
    ),
    (
        "quoted scalar",
        "escape sequence",
        False,
        "this escape is not complete.",
        "Write two backslashes, or use single quotes.",
    ),
    (
        "flow sequence",
        "",
        True,
        "the `[` that opens here is not closed, or a comma is missing.",
        "Put a comma between entries and `]` after the last; quote entries that hold `: `, commas or brackets.",
    ),
    (
        "flow mapping",
        "",
        True,
        "the `{` that opens here is not closed, or a comma is missing.",
        "Put a comma between entries and `}` after the last; quote values that hold commas or brackets.",
    ),
    (
        "block scalar",
        "",
        False,
        "after `|` or `>` the text must start on the next line, indented.",
        "Move the text down, or put text that begins with `|` or `>` in quotes.",
    ),
    (
        "",
        "mapping values are not allowed",
        False,
        "a colon stands where no key can be.",
        "If the colon is part of a text, put the text in quotes; else look at the indentation of this line and "
        "for a missing space after the colon above.",
    ),
    (
        "",
        "could not find expected ':'",
        True,
        "this line is not of the form `key: value`.",
        "Write a colon and a space after the key.",
    ),
    (
        "",
        "sequence entries are not allowed",
        False,
        "a list entry (`- `) stands where none can be.",
        "Start the list on the next line, or write it in brackets: [a, b].",
    ),
    (
        "block mapping",
        "expected <block end>",
        False,
        "this does not fit the map that the lines above began.",
        "Keys of one map start in the same column; a quoted value ends at its closing quote (a quote inside "
        "single quotes is written twice).",
    ),
    (
        "block collection",
        "expected <block end>",
        False,
        "this does not fit the list that the lines above began.",
        "Entries of one list start with `- ` in the same column.",
    ),
    (
        "",
        "expected '<document start>'",
        False,
        "this is not indented like the first key, or stands after the end of the recipe.",
        "Start all top-level keys in the first column.",
    ),
    (
        "alias",
        "",
        True,
        "a value cannot begin with a bare `*`.",
        'Put it in quotes: "*".',
    ),
    (
        "anchor",
        "",
        True,
        "a value cannot begin with a bare `&`.",
        "Put it in quotes.",
    ),
    (
        "simple key",
        "",
        True,
        "this line is not of the form `key: value`.",
        "Write a colon and a space after the key.",
    ),
    (
        "tag",
        "",
        True,
        "text that begins with `!` must be in quotes.",
        "Quote it, or delete the `!`.",
    ),
    (
        "directive",
        "",
        True,
        "a line that begins with `%` is a YAML directive, and recipes have none.",
        "Delete the line, or put the text in quotes.",
    ),
)


def explain(error: YAMLError, text: str, position: Callable[[int], Position]) -> Fault:
    """The fault to show for an error of ruamel.yaml about `text`."""
    context = getattr(error, "context", None) or ""
    problem = getattr(error, "problem", None) or ""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    index = min(mark.index if mark else 0, len(text))
    line_start = text.rfind("\n", 0, index) + 1
    indentation = text[line_start : len(text)].split("\n")[0]
    indentation = indentation[: len(indentation) - len(indentation.lstrip())]
    if "\t" in indentation:
        at = line_start + indentation.index("\t")
        return Fault(position(at), "", "a tab stands in the indentation.", "Indent with spaces.")
    if problem.startswith("found character") and index < len(text):
        return Fault(
            position(index),
            "",
            f"a value cannot begin with the character {_shown(text[index])}.",
            "Put the value in quotes.",
        )
    if problem.startswith("mapping values") and (found := _line_above(text, line_start)):
        at, message, suggestion = found
        return Fault(position(at), "", message, suggestion)
    for in_context, in_problem, from_context, message, suggestion in _SENTENCES:
        if in_context in context and in_problem in problem:
            began = getattr(error, "context_mark", None)
            if from_context and began:
                index = began.index
            return Fault(position(index), "", message, suggestion)
    return Fault(
        position(index),
        "",
        "this is not valid YAML.",
        "Look for a missing quote, colon or bracket here and on the line above.",
    )


def _line_above(text: str, line_start: int) -> tuple[int, str, str] | None:
    """What the line above has to do with a colon out of place: a character, what is wrong, what to do."""
    start = text[:line_start].rstrip().rfind("\n") + 1
    above, this = text[start:line_start].rstrip(), text[line_start:].split("\n")[0]
    indent, indent_here = (len(line) - len(line.lstrip()) for line in (above, this))
    if not above.strip() or above[indent] in "#-\"'[{":
        return None
    if ": " in above and indent < indent_here:
        message = "this line is indented deeper than the one above, which has its value already."
        return line_start + indent_here, message, "Start both in the same column."
    if ": " not in above and not above.endswith(":") and indent == indent_here:
        message = "this line is not of the form `key: value`."
        return start + indent, message, "Write a colon and a space after the key."
    return None


def _shown(character: str) -> str:
    return "`tab`" if character == "\t" else f"`{character}`"
