"""Skills by asking a teacher, from the root of the tree downwards (arXiv 2601.10109; methods.md 3.3).

At each node the teacher sees the children's names and says which the problem needs; those are followed, and a leaf
that is reached gives a chain. The paper goes one row at a time; here all rows go down together, in waves: the calls
of one wave are one batch for the teacher. Ours besides: a JSON Schema for teachers that can be held to it, names
matched in spite of small slips, one retry of an answer that cannot be read, a cap on the children followed, and a
count of everything that went astray.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from distill_app.errors import StageError
from distill_app.recipe.wording import quoted
from distill_app.records import Completion, Problem, Request, Trace, TraceSkills
from distill_app.seeds import derive
from distill_app.skills import Ask, Attributed, Unmatched
from distill_app.skills.reading import after_think, string_list
from distill_app.skills.tree import ARROW, Tree, fold

VERSION = 2
"""Raised when the same rows, tree and answers would now give other chains, or other prompts."""

DEEPEST = 20
"""Levels followed; a node there ends its chain (the paper's code)."""

ANSWER_CHARACTERS = 20_000
"""Longest part of a trace's answer that is shown, in the paper's code."""

LIKE = 0.85
"""How like a child's name a name must be (difflib's ratio) to stand for it: our choice."""

AHEAD = 0.05
"""By how much the most like must lead the second: below it a name could mean either, and means neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`fan_out`: most children followed at one node for one row. `temperature` null leaves it to the teacher (the
    paper's code has 0.3). `constrained` sends the schema along, for teachers that can be held to one.
    `answer_characters`: longest part of a trace's answer that is shown, for teachers with a short context."""

    fan_out: int
    temperature: float | None
    seed: int
    constrained: bool = True
    answer_characters: int = ANSWER_CHARACTERS


@dataclass(frozen=True, slots=True)
class Wave:
    """What is about to be asked: the wave's number from 1, its calls, and the rows they belong to."""

    number: int
    calls: int
    rows: int


@dataclass(frozen=True, slots=True)
class _Call:
    row: int
    chain: str
    node: Tree
    level: int
    attempt: int = 0


@dataclass(slots=True)
class _Work:
    """What is known of each row so far, and the counts."""

    chains: list[set[str]]
    why: list[Counter[str]]
    counts: Counter[str] = field(default_factory=Counter)
    strange: Counter[str] = field(default_factory=Counter)
    near: dict[str, str | None] = field(default_factory=dict)


_COUNTS = (
    "rows", "rows without skills", "waves", "calls", "retries", "unreadable", "missing", "names matched loosely",
    "names not in the tree", "answers over the fan-out", "cut at the deepest level", "rows without a final answer",
)  # fmt: skip


def attribute(
    rows: Sequence[Trace],
    tree: Tree,
    ask: Ask,
    options: Options,
    progress: Callable[[Wave], None] | None = None,
) -> Attributed:
    """The chains of every row, in the tree's order; a row that gets none says why.

    `ask` is called once a wave. A request's id is `<row id>/skills/<hash of the node's chain>`, with `/again` for a
    retry; its seed comes from the recipe's and that id alone. So the same answers lead to the same requests, and a
    caller that has logged completions can answer them from its log. An answer that cannot be read, twice, drops its
    branch and is counted. Raises `StageError` where `ask` leaves requests without a completion, and where no row at all
    gets a chain.
    """
    work = _Work([set() for _ in rows], [Counter() for _ in rows])
    texts = [_shown(row, options.answer_characters) for row in rows]
    work.counts["rows without a final answer"] = sum(1 for row in rows if not after_think(row.text))
    calls = [_Call(index, "", tree, 0) for index in range(len(rows))]
    while calls:
        work.counts["waves"] += 1
        work.counts["calls"] += len(calls)
        if progress is not None:
            progress(Wave(work.counts["waves"], len(calls), len({call.row for call in calls})))
        requests = [_request(rows[call.row], texts[call.row], call, options) for call in calls]
        answers = answered(ask, requests)
        calls = [
            after
            for call, request in zip(calls, requests, strict=True)
            for after in _follow(call, answers[request.id], options, work)
        ]
    order = {chain: place for place, (chain, _) in enumerate(tree.walk())}
    result = [
        TraceSkills(row.id, tuple(sorted(chains, key=order.__getitem__)), None if chains else _reason(why))
        for row, chains, why in zip(rows, work.chains, work.why, strict=True)
    ]
    if rows and not any(row.chains for row in result):
        raise _nothing(result, tree, work)
    work.counts["rows"] = len(rows)
    work.counts["rows without skills"] = sum(not row.chains for row in result)
    unmatched = {name: Unmatched(times, work.near[name]) for name, times in work.strange.most_common()}
    return Attributed(result, {name: work.counts[name] for name in _COUNTS}, unmatched)


def answered(ask: Ask, requests: list[Request]) -> dict[str, Completion]:
    """Every request's completion by id. Raises `StageError` where one is lacking."""
    answers = {completion.id: completion for completion in ask(requests)}
    lacking = [request.id for request in requests if request.id not in answers]
    if lacking:
        raise StageError(
            f"The teacher gave no answer to {len(lacking)} of {len(requests)} questions about skills, such as"
            f" {lacking[0]!r}.",
            "Issue the command again: what is answered is kept.",
        )
    return answers


def schema_for(names: Iterable[str], most: int) -> str:
    """JSON Schema, as text, of a list of at most `most` of the names.

    It does not ask for unique items, which grammar engines (llguidance among them) cannot hold a model to: names
    said twice are counted once.
    """
    items = {"type": "string", "enum": list(names)}
    return json.dumps({"type": "array", "items": items, "maxItems": most}, ensure_ascii=False)


def _follow(call: _Call, answer: Completion, options: Options, work: _Work) -> list[_Call]:
    """The calls that this answer leads to; chains and counts go into `work`."""
    if answer.finish_reason == "missing":
        work.counts["missing"] += 1
        work.why[call.row]["the teacher has no answer"] += 1
        return []
    said = string_list(answer.text)
    chosen = [] if said is None else _choose(said, call.node, work)
    if said is None or (said and not chosen):
        if call.attempt == 0:
            work.counts["retries"] += 1
            return [_Call(call.row, call.chain, call.node, call.level, 1)]
        work.counts["unreadable"] += 1
        work.why[call.row]["the teacher's answer could not be read"] += 1
        return []
    if not chosen:
        work.why[call.row]["the teacher chose none of the skills shown"] += 1
        return []
    if len(chosen) > options.fan_out:
        work.counts["answers over the fan-out"] += 1
    further: list[_Call] = []
    for node in chosen[: options.fan_out]:
        chain = call.chain + ARROW + node.name if call.chain else node.name
        if node.children and call.level + 1 < DEEPEST:
            further.append(_Call(call.row, chain, node, call.level + 1))
        else:
            work.chains[call.row].add(chain)
            work.counts["cut at the deepest level"] += bool(node.children)
    return further


def _choose(said: list[str], node: Tree, work: _Work) -> list[Tree]:
    """The children that the names mean, each once, in the order they were said."""
    by_name = {fold(child.name): child for child in node.children}
    by_words: dict[str, str] = {}
    for folded in by_name:
        by_words.setdefault(_words(folded), folded)
    chosen: dict[str, Tree] = {}
    for name in said:
        words = _words(fold(name))
        exact = fold(name) if fold(name) in by_name else by_words.get(words)
        found = exact or by_words.get(_most_like(words, by_words) or "")
        if found is None:
            work.counts["names not in the tree"] += 1
            work.strange[name] += 1
            near = difflib.get_close_matches(words, by_words, n=1, cutoff=0.5)
            work.near.setdefault(name, by_name[by_words[near[0]]].name if near else None)
            continue
        work.counts["names matched loosely"] += exact is None
        chosen.setdefault(found, by_name[found])
    return list(chosen.values())


def _words(folded: str) -> str:
    """A folded name without the marks that a model adds or leaves off at its ends."""
    return folded.strip(".\"'`*- ")


def _most_like(name: str, choices: Iterable[str]) -> str | None:
    """The choice at least `LIKE` like the name, and `AHEAD` of every other; else None."""
    near = difflib.get_close_matches(name, choices, n=2, cutoff=LIKE - AHEAD)
    ratios = [difflib.SequenceMatcher(None, choice, name).ratio() for choice in near]
    if not near or ratios[0] < LIKE or (len(near) == 2 and ratios[0] - ratios[1] < AHEAD):
        return None
    return near[0]


def _nothing(rows: Sequence[TraceSkills], tree: Tree, work: _Work) -> StageError:
    reasons = Counter(str(row.reason) for row in rows).most_common(3)
    told = ", ".join(f"{reason} ({times})" for reason, times in reasons)
    names = ", ".join(quoted(name, 40) for name, _ in work.strange.most_common(3))
    return StageError(
        f"The teacher found a skill of the tree {quoted(tree.name)} in none of the {len(rows)} traces: {told}."
        f" {work.counts['calls']} questions, {work.counts['retries']} of them asked again."
        + (f" Names it gave that are not in the tree: {names}." if names else ""),
        "Small models seldom follow the instruction: name a larger one under `skills.teacher`, check that the tree fits"
        " these problems, or set `skills.by: labels` where the data have labels.",
    )


def _reason(why: Counter[str]) -> str:
    return "; ".join(f"{reason} ({times} times)" if times > 1 else reason for reason, times in sorted(why.items()))


def _request(row: Trace, text: str, call: _Call, options: Options) -> Request:
    node = hashlib.sha256(call.chain.encode()).hexdigest()[:12]
    identity = f"{row.id}/skills/{node}" + ("/again" if call.attempt else "")
    names = [child.name for child in call.node.children]
    prompt = _PROMPT.format(
        text=text,
        where=call.chain or call.node.name,
        names="\n".join(f"- {name}" for name in names),
        most=min(options.fan_out, len(names)),
    )
    return Request(
        id=identity,
        problem=Problem(id=row.problem_id, question=row.question, answer=row.answer, source=row.teacher),
        prompt=prompt + (_AGAIN if call.attempt else ""),
        sample=0,
        seed=derive(options.seed, identity),
        temperature=options.temperature,
        schema=schema_for(names, options.fan_out) if options.constrained else None,
    )


def _shown(row: Trace, characters: int) -> str:
    answer = after_think(row.text)[:characters]
    return f"Problem:\n{row.question}" + (f"\n\nWorked answer:\n{answer}" if answer else "")


_PROMPT = """Find out which skills a problem calls for.

{text}

End of the problem. These are the skills to choose from, all of them kinds of "{where}":
{names}

Which of them does somebody use who understands this problem and solves it as above? Name basic skills too. Choose \
at most {most}, the most important first, and copy each name exactly as it stands in the list. Reply with a JSON \
list of strings and nothing else, such as ["one skill", "another skill"], or [] if none of them is used."""

_AGAIN = """

An earlier reply could not be read. Reply with the JSON list alone: no other words, and only names from the list."""
