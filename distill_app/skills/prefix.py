"""Skill-aware fine-tuning: the chains a row needs, written at the start of what the student learns to write.

The paper's code (arXiv 2601.10109; methods.md 3.6) puts a line "Skills:", then a chain a line, before the teacher's
text, which stays as it is; prompts stay as they are, in training and in evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from distill_app.errors import StageError
from distill_app.skills.tree import ARROW, split
from distill_app.thinking import OPEN

HEAD = "Skills:"


def lines(
    chains: Iterable[str], *, depth: int | None, drop_short: bool, labels: Mapping[str, str] | None = None
) -> list[str]:
    """The chains as they are shown, in order, none twice.

    `depth` keeps the first levels; `drop_short` leaves out chains that have fewer. `labels` maps a node's name to the
    short label shown for it; a name without one stays.
    """
    shown: dict[str, None] = {}
    for chain in chains:
        names = split(chain)
        if depth is not None and drop_short and len(names) < depth:
            continue
        shown[ARROW.join((labels or {}).get(name, name) for name in names[:depth])] = None
    return list(shown)


def prefix(shown: Sequence[str]) -> str:
    """The text to be written before a trace: "Skills:" and a chain a line, each with its line break. Empty where
    there is no chain: a row may show none."""
    return "".join(line + "\n" for line in (HEAD, *shown)) if shown else ""


def put(text: str, written: str, place: str) -> str:
    """The trace with the prefix `written`: before it, or (`inside_think`) as the first lines of its think block.

    A trace that does not begin with a think block has the prefix before it either way; where the chat template
    opens the block itself, that is inside. Every character of the trace stays, in its order.
    """
    if not written or place == "before":
        return written + text
    before, opened, rest = text.partition(OPEN)
    if not opened or before.strip():
        return written + text
    gap = "\n" if rest.startswith("\n") else ""
    return before + opened + "\n" + written + rest[len(gap) :]


def verify(row: str, target: Sequence[int], text: str, written: str, tokenizer: Any) -> None:
    """Prove that the prefix `written` of the trace `text` is in the tokens the student is trained on.

    `target` are the token ids that carry loss, with or without the end token; `text` is the trace with its prefix.
    Raises `StageError` where the tokens read back do not begin with the prefix (or with the think block whose first
    lines it is), or hold it twice there: public chat templates drop what an assistant says before <think>. Spaces
    are compared as the tokenizer itself gives them back.
    """
    if not written:
        return

    def read(ids: Sequence[int]) -> str:
        return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))

    expected = read(tokenizer.encode(written.rstrip("\n"), add_special_tokens=False)).strip()
    found = read(target).lstrip()
    start = found.removeprefix(OPEN).lstrip() if text.lstrip().startswith(OPEN) else found
    twice = start.removeprefix(expected).lstrip().startswith(expected)
    if start.startswith(expected) and not twice:
        return
    where = "stands there twice" if twice else "is not its beginning" if expected in found else "is not in it"
    raise StageError(
        f"Training row {row}: the skills that the student is to state first are lost on the way to tokens; the prefix"
        f" {expected[:80]!r} {where}. Target: {found[:80]!r}.",
        "The chat template must not touch the target. This is a fault in distill-app: please report it.",
    )
