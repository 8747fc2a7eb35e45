"""The row types that flow through every stage. One frozen dataclass a kind of row; Parquet columns mirror them.

Ids are strings, unique within an artifact, and are what joins one kind of row to another: order never does.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One arithmetic step of a worked solution: `left operator right = result`, operator one of + - * /."""

    left: float
    operator: str
    right: float
    result: float
    label: str
    """What the result is, in words: "apples in all the bags"."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with its gold answer. `solution`, `family`, `skills` and `steps` where the source has them."""

    id: str
    question: str
    answer: str
    source: str
    family: str | None = None
    skills: tuple[str, ...] = ()
    solution: str | None = None
    steps: tuple[Step, ...] = ()
    kind: str = "auto"
    """What an answer is: `number`, `integer`, `choice` (a letter), `yes_no`; `auto` goes by the gold answer."""
    cluster: str | None = None
    """What problems share that come from one source (a passage, a contest); null stands alone."""
    tolerance: float | None = None
    """How far a number may be from the gold one, absolutely; null takes equal numbers only."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a teacher is asked: one sample of one prompt. `prompt` is the text of the user turn.

    `temperature` is the augmentation's own, for teachers that sample; null leaves it to the teacher's options.
    """

    id: str
    problem: Problem
    prompt: str
    sample: int
    seed: int
    temperature: float | None = None
    schema: str | None = None
    """JSON Schema, as text, that the completion must be an instance of; null leaves the text free."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a teacher answered to the request of the same id.

    `finish_reason` is "stop", "length" (cut at the token limit), "missing" (the teacher has no answer; `text` is empty
    and `note` may say why), or a server's own word ("content_filter"). `tokens` counts completion tokens, None where
    the teacher has no tokenizer. `note` is the teacher's own label of what it did (the worked teacher names its style
    and mistake here); selectors never see it, reports do.
    """

    id: str
    text: str
    finish_reason: str
    tokens: int | None = None
    note: str | None = None
    numbers: tuple[tuple[str, float], ...] = ()
    """Numbers the data hold about this trace, by column: a reward, a rating, a pass rate."""
    group: str | None = None
    """What the rows made from one source share; null stands alone."""
    prompt_tokens: int | None = None
    """Tokens of the prompt, where somebody counts them: a server that bills them."""
    seed: int | None = None
    """The seed the completion was really drawn with, where it is not the request's."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One teacher's reasoning about one problem: a candidate for training.

    `question` is what the student is to be asked, `answer` its gold answer ("" where it has none).
    """

    id: str
    problem_id: str
    question: str
    answer: str
    text: str
    teacher: str
    augmentation: str
    sample: int
    seed: int
    finish_reason: str
    tokens: int | None = None
    note: str | None = None
    skills: tuple[str, ...] = ()
    numbers: tuple[tuple[str, float], ...] = ()
    group: str | None = None
    """Rows of one group are made of one source and can be selected together; null stands alone."""
    task: str = "solve"
    """What the row teaches: `solve` the question, or what its augmentation says (`backward_question`)."""
    original_question: str | None = None
    """The pool's question, where the augmentation asks another."""
    kind: str = "auto"
    tolerance: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One answer of a student to one benchmark problem."""

    id: str
    problem_id: str
    question: str
    answer: str
    text: str
    sample: int
    seed: int
    finish_reason: str
    tokens: int
    kind: str = "auto"
    tolerance: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a text was graded. `verdict` is correct, wrong, no_answer or timeout; `rule` is what found the answer.

    A row without a gold answer (a backward question, say) is `ungraded`: its augmentation has judged it.
    """

    id: str
    verdict: str
    extracted: str | None
    rule: str | None


@dataclass(frozen=True, slots=True)
class Quality:
    """A quality score for one trace and the parts it was made from (documented by the scorer)."""

    id: str
    quality: float
    parts: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Difficulty:
    """How hard one trace is for one student. `nll` is the mean negative log-likelihood, in nats, of the trace's
    `tokens` after the question (ln CPPL), `nll_alone` of the same tokens without it (ln PPL). `rank_sum` is the sum of
    the tokens' ranks after the question, each at most 100. `cut`: the trace was longer than what was scored.
    """

    id: str
    tokens: int
    nll: float
    nll_alone: float
    rank_sum: int
    cut: bool


@dataclass(frozen=True, slots=True)
class TraceSkills:
    """The skills a trace needs: chains of names through the skill tree, from below the root to a leaf.

    The names of a chain are joined by `skills.tree.ARROW`. No chain: the trace could not be attributed, and `reason`
    says why.
    """

    id: str
    chains: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Why a row was kept or left. `rank` counts from 1 among ranked rows, None for rows never ranked."""

    id: str
    kept: bool
    rank: int | None
    score: float | None
    reason: str
