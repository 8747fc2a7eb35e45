"""A skill tree made from problems with solutions, in EvalTree's four stages (arXiv 2503.08893; methods.md 4).

A teacher says in a phrase what each item calls for; the phrases are embedded and clustered within clusters; the
teacher names each cluster from the names of its parts, from the bottom up. Where EvalTree's leaves are the items,
ours are the smallest clusters: the items are left out of the tree, and which leaf each belongs to is kept beside it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from distill_app.errors import StageError
from distill_app.records import Completion, Problem, Request
from distill_app.seeds import derive
from distill_app.skills import Ask
from distill_app.skills.attribution import answered
from distill_app.skills.cluster import Cluster, recursive
from distill_app.skills.reading import phrase
from distill_app.skills.tree import ARROW, Tree, fold

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

VERSION = 1
"""Raised when the same items and answers would now give another tree, or other prompts."""

SHOWN_PHRASES = 40
"""Phrases of a cluster's items that the teacher sees when it names a leaf, drawn by seed where there are more."""

ITEM_CHARACTERS = 20_000
"""Longest part of a solution that is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`name` is the root's. `leaf_items`: a cluster of at most so many items is not split (EvalTree: 2).
    `temperature` null leaves it to the teacher (EvalTree: 0)."""

    name: str
    leaf_items: int
    temperature: float | None
    seed: int


@dataclass(frozen=True, slots=True)
class Built:
    """The tree; the chain of each item that has a phrase, by the item's id; each item's phrase; and what was
    counted."""

    tree: Tree
    chains: Mapping[str, str]
    phrases: Mapping[str, str]
    facts: Mapping[str, Any]


def build_tree(
    items: Sequence[Problem],
    ask: Ask,
    embed: Callable[[Sequence[str]], Vectors],
    options: Options,
    progress: Callable[[str, int], None] | None = None,
) -> Built:
    """The skill tree of `items`, each shown with its solution where it has one.

    `progress` hears what is done next, and of how many. Request ids come from the items' ids alone (a cluster's from
    those of its items), so a caller that logs completions can go on from them. An item without a readable phrase
    after one retry is left out and counted. A cluster without a readable name takes the phrase nearest its middle,
    and is counted. Raises `StageError` where fewer than 3 items have phrases, or where they do not fall into
    clusters.
    """
    tell = progress or (lambda _what, _total: None)
    counts: Counter[str] = Counter()
    tell("phrases", len(items))
    wanted = {item.id: _phrase_request(item, options) for item in items}
    said = _phrases(ask, wanted, counts)
    kept = [item for item in items if item.id in said]
    if len(kept) < 3:
        raise StageError(
            f"Only {len(kept)} of {len(items)} items have a phrase that says what they call for: no tree can be made.",
            "Give more items, or a teacher that follows the instruction.",
        )
    phrases = [said[item.id] for item in kept]
    tell("vectors", len(kept))
    vectors = embed([_EMBEDDED.format(phrase=text) for text in phrases])
    tell("clusters", len(kept))
    top = recursive(vectors, seed=options.seed, leaf_items=options.leaf_items)
    if not top.parts:
        raise StageError(
            f"The phrases of the {len(kept)} items make one cluster: there is nothing to make a tree of.",
            "Give more items or more varied ones, or another embedding (`skills.embedding`).",
        )
    ids = [item.id for item in kept]
    names = _names(top, ids, phrases, vectors, ask, options, tell, counts)
    chains: dict[str, str] = {}
    tree = Tree(options.name, _children(top, names, "", ids, chains))
    leaves = [len(part.rows) for part in top.walk() if not part.parts]
    facts = {
        "items": len(items),
        "items without a phrase": len(items) - len(kept),
        "leaves": len(leaves),
        "items of the smallest leaf": min(leaves),
        "items of the largest leaf": max(leaves),
        "retries": counts["retries"],
        "clusters named by their middle item": counts["unnamed"],
        "dimensions": int(vectors.shape[1]),
    }
    return Built(tree, chains, said, facts)


def _children(
    cluster: Cluster, names: Mapping[Cluster, str], above: str, ids: Sequence[str], chains: dict[str, str]
) -> tuple[Tree, ...]:
    """The nodes of the cluster's parts; the chain of each item goes into `chains`. Siblings of one name are
    numbered."""
    taken: set[str] = set()
    nodes = []
    for part in cluster.parts:
        name, number = names[part], 1
        while fold(name) in taken:
            number += 1
            name = f"{names[part]} ({number})"
        taken.add(fold(name))
        chain = above + name
        if not part.parts:
            chains.update((ids[row], chain) for row in part.rows)
        nodes.append(Tree(name, _children(part, names, chain + ARROW, ids, chains)))
    return tuple(nodes)


