"""How well the student does at each skill, from sampled answers with verdicts, and which problems to ask it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from distill_app.seeds import derive
from distill_app.selectors import Accuracy
from distill_app.skills.tree import prefixes


def tally(verdicts: Mapping[str, Sequence[bool]], chains: Mapping[str, Iterable[str]]) -> dict[str, Accuracy]:
    """By chain, the accuracy at every leaf and inner node that a judged problem needs.

    `verdicts` maps a problem to whether each sampled answer is right, `chains` a problem to its chains. At an inner
    node a problem counts once, however many of its chains go through it. Problems without verdicts or chains count
    nowhere; nodes without judged problems are left out. (Accuracy of a node is correct / judged over all records
    with a chain through it: methods.md 3.4.)
    """
    sums: dict[str, tuple[int, int]] = {}
    for problem, judged in verdicts.items():
        if not judged:
            continue
        for node in {prefix for chain in chains.get(problem, ()) for prefix in prefixes(chain)}:
            right, answers = sums.get(node, (0, 0))
            sums[node] = (right + sum(map(bool, judged)), answers + len(judged))
    return {node: Accuracy(float(right), answers) for node, (right, answers) in sorted(sums.items())}


def chains_by_problem(rows: Iterable[tuple[str, Iterable[str]]]) -> dict[str, tuple[str, ...]]:
    """The chains of each problem: all that any of its traces has. `rows` are (problem id, chains) of traces."""
    found: dict[str, dict[str, None]] = {}
    for problem, chains in rows:
        found.setdefault(problem, {}).update(dict.fromkeys(chains))
    return {problem: tuple(sorted(chains)) for problem, chains in found.items()}


def subsample(chains: Mapping[str, Iterable[str]], per_leaf: int | None, seed: int) -> list[str]:
    """The problems to ask the student about, sorted by id: at least `per_leaf` of every chain, or all it has.

    Each chain takes its problems with the smallest keys, a key coming from the seed and the problem's id alone. So a
    chain's own draw is uniform, one problem serves all its chains (the union stays small), and a problem more in
    the pool changes no draw but by coming in itself. A chain can have more than `per_leaf`, through others' draws.
    Null takes every problem, those without chains too.
    """
    if per_leaf is None:
        return sorted(chains)
    keys = {problem: (derive(seed, "skill accuracy", problem), problem) for problem in chains}
    members: dict[str, list[str]] = {}
    for problem, through in chains.items():
        for chain in set(through):
            members.setdefault(chain, []).append(problem)
    return sorted({p for problems in members.values() for p in sorted(problems, key=keys.__getitem__)[:per_leaf]})
