"""The built-in word problems: seeded, of our own wording, with gold answer, steps and skills.

Splits are disjoint by content: a hash of (family, operand tuple) says to which split a problem belongs, so no
operand tuple of a family is in two splits, whatever the seed, the difficulty or the limit.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from math import prod

from distill_app.errors import StageError
from distill_app.problems._families import FAMILIES, SIZES, Family, fits
from distill_app.problems._wording import FORMS, ITEMS, NAMES
from distill_app.records import Problem, Step
from distill_app.seeds import derive

__all__ = ["DEFAULT_LIMIT", "FAMILIES", "SPLITS", "generate"]

SPLITS = {"train": 0.6, "placement": 0.2, "test": 0.2}
"""The splits and the share of all operand tuples that each holds."""

DEFAULT_LIMIT = 400
"""Problems made where the recipe's limit is null."""


def generate(
    split: str,
    limit: int | None,
    families: Sequence[str] | None,
    mix: Mapping[str, float],
    difficulty: str,
    seed: int,
) -> list[Problem]:
    """`limit` distinct problems of one split, families taking turns by their weight in `mix` (1 where unnamed).

    A shorter list is a prefix of a longer one. A family that has no more problems drops out of the turns. Within
    a family no operand tuple comes a second time before all have come once; then the next surface form follows.
    Raises `StageError` for an unknown split, family or difficulty, and where fewer than `limit` problems exist.
    """
    wanted = DEFAULT_LIMIT if limit is None else limit
    _check(split, families, mix, difficulty)
    names = [name for name in FAMILIES if families is None or name in families]
    weights = {name: float(mix.get(name, 1.0)) for name in names if mix.get(name, 1.0) > 0}
    streams = {name: _stream(FAMILIES[name], split, difficulty, seed) for name in weights}
    credit = dict.fromkeys(weights, 0.0)
    made: list[Problem] = []
    while streams and len(made) < wanted:
        # Smooth weighted round-robin: each family earns its weight a turn, the richest pays for the turn.
        for name in streams:
            credit[name] += weights[name]
        turn = max(streams, key=lambda name: credit[name])
        credit[turn] -= sum(weights[name] for name in streams)
        problem = next(streams[turn], None)
        if problem is None:
            del streams[turn]
        else:
            made.append(problem)
    if len(made) < wanted:
        raise StageError(
            f"builtin:word_problems has {len(made)} distinct {difficulty} problems in split {split!r} for"
            f" {', '.join(weights) or 'no family'}; {wanted} were asked for.",
            "Lower limit, name more families (with a mix above 0), or take a larger difficulty.",
        )
    return made


def _check(split: str, families: Sequence[str] | None, mix: Mapping[str, float], difficulty: str) -> None:
    if split not in SPLITS:
        raise StageError(f"builtin:word_problems has no split {split!r}.", f"Its splits are {', '.join(SPLITS)}.")
    if difficulty not in SIZES:
        raise StageError(f"There is no difficulty {difficulty!r}.", f"Take one of {', '.join(SIZES)}.")
    unknown = sorted({*(families or ()), *mix} - set(FAMILIES))
    if unknown:
        raise StageError(
            f"builtin:word_problems has no family {', '.join(map(repr, unknown))}.",
            f"Its families are {', '.join(FAMILIES)}.",
        )


def split_of(family: Family, operands: Sequence[int]) -> str:
    """The split that this operand tuple of the family belongs to."""
    key = sorted(operands) if family.commutative else list(operands)
    digest = hashlib.sha256(f"{family.name}:{','.join(map(str, key))}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for split, share in SPLITS.items():
        if place < share:
            return split
        place -= share
    return split


def _stream(family: Family, split: str, difficulty: str, seed: int) -> Iterator[Problem]:
    """All problems of the family in the split: every operand tuple in one surface form, then in the next."""
    size = SIZES[difficulty]
    seen: set[str] = set()
    tuples: list[tuple[int, ...]] = []
    rounds = len(FORMS[family.name])
    for turn in range(rounds):
        source = _draws(family, difficulty, seed) if turn == 0 else iter(tuples)
        for operands in source:
            if turn == 0:
                if split_of(family, operands) != split:
                    continue
                if not fits(*family.work(*operands), size):
                    continue
                tuples.append(operands)
            problem = _problem(family, operands, turn, split, len(seen), seed)
            if problem.question not in seen:
                seen.add(problem.question)
                yield problem


def _draws(family: Family, difficulty: str, seed: int) -> Iterator[tuple[int, ...]]:
    """Every operand tuple of the family's slots once, in an order drawn from the seed.

    A Fisher-Yates shuffle that keeps only the places it has touched, as the large slots have a billion tuples.
    """
    slots = family.slots(SIZES[difficulty])
    total = prod(len(slot) for slot in slots)
    rng = random.Random(derive(seed, "operands", family.name, difficulty))
    moved: dict[int, int] = {}
    for index in range(total):
        other = rng.randrange(index, total)
        place = moved.get(other, other)
        moved[other] = moved.pop(index, index)
        operands = []
        for slot in slots:
            place, digit = divmod(place, len(slot))
            operands.append(slot[digit])
        yield tuple(operands)


def _problem(family: Family, operands: tuple[int, ...], turn: int, split: str, index: int, seed: int) -> Problem:
    numbers, steps = family.work(*operands)
    rng = random.Random(derive(seed, "wording", family.name, *operands))
    forms = list(FORMS[family.name])
    rng.shuffle(forms)
    for _ in range(turn + 1):
        name, other = rng.sample(NAMES, 2)
        items = rng.choice(ITEMS)
    question = forms[turn].format(name=name, other=other, items=items, **numbers)
    digest = hashlib.sha256(question.encode()).hexdigest()[:8]
    return Problem(
        id=f"word-{split}-{family.name}-{index:04d}-{digest}",
        question=question,
        answer=number_text(steps[-1].result),
        source="builtin:word_problems",
        family=family.name,
        skills=family.skills,
        solution=worked_text(steps),
        steps=steps,
    )


def number_text(value: float) -> str:
    """A number as a pupil writes it: no decimals where it is whole."""
    return str(int(value)) if float(value).is_integer() else f"{value:.2f}".rstrip("0").rstrip(".")


def worked_text(steps: Sequence[Step]) -> str:
    """The clean worked form: an equation a line, then the answer line."""
    lines = [f"{number_text(s.left)} {s.operator} {number_text(s.right)} = {number_text(s.result)}" for s in steps]
    return "\n".join([*lines, f"Answer: {number_text(steps[-1].result)}"])