def _names(
    top: Cluster,
    ids: Sequence[str],
    phrases: Sequence[str],
    vectors: Vectors,
    ask: Ask,
    options: Options,
    tell: Callable[[str, int], None],
    counts: Counter[str],
) -> dict[Cluster, str]:
    """A name for every cluster but the top one, the lowest first: those of one height are one batch."""
    heights: dict[int, list[Cluster]] = {}
    _height(top, heights)
    names: dict[Cluster, str] = {}
    for height in sorted(heights):
        wanted: dict[str, Request] = {}
        clusters: dict[str, Cluster] = {}
        for cluster in heights[height]:
            if cluster is top:
                continue
            if len(cluster.rows) == 1:
                names[cluster] = phrases[cluster.rows[0]]
                continue
            members = [ids[row] for row in cluster.rows]
            key = hashlib.sha256("\n".join(sorted(members)).encode()).hexdigest()[:16]
            parts = [names[part] for part in cluster.parts] or _shown(cluster, ids, phrases, options.seed)
            clusters[key] = cluster
            wanted[key] = _request(f"cluster/{key}/name", _NAME.format(parts=_listed(parts)), None, options)
        if not wanted:
            continue
        tell("names", len(wanted))
        said = _phrases(ask, wanted, counts)
        for key, cluster in clusters.items():
            if key not in said:
                counts["unnamed"] += 1
            names[cluster] = said.get(key) or phrases[_middle(cluster, vectors)]
    return names


def _height(cluster: Cluster, heights: dict[int, list[Cluster]]) -> int:
    height = 1 + max((_height(part, heights) for part in cluster.parts), default=-1)
    heights.setdefault(height, []).append(cluster)
    return height


def _shown(cluster: Cluster, ids: Sequence[str], phrases: Sequence[str], seed: int) -> list[str]:
    drawn = sorted(cluster.rows, key=lambda row: derive(seed, "shown", ids[row]))[:SHOWN_PHRASES]
    return [phrases[row] for row in sorted(drawn)]


def _middle(cluster: Cluster, vectors: Vectors) -> int:
    rows = list(cluster.rows)
    inside = vectors[rows]
    return rows[int((inside @ inside.mean(axis=0)).argmax())]


def _phrases(ask: Ask, wanted: Mapping[str, Request], counts: Counter[str]) -> dict[str, str]:
    """By key, the phrase that each request is answered with; one retry where it cannot be read."""
    said: dict[str, str] = {}
    for attempt in range(2):
        open_ = {key: _again(request) if attempt else request for key, request in wanted.items() if key not in said}
        if not open_:
            break
        counts["retries"] += len(open_) if attempt else 0
        answers: dict[str, Completion] = answered(ask, list(open_.values()))
        for key, request in open_.items():
            found = phrase(answers[request.id].text)
            if found is not None:
                said[key] = found
    return said


def _again(request: Request) -> Request:
    identity = request.id + "/again"
    return replace(request, id=identity, prompt=request.prompt + _AGAIN, seed=derive(request.seed, identity))


def _phrase_request(item: Problem, options: Options) -> Request:
    solution = f"\n\nSolution:\n{item.solution[:ITEM_CHARACTERS]}" if item.solution else ""
    prompt = _PHRASE.format(text=f"Problem:\n{item.question}{solution}")
    return _request(f"{item.id}/skill phrase", prompt, item, options)


def _request(identity: str, prompt: str, problem: Problem | None, options: Options) -> Request:
    return Request(
        id=identity,
        problem=problem or Problem(id=identity, question="", answer="", source="skills"),
        prompt=prompt,
        sample=0,
        seed=derive(options.seed, identity),
        temperature=options.temperature,
    )


def _listed(parts: Sequence[str]) -> str:
    return "\n".join(f"- {part}" for part in parts)


_PHRASE = """{text}

What must a person be able to do to solve this problem? Say it in one phrase of at most 20 words that begins with a \
verb in -ing, such as "Finding the area of a rectangle from its sides". Name the ability, not the story: no names and \
no numbers of this problem. Reply with the phrase alone."""

_NAME = """These phrases name abilities that belong together:
{parts}

Say in one phrase of at most 20 words, beginning with a verb in -ing, what they have in common: wide enough for all of \
them, and no wider. Reply with the phrase alone."""

_AGAIN = """

An earlier reply could not be used. Reply with the one phrase alone, on one line."""

_EMBEDDED = "The ability that the problem calls for: {phrase}"
