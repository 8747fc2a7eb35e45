"""s1's three filters (arXiv 2501.19393) [paper: code], adapted: quality, difficulty, then diversity over domains.

[paper: code] Drop broken formats; drop what Qwen2.5-7B or 32B solves; then draw a domain evenly and in it a question
with weight 2^(-rank by trace length, longest first), until there are 1,000.
What differs here, all of it our choice: quality is the scorer's, and the lowest share is dropped; difficulty is the
student's own pass rate at the problem; a domain is the first name of a row's skill chains, not a class of mathematics
that a model chose, and a row of several domains is in each of them; ranks count the rows still there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from distill_app.seeds import derive
from distill_app.selectors import Candidates, CommonOptions, Ranking, seeded_keys, signal
from distill_app.selectors._rates import rates
from distill_app.selectors._skills import Leaves, leaves

if TYPE_CHECKING:
    from distill_app.selectors import Bools, Floats, Ints

VERSION = 1
LABEL = "s1 (adapted)"
NEEDS: frozenset[str] = frozenset({"quality", "tokens", "skills", "answers"})
DYNAMIC = False
"""Quality, length, domain and the untrained student's pass rate stay what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(CommonOptions):
    drop_lowest: float
    max_pass_rate: float | None
    domains: Literal["skills", "none"]


def needs(options: Options) -> frozenset[str]:
    """Quality and length; skills for domains, and answers where there is a highest pass rate."""
    wanted = {"quality", "tokens"}
    wanted |= {"skills"} if options.domains == "skills" else set()
    return frozenset(wanted | ({"answers"} if options.max_pass_rate is not None else set()))


def rank(pool: Candidates, options: Options, seed: int) -> Ranking:
    """Candidates in the order drawn; those dropped by quality, pass rate, or for want of a domain are not eligible.

    The lowest floor(share * n) rows by quality are dropped, equals at the edge by `seeds.derive(seed, id)`. The score
    is the length in tokens.
    """
    import numpy as np

    quality, tokens = signal(pool, "quality"), signal(pool, "tokens")
    keys = seeded_keys(pool.ids, seed)
    total = len(pool.ids)
    poor = np.zeros(total, dtype=bool)
    poor[np.lexsort((keys, quality))[: math.floor(options.drop_lowest * total + 1e-9)]] = True
    solved, unknown, rate = np.zeros(total, dtype=bool), np.zeros(total, dtype=bool), None
    if options.max_pass_rate is not None:
        rate = rates(pool, "pass_rate")
        solved, unknown = rate > options.max_pass_rate, np.isnan(rate)
    domains = leaves(pool, 1, frozenset()) if options.domains == "skills" else _one_domain(total)
    homeless = domains.set_of < 0
    eligible = ~(poor | solved | unknown | homeless)
    longest_first = np.lexsort((keys, -tokens))
    drawn, domain_of = _draw(domains, longest_first, eligible, seed)
    order = np.concatenate([drawn, longest_first[~eligible[longest_first]]])
    names = [*domains.names, ""]
    lengths, qualities, home = tokens.tolist(), quality.tolist(), domain_of.tolist()
    poor_rows, solved_rows, unknown_rows = poor.tolist(), solved.tolist(), unknown.tolist()
    shown_rates = [] if rate is None else rate.tolist()

    def explain(row: int) -> str:
        if poor_rows[row]:
            return f"quality {qualities[row]:.4f} is among the lowest {options.drop_lowest:.0%}"
        if unknown_rows[row]:
            return "the student's pass rate at its problem is not known"
        if solved_rows[row]:
            return f"the student's pass rate {shown_rates[row]:.3f} is above {options.max_pass_rate:g}"
        if home[row] < 0:
            return "no skill was attributed to it, so it has no domain"
        return f"drawn in {names[home[row]]}, {lengths[row]:.0f} tokens"

    facts = {
        "domains": len(domains.names),
        "dropped_by_quality": int(poor.sum()),
        "dropped_by_pass_rate": int((solved & ~poor).sum()),
        "pass_rate_unknown": int(unknown.sum()),
        "without_domain": int(homeless.sum()),
    }
    return Ranking(order, tokens, explain, eligible, facts)


def _one_domain(rows: int) -> Leaves:
    import numpy as np

    return Leaves(["all rows"], [(0,)], np.zeros(rows, dtype=np.int64), np.array([rows]))


def _draw(domains: Leaves, longest_first: Ints, eligible: Bools, seed: int) -> tuple[Ints, Ints]:
    """The eligible rows in the order drawn, and for each row of the pool the domain it was drawn in (-1: none).

    A domain's rows lie in a stack with the longest on top. A draw goes down past j of them with probability in
    proportion to 2^-j; rows that another domain gave away meanwhile are taken off on the way.
    """
    import numpy as np

    stacks: list[list[int]] = [[] for _ in domains.names]
    set_of = domains.set_of.tolist()
    for row in longest_first[eligible[longest_first]][::-1].tolist():
        for domain in domains.sets[set_of[row]]:
            stacks[domain].append(row)
    left = [len(stack) for stack in stacks]
    live = [domain for domain, rows in enumerate(left) if rows]
    wanted = int(eligible.sum())
    generator = np.random.default_rng(derive(seed, "s1"))
    which, depth = generator.random(wanted).tolist(), generator.random(wanted)
    past = _depths(depth)
    domain_of = np.full(len(longest_first), -1, dtype=np.int64)
    gone = bytearray(len(longest_first))
    drawn: list[int] = []
    for step in range(wanted):
        domain = live[int(which[step] * len(live))]
        row = _take(stacks[domain], gone, _within(past[step], left[domain]))
        gone[row] = 1
        drawn.append(row)
        domain_of[row] = domain
        for home in domains.sets[set_of[row]]:
            left[home] -= 1
            if not left[home]:
                live.remove(home)
    return np.array(drawn, dtype=np.int64), domain_of


def _depths(uniform: Floats) -> Sequence[int]:
    """How many rows to pass, with probability 2^-(j+1) for j = 0, 1, 2 ..."""
    import numpy as np

    depths: Sequence[int] = np.floor(-np.log2(1.0 - uniform)).astype(np.int64).tolist()
    return depths


def _within(depth: int, rows: int) -> int:
    """`depth` among `rows`: the remainder leaves the weights 2^-j as they are, since they repeat in proportion."""
    return depth % rows


def _take(stack: list[int], gone: bytearray, past: int) -> int:
    """Takes out the row that lies below `past` rows still there; rows that are gone are dropped on the way."""
    passed: list[int] = []
    while True:
        row = stack.pop()
        if gone[row]:
            continue
        if len(passed) == past:
            stack.extend(reversed(passed))
            return row
        passed.append(row)
