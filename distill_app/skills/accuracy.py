"""How well the student does at each skill, from sampled answers with verdicts, and which problems to ask it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from distill_app.seeds import derive
from distill_app.selectors import Accuracy
from distill_app.skills.tree import ARROW, prefixes


@dataclass(frozen=True, slots=True)
class Tally:
    """What is known of one node of the tree: `right` of `answers` answers, to `problems` problems. `solved` is the
    sum over the problems of the share of its answers that are right: what counts where problems, not answers, are
    independent."""

    right: int
    answers: int
    problems: int
    solved: float

    @property
    def accuracy(self) -> Accuracy:
        """As selectors read it."""
        return Accuracy(float(self.right), self.answers)


class Interval(NamedTuple):
    """Both ends in [0, 1]."""

    low: float
    high: float


def tally(verdicts: Mapping[str, Sequence[bool]], chains: Mapping[str, Iterable[str]]) -> dict[str, Tally]:
    """By chain, the tally of every leaf and inner node that a judged problem needs.

    `verdicts` maps a problem to whether each sampled answer is right, `chains` a problem to its chains. At an inner
    node a problem counts once, however many of its chains go through it. Problems without verdicts or chains count
    nowhere; nodes without judged problems are left out. (Accuracy of a node is correct / judged over all records
    with a chain through it: methods.md 3.4.)
    """
    sums: dict[str, list[float]] = {}
    for problem, judged in verdicts.items():
        if not judged:
            continue
        right = sum(map(bool, judged))
        nodes = {prefix for chain in chains.get(problem, ()) for prefix in prefixes(chain)}
        for node in nodes:
            row = sums.setdefault(node, [0, 0, 0, 0.0])
            for place, value in enumerate((right, len(judged), 1, right / len(judged))):
                row[place] += value
    return {
        node: Tally(int(right), int(answers), int(problems), solved)
        for node, (right, answers, problems, solved) in sorted(sums.items())
    }


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


def smoothed(accuracy: Accuracy, a: float, b: float) -> float:
    """Mean of Beta(a + right, b + wrong): accuracy as if a right and b wrong answers had been seen before.

    a = b = 0 gives the raw share, and `ValueError` where there are no answers.
    """
    answers = accuracy.answers + a + b
    if answers <= 0:
        raise ValueError("no answers and no prior: there is no accuracy")
    return (accuracy.right + a) / answers


def clopper_pearson(right: float, trials: float, alpha: float) -> Interval:
    """The exact two-sided interval of level 1 - alpha, from quantiles of the beta distribution.

    `right` need not be whole. No trials: (0, 1).
    """
    from scipy.stats import beta

    _check(right, trials, alpha)
    low = 0.0 if right <= 0 else float(beta.ppf(alpha / 2, right, trials - right + 1))
    high = 1.0 if right >= trials else float(beta.ppf(1 - alpha / 2, right + 1, trials - right))
    return Interval(low, high)


def wilson(right: float, trials: float, alpha: float) -> Interval:
    """Wilson's score interval of level 1 - alpha. No trials: (0, 1)."""
    from scipy.stats import norm

    _check(right, trials, alpha)
    if trials == 0:
        return Interval(0.0, 1.0)
    z = float(norm.ppf(1 - alpha / 2))
    share, scale = right / trials, 1 + z * z / trials
    middle = (share + z * z / (2 * trials)) / scale
    half = z / scale * float((share * (1 - share) / trials + z * z / (4 * trials * trials)) ** 0.5)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def _check(right: float, trials: float, alpha: float) -> None:
    if not (0 <= right <= trials and 0 < alpha < 1):
        raise ValueError(f"no such proportion: {right} of {trials}, alpha {alpha}")


@dataclass(frozen=True, slots=True)
class Weakness:
    """A node at which the student is weak: its chain, its accuracy over problems, the interval, the problems."""

    chain: str
    accuracy: float
    interval: Interval
    problems: int


def weaknesses(
    tallies: Mapping[str, Tally],
    threshold: float,
    *,
    alpha: float = 0.05,
    least: int = 5,
    least_child: int = 20,
) -> list[Weakness]:
    """EvalTree's weakness profile (arXiv 2503.08893; methods.md 4), weakest first.

    A node of `least` problems or more is weak if the upper end of its Clopper-Pearson interval is below `threshold`.
    It is reported where all its children of `least_child` problems or more are weak too, and nothing below it then;
    else its children are looked at. Problems are the trials here: several answers to one are not independent.
    """
    children: dict[str, list[str]] = {}
    for chain in tallies:
        children.setdefault(chain.rpartition(ARROW)[0], []).append(chain)
    found: list[Weakness] = []
    todo = list(children.get("", []))
    intervals = {chain: clopper_pearson(row.solved, row.problems, alpha) for chain, row in tallies.items()}
    while todo:
        chain = todo.pop()
        row, below = tallies[chain], children.get(chain, [])
        large = [child for child in below if tallies[child].problems >= least_child]
        if row.problems >= least and all(intervals[node].high < threshold for node in (chain, *large)):
            found.append(Weakness(chain, row.solved / row.problems, intervals[chain], row.problems))
        else:
            todo += below
    return sorted(found, key=lambda weak: (weak.accuracy, weak.chain))
