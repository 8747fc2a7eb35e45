"""Skills from labels that the data hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from distill_app.errors import StageError
from distill_app.recipe.wording import nearest, quoted
from distill_app.records import Trace, TraceSkills
from distill_app.skills import Attributed, Unmatched
from distill_app.skills.tree import Lookup, Tree, fold

VERSION = 1
"""Raised when the same labels and tree would now give other chains."""


def attribute(traces: Sequence[Trace], tree: Tree) -> Attributed:
    """The chains that each trace's labels name in the tree, in the labels' order, none twice.

    A label is a leaf's name or the last names of a chain (see `tree.Lookup`); a leaf's name that stands in several
    places gives all of them. Labels of no leaf are counted with the leaf most like them. Counts: `rows`,
    `without labels`, `without a match` (labels, none of them in the tree), `labels not in the tree` (as often as
    they occur). Raises `StageError` where no label of any row names a leaf.
    """
    lookup = Lookup(tree)
    known: dict[str, list[str]] = {}
    missed: Counter[str] = Counter()
    rows: list[TraceSkills] = []
    counts = {"rows": len(traces), "without labels": 0, "without a match": 0, "labels not in the tree": 0}
    for trace in traces:
        chains: dict[str, None] = {}
        for label in trace.skills:
            if label not in known:
                known[label] = lookup.find(label)
            chains.update(dict.fromkeys(known[label]))
            if not known[label]:
                missed[label] += 1
        reason = None
        if not trace.skills:
            counts["without labels"] += 1
            reason = "the row has no labels"
        elif not chains:
            counts["without a match"] += 1
            reason = f"no leaf of the tree is called {' or '.join(quoted(label, 40) for label in trace.skills[:3])}"
        rows.append(TraceSkills(trace.id, tuple(chains), reason))
    counts["labels not in the tree"] = missed.total()
    if traces and not any(row.chains for row in rows):
        raise _nothing(traces, tree, missed, lookup)
    leaves = sorted(set(tree.leaves()))
    unmatched = {label: Unmatched(times, nearest(label, leaves)) for label, times in missed.most_common()}
    return Attributed(rows, counts, unmatched)


def _nothing(traces: Sequence[Trace], tree: Tree, missed: Counter[str], lookup: Lookup) -> StageError:
    leaves = tree.leaves()
    some = ", ".join(quoted(leaf, 40) for leaf in leaves[:5])
    about = f"The tree {quoted(tree.name)} has {len(leaves)} leaves, such as {some}."
    if not missed:
        return StageError(
            f"None of the {len(traces)} traces has skill labels.",
            "Choose a pool whose problems have them, or set `skills.by: teacher` to have a teacher attribute them.",
        )
    labels = ", ".join(quoted(label, 40) for label, _ in missed.most_common(5))
    inner = any(fold(label) in lookup.inner for label in missed)
    return StageError(
        f"No leaf of the skill tree matches any of the {len(traces)} traces. Their labels are {labels}. {about}",
        ("Some of these name inner nodes of the tree: a label must name a leaf. " if inner else "")
        + "Give the tree whose leaves these labels are under `skills.tree`, or set `skills.by: teacher`.",
    )
