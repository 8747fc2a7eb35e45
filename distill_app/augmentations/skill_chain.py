"""The teacher names the chains of skills a problem needs, then reasons along them.

[inferred] Skill-aware fine-tuning (arXiv 2601.10109; methods.md 3.6) writes chains that were found by attribution to a
tree into what the student learns to write: that is the recipe's `training.skills`. Here the teacher writes them itself,
in words of its own or, where the data name a problem's skills, about those; they stand in the trace in the same form,
so that the student learns to state skills first in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from distill_app import thinking
from distill_app.augmentations import Grade, Made, Refused, Rounds, Row, fill, lacking, rows
from distill_app.augmentations._rounds import sift
from distill_app.records import Completion, Problem, Trace
from distill_app.skills.prefix import HEAD, lines, prefix, put
from distill_app.skills.tree import ARROW, fold

VERSION = 1
ASKS = "instructions"
ROWS = 1
PLACEHOLDERS = {"prompt": ("question",), "skills_prompt": ("question", "skills")}

LONGEST_NAME = 100
"""Characters of a skill's name: a longer one is a sentence with an arrow in it."""

_ARROW = re.compile(r"\s*(?:->|→)\s*")
_MARK = re.compile(r"^(?:[-*•]|\d+[.)])\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    prompt: str
    skills_prompt: str
    max_chains: int


def check(options: Options) -> list[tuple[str, str, str]]:
    """Prompts that do not say all they are to say."""
    return lacking(options, PLACEHOLDERS)


def make(
    problems: Sequence[Problem],
    options: Options,
    *,
    samples: int,
    seed: int,
    teacher: str,
    grade: Grade,  # noqa: ARG001 - the contract: these answers are graded as candidates of the pool
) -> Rounds:
    """`samples` traces for each problem that begin with its chains, at the teacher's own temperature.

    One round. An answer stays where it begins with a block of 1 to `max_chains` chains, in the form of
    `skills.prefix` but for list marks and spaces, and goes on after an empty line; the trace has the exact form. Of a
    teacher that thinks, the block begins what follows the think block, and in the trace it stands before that (as
    `training.skills` puts it). Where the problem's skills are known, each chain must end in one of them.
    """
    todo = rows(problems, samples=samples, seed=seed, teacher=teacher, augmentation="skill_chain")
    asked = {row.id: row.request(_prompt(row.problem, options)) for row in todo}
    answers = yield list(asked.values())

    def trace(row: Row, answer: Completion) -> Trace:
        return row.trace(asked[row.id], answer, text=_in_form(answer.text, row.problem.skills, options.max_chains))

    made, rejected = sift(todo, asked, answers, "answer", trace)
    return Made([trace for _, trace in made], rejected)


def _prompt(problem: Problem, options: Options) -> str:
    template = options.skills_prompt if problem.skills else options.prompt
    known = "\n".join(f"- {name}" for name in problem.skills)
    return fill(template, question=problem.question, skills=known, max_chains=str(options.max_chains))


def _in_form(text: str, known: Sequence[str], most: int) -> str:
    """The text with its chains at the very start, as `skills.prefix` writes them. Raises `Refused`."""
    answer = thinking.split(text).answer
    if not answer.strip():
        raise Refused("empty", "the teacher wrote nothing, or nothing after thinking")
    head, *body = answer.strip().splitlines(keepends=True)
    if head.rstrip() != HEAD:
        raise Refused("no skills", f"does not begin with a line {HEAD!r}")
    end = next((at for at, line in enumerate(body) if not line.strip()), len(body))
    chains = lines([_chain(line) for line in body[:end]], depth=None, drop_short=False)
    reasoning = "".join(body[end:]).lstrip()
    if not chains:
        raise Refused("no skills", "names no chain of skills")
    if len(chains) > most:
        raise Refused("too many chains", f"names {len(chains)} chains, more than {most}")
    ends = {fold(name) for name in known}
    strange = [chain for chain in chains if ends and fold(chain.split(ARROW)[-1]) not in ends]
    if strange:
        raise Refused("other skills", f"{strange[0]!r} ends in none of the problem's skills ({', '.join(known)})")
    if not reasoning:
        raise Refused("no reasoning", "stops after its skills")
    thought = text[: len(text) - len(answer.lstrip())] if len(answer) < len(text) else ""
    return put(thought + reasoning, prefix(chains), "before")


def _chain(line: str) -> str:
    """A line of the block as a chain. Raises `Refused` where it is none."""
    names = [" ".join(name.split()) for name in _ARROW.split(_MARK.sub("", line.strip()))]
    if len(names) < 2:
        raise Refused("no chain", f"{line.strip()[:LONGEST_NAME]!r} stands among the chains and has no arrow")
    if not all(names):
        raise Refused("no chain", f"{line.strip()[:LONGEST_NAME]!r} has an arrow with nothing beside it")
    if any(len(name) > LONGEST_NAME for name in names):
        raise Refused("no chain", f"{line.strip()[:LONGEST_NAME]!r}... is no chain of names")
    return ARROW.join(names)
