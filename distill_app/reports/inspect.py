"""What a run's selector kept, against what there was. Plain data, read from the store."""

from __future__ import annotations

import bisect
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from distill_app.reports.selections import Selection
from distill_app.skills.tree import ARROW

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SCORE = "score"
"""What the selector's own score is called among the signals."""

QUARTILES = ("shortest quarter", "second quarter", "third quarter", "longest quarter")


def overview(selection: Selection, limit: int) -> dict[str, Any]:
    """The whole selection, as `schemas/inspect.schema.json` describes it.

    `limit` bounds the rows listed (`best_kept`, `best_left`), nothing else.
    """
    decisions = selection.decisions
    kept = [name for name in selection.candidates if name in selection.kept]
    columns = {**selection.signals, SCORE: selection.scores}
    return {
        "run": selection.run,
        "label": selection.label,
        "rows": {"pool": len(selection.ids), "candidates": len(selection.candidates), "kept": len(kept)},
        "reads": selection.facts["reads"],
        "score_order": _score_order(selection),
        "signals": _signals(selection, columns),
        "spearman": _spearman(columns),
        "composition": _composition(selection),
        "reasons": reasons(row.reason for row in decisions.values() if not row.kept),
        "best_kept": _listed(selection, (row for row in decisions.values() if row.kept), limit),
        "best_left": _listed(selection, (row for row in decisions.values() if not row.kept and row.rank), limit),
        "capability": selection.facts["capability"],
        "facts": selection.facts["facts"],
        "warnings": selection.facts["warnings"],
        "epochs": _epochs(selection),
    }


def distribution(values: Floats) -> dict[str, Any]:
    """n, missing (NaN), least, quartiles (linear between values), greatest, mean, and the share of tied values.

    A value is tied where another row has it too.
    """
    import numpy as np

    given = values[~np.isnan(values)]
    found: dict[str, Any] = {"n": len(given), "missing": len(values) - len(given)}
    names = ("min", "q1", "median", "q3", "max")
    if not len(given):
        return found | dict.fromkeys((*names, "mean", "ties"))
    found |= dict(zip(names, np.quantile(given, [0, 0.25, 0.5, 0.75, 1]).tolist(), strict=True))
    _, times = np.unique(given, return_counts=True)
    return found | {"mean": float(given.mean()), "ties": float(times[times > 1].sum() / len(given))}


def reasons(given: Iterable[str]) -> list[dict[str, Any]]:
    """Reasons with their counts, the most frequent first. Reasons that differ in figures or quoted names are one.

    What follows a semicolon is the row's own and is left out; a figure that differs among the rows of a reason is
    shown as `…`.
    """
    kinds: dict[str, Counter[tuple[str, ...]]] = {}
    for reason in given:
        head = reason.split(";")[0]
        kinds.setdefault(_OWN.sub("\0", head), Counter())[tuple(_OWN.findall(head))] += 1
    found = []
    for kind, figures in kinds.items():
        shown = [values[0] if len(set(values)) == 1 else "…" for values in zip(*figures, strict=True)]
        parts = kind.split("\0")
        text = parts[0] + "".join(figure + part for figure, part in zip(shown, parts[1:], strict=True))
        found.append({"reason": text, "rows": sum(figures.values())})
    return sorted(found, key=lambda row: (-row["rows"], row["reason"]))


