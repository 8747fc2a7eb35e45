"""The think block of a reasoning model, `<think>...</think>`: said here once, used everywhere.

The answer is what follows the last `</think>`. A block that is opened and never closed leaves no answer: the model was
cut while it thought. A text that only closes one is thought up to there: the prompt had opened the block.

What each part of the program does with it:

- Grading looks for the final answer in the answer alone; an unclosed block is graded `no_answer`.
- The pool's filters count the whole text for `min_tokens` and `max_tokens`; `think` asks whether there is a block.
- Duplicates are compared by the whole text, decontamination by questions, in which there is no block.
- Quality: the reward model reads the whole text or the answer, as `quality.part` says; the verifier checks the
  arithmetic of the whole text and the form of the answer; a judge reads the whole text, and of its own reply the answer
  is read.
- Skills are attributed from the question and the answer; a teacher's reply to that is read in its answer, too.
- Difficulty and training keep the text whole, character by character. The skills that a student is to state first go
  before the block or, where the recipe says so, right behind its opening.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

OPEN = "<think>"
CLOSE = "</think>"


class Thought(NamedTuple):
    """A text in its two parts. `thinking` is None where there is no block; `answer` is "" where it is `unclosed`."""

    thinking: str | None
    answer: str
    state: Literal["none", "closed", "unclosed"]


def split(text: str) -> Thought:
    """`text` as thinking and answer, white space kept.

    The answer is all of it where there is no block. The thinking is what stands between the first opening mark and the
    last closing one (several blocks are one, with what is between them), from the start where none opens and to the
    end where the last is unclosed. What stands before the first opening mark is neither.
    """
    opened, closed = text.rfind(OPEN), text.rfind(CLOSE)
    if opened < 0 and closed < 0:
        return Thought(None, text, "none")
    # A mark of opening behind the first one of closing opens another block: the first had been opened by the prompt.
    first = text.find(OPEN, 0, text.find(CLOSE) if closed >= 0 else len(text))
    start = first + len(OPEN) if first >= 0 else 0
    if opened > closed:
        return Thought(text[start:], "", "unclosed")
    return Thought(text[start:closed], text[closed + len(CLOSE) :], "closed")