_OWN = re.compile(r"'[^']*'|(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def _signals(selection: Selection, columns: Mapping[str, Floats]) -> list[dict[str, Any]]:
    import numpy as np

    kept = np.array([name in selection.kept for name in selection.candidates], dtype=bool)
    return [
        {"signal": name, "candidates": distribution(values), "kept": distribution(values[kept])}
        for name, values in columns.items()
    ]


def _spearman(columns: Mapping[str, Floats]) -> dict[str, dict[str, float | None]]:
    """Spearman's correlation of every two signals over rows that have both; null where either does not vary."""
    import numpy as np
    from scipy.stats import rankdata

    # Ranks of complete columns are made once; a pair with missing values is ranked over the rows that have both.
    ranks = {name: rankdata(values) for name, values in columns.items() if not np.isnan(values).any()}
    found: dict[str, dict[str, float | None]] = {name: {} for name in columns}
    names = list(columns)
    for place, one in enumerate(names):
        for other in names[place:]:
            if one in ranks and other in ranks:
                a, b = ranks[one], ranks[other]
            else:
                both = ~(np.isnan(columns[one]) | np.isnan(columns[other]))
                a, b = rankdata(columns[one][both]), rankdata(columns[other][both])
            value = None
            if len(a) > 1 and np.ptp(a) > 0 and np.ptp(b) > 0:
                value = 1.0 if one == other else float(np.corrcoef(a, b)[0, 1])
            found[one][other] = found[other][one] = value
    return {one: {other: found[one][other] for other in names} for one in names}


def _score_order(selection: Selection) -> str:
    """Which score stands first among the ranked rows: "highest", "lowest", or "other" where ranks do not follow it."""
    ranked = [one for one in selection.decisions.values() if one.rank is not None and one.score is not None]
    scores = [one.score or 0.0 for one in sorted(ranked, key=lambda one: one.rank or 0)]
    steps = [after - before for before, after in pairwise(scores)]
    if not any(steps):
        return "other"
    return "highest" if max(steps) <= 0 else "lowest" if min(steps) >= 0 else "other"


def _composition(selection: Selection) -> dict[str, Any]:
    """Rows of the pool, of the candidates and kept, by what is known of them."""
    skills = selection.skills
    of: dict[str, dict[str, tuple[str, ...]]] = {
        "teacher": {name: (teacher,) for name, teacher in selection.of_rows("teacher").items()},
        "augmentation": {name: (one,) for name, one in selection.of_rows("augmentation").items()},
        "graded answer": {name: (one.verdict,) for name, one in selection.verdicts.items()},
    }
    if skills:
        tops = {name: sorted({chain.split(ARROW)[0] for chain in one.chains}) for name, one in skills.items()}
        of["skill, top level"] = {name: tuple(found) or ("no skill",) for name, found in tops.items()}
        of["skill"] = {name: one.chains or ("no skill",) for name, one in skills.items()}
    unit, lengths, edges = _lengths(selection)
    of["length"] = {name: (_quarter(length, edges),) for name, length in lengths.items()}
    notes = selection.of_rows("note")
    if any(notes.values()):
        of["teacher's own note"] = {name: (note or "none",) for name, note in notes.items()}
    return {
        "tables": {name: _table(selection, values, ordered=name == "length") for name, values in of.items()},
        "length": {"unit": unit, "edges": edges},
    }


def _table(selection: Selection, values: Mapping[str, tuple[str, ...]], *, ordered: bool) -> list[dict[str, Any]]:
    pool, candidates, kept = (
        Counter(value for name in names for value in values[name])
        for names in (selection.ids, selection.candidates, selection.kept)
    )
    names = [name for name in QUARTILES if name in pool] if ordered else sorted(pool, key=lambda one: (-pool[one], one))
    return [{"value": name, "pool": pool[name], "candidates": candidates[name], "kept": kept[name]} for name in names]


def _lengths(selection: Selection) -> tuple[str, dict[str, float], list[float]]:
    """Lengths of all rows in the best unit there is, and the quartiles of the candidates' lengths, ends included."""
    import numpy as np

    lengths: dict[str, float]
    if selection.tokens:
        unit, lengths = "tokens of the student", dict(selection.tokens)
    elif selection.difficulty:
        unit, lengths = "tokens scored", {name: one.tokens for name, one in selection.difficulty.items()}
    else:
        unit, lengths = "characters", {name: len(text) for name, text in selection.of_rows("text").items()}
    edges = np.quantile([lengths[name] for name in selection.candidates], [0, 0.25, 0.5, 0.75, 1]).tolist()
    return unit, lengths, edges


def _quarter(length: float, edges: Sequence[float]) -> str:
    """The quarter of the candidates' lengths that a length falls in; its upper edge belongs to it."""
    return QUARTILES[bisect.bisect_left(edges[1:4], length)]


def _listed(selection: Selection, decisions: Iterable[Any], limit: int) -> list[dict[str, Any]]:
    first = sorted(decisions, key=lambda one: one.rank or 0)[:limit]
    teachers = selection.of_rows("teacher")
    return [
        {
            "id": one.id,
            "rank": one.rank,
            "score": one.score,
            "verdict": selection.verdicts[one.id].verdict,
            "teacher": teachers[one.id],
            "reason": one.reason,
        }
        for one in first
    ]


def _epochs(selection: Selection) -> dict[str, Any] | None:
    """Dynamic selection: each epoch so far, and how many candidates were trained in all, some, or none of them."""
    planned = selection.facts["plan"]["epochs"]
    if not planned:
        return None
    times = Counter(name for epoch in selection.epochs for name in epoch["ids"])
    chosen = len(selection.epochs)
    core = sum(count == chosen for count in times.values())
    return {
        "planned": planned,
        "chosen": [
            {key: epoch[key] for key in ("epoch", "rows", "scored", "seconds", "capability", "overlap", "warnings")}
            for epoch in selection.epochs
        ],
        "scored_again": None if selection.live is None else len(selection.live),
        "core": core,
        "elective": len(times) - core,
        "never": len(selection.candidates) - len(times),
        "by_times": {str(count): rows for count, rows in sorted(Counter(times.values()).items())},
    }
