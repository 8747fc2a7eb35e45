"""DMC (inferred form): quality blended with difficulty, as the student's capability asks for.

    DMC = (1 - g(c)) * f_low(q, d) + g(c) * f_high(q, d)

with quality q, difficulty d for this student, capability c in [0, 1]. What the paper (arXiv 2605.29229) states and
what is inferred is in `_dmc_forms`: the formulas are not recoverable, so no run of this selector is "the DMC formula",
and everything a person reads calls it by its label.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from distill_app.errors import StageError
from distill_app.selectors import Candidates, Ranking, RescoredOptions, seeded_keys, signal
from distill_app.selectors._dmc_forms import FORMS, PRESETS, ROLES, Part, part
from distill_app.selectors._expression import FUNCTIONS, ExpressionError
from distill_app.selectors._normalise import Scale, fit, spearman

if TYPE_CHECKING:
    from distill_app.selectors import Floats

VERSION = 1
LABEL = "DMC (inferred form)"
NEEDS: frozenset[str] = frozenset({"quality", "difficulty", "capability"})
DYNAMIC = True

QUALITY_ALONE = 0.995
"""Spearman correlation with quality above which the ranking is quality selection [inferred]."""

DIFFICULTY_RULES = 0.6
"""Spearman correlation with quality below which difficulty dominates [inferred]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(RescoredOptions):
    preset: Literal["inferred-normalized", "inferred-raw"]
    quality: Literal["percentile", "minmax", "z", "raw"] | None
    quality_clip: float
    difficulty: Literal["ppl", "cppl", "ifd", "ln_ppl", "ln_cppl", "ln_ifd"] | None
    difficulty_scale: Literal["raw", "robust_z_frozen", "robust_z_epoch", "percentile"] | None
    clip: float | None
    f_low: str | None
    f_high: str | None
    g: str | None
    constants: Mapping[str, float]


def check(options: Options) -> list[tuple[str, str, str]]:
    """What is wrong with the options beyond the schema: (option, message, suggestion) each, before anything runs."""
    found: list[tuple[str, str, str]] = []
    variables = {name for names in ROLES.values() for name in names}
    for name in options.constants:
        if not (name.isidentifier() and name.isascii()) or name in variables | FUNCTIONS:
            taken = "is a variable or a function" if name in variables | FUNCTIONS else "is no name"
            found.append(("constants", f"{name!r} {taken}.", "Name a constant with letters, digits and _ alone."))
    parts: dict[str, Part] = {}
    for role in ROLES:
        try:
            parts[role] = _part(role, options)
        except ExpressionError as error:
            text = getattr(options, role)
            names = _nearest_form(role, text)
            found.append((role, f"column {error.column}: {error.message}", f"{error.suggestion}{names}".strip()))
    if len(parts) == len(ROLES):
        used = {name for item in parts.values() for name in item.constants}
        for name in options.constants:
            if name not in used and not any(name in message for _, message, _ in found):
                near = difflib.get_close_matches(name, sorted(used), 1, 0.5)
                hint = f"Did you mean {near[0]!r}? " if near else ""
                found.append(
                    ("constants", f"no form uses {name!r}.", f"{hint}In use: {', '.join(sorted(used)) or 'none'}.")
                )
    if "g" in parts:
        try:
            weights = [_weight(parts["g"], step / 20) for step in range(21)]
        except ExpressionError as error:
            found.append(("g", f"column {error.column}: {error.message}", error.suggestion))
        else:
            wrong = next((step / 20 for step, weight in enumerate(weights) if not 0 <= weight <= 1), None)
            if wrong is not None:
                found.append((
                    "g" if options.g else "constants",
                    f"the weight g is {_weight(parts['g'], wrong):g} at capability {wrong:g}; it must stay in [0, 1].",
                    "For example: sigmoid(c/0.1 - 5).",
                ))  # fmt: skip
    scale = options.difficulty_scale or PRESETS[options.preset].difficulty_scale
    if options.clip is not None and not scale.startswith("robust_z"):
        found.append(
            (
                "clip",
                f"it limits robust z-scores, and difficulty_scale is {scale}.",
                "Leave it out, or set difficulty_scale to robust_z_frozen.",
            )
        )
    return found


def rank(pool: Candidates, options: Options, seed: int) -> Ranking:
    """Candidates by falling DMC (inferred form), equals by `seeds.derive(seed, id)`.

    Normalisations are fitted on `pool.reference`, but for `robust_z_epoch`. `facts` hold the configuration and what
    it was fitted to. Raises `StageError` where the capability is missing, where `check` finds a fault, and where a
    score is not a finite number.
    """
    import numpy as np

    faults = check(options)
    if faults:
        option, message, suggestion = faults[0]
        raise StageError(f"selector.{option}: {message}", suggestion)
    if pool.capability is None:
        raise StageError(
            f"{LABEL} needs the student's capability and there is none.",
            "The plan makes what a selector's NEEDS names; check that the placement test ran.",
        )
    capability, preset = pool.capability, PRESETS[options.preset]
    whole = pool.reference or pool
    method = options.quality or preset.quality
    quality_scale = fit(signal(whole, "quality"), method, options.quality_clip, "the quality")
    quality = quality_scale.apply(signal(pool, "quality"))
    metric = options.difficulty or preset.difficulty
    scale_name = options.difficulty_scale or preset.difficulty_scale
    scale = _difficulty_scale(pool if scale_name == "robust_z_epoch" else whole, metric, scale_name)
    difficulty = scale.apply(_difficulty(pool, metric))
    clip = options.clip or (preset.clip if scale_name.startswith("robust_z") else None)
    low, high, g = (_part(role, options) for role in ROLES)
    scores, weight = _score(low, high, g, quality, difficulty, capability, clip)
    bad = np.flatnonzero(~np.isfinite(scores))
    if len(bad):
        row = min(bad.tolist(), key=lambda position: pool.ids[position])
        raise StageError(
            f"{LABEL} is not a finite number for {len(bad)} of {len(scores)} candidates, such as {pool.ids[row]!r}"
            f" (quality {quality[row]:g}, difficulty {difficulty[row]:g}, capability {capability:g}).",
            "Look at f_low, f_high and constants: powers, ln and sqrt of negative values have no result, and"
            " robust z-scores are negative for half of the rows.",
        )
    correlation = spearman(scores, quality)
    order = np.lexsort((seeded_keys(pool.ids, seed), -scores))
    shown, qualities, difficulties = scores.tolist(), quality.tolist(), difficulty.tolist()
    tail = f"capability {capability:.3f}"
    return Ranking(
        order,
        scores,
        lambda row: (
            f"{LABEL} {shown[row]:.4f}: quality {qualities[row]:.4f}, difficulty {difficulties[row]:.4f}, {tail}"
        ),
        facts={
            "label": LABEL,
            "preset": options.preset,
            "forms": {item.role: {"form": item.form, "formula": item.expression.text} for item in (low, high, g)},
            "constants": {item.role: dict(item.constants) for item in (low, high, g)},
            "quality": {"method": method, **quality_scale.facts},
            "difficulty": {"metric": metric, "scale": scale_name, "clip": clip, **scale.facts},
            "capability": capability,
            "weight_of_f_high": weight,
            "spearman_with_quality": correlation,
        },
        # Among the best by quality alone, quality hardly differs: that says nothing about the score.
        warnings=_warnings(correlation) if len(pool.ids) == len(whole.ids) else (),
    )


def _part(role: str, options: Options) -> Part:
    return part(role, PRESETS[options.preset], getattr(options, role), options.constants)


def _difficulty(pool: Candidates, metric: str) -> Floats:
    import numpy as np

    name = metric.removeprefix("ln_")
    values = signal(pool, "nll_alone") if name == "ppl" else signal(pool, "nll")
    if name == "ifd":
        values = values - signal(pool, "nll_alone")
    with np.errstate(over="ignore"):  # An infinite score is refused below, with the row it comes from.
        return values if metric.startswith("ln_") else np.exp(values)


def _difficulty_scale(pool: Candidates, metric: str, name: str) -> Scale:
    method = {"robust_z_frozen": "z", "robust_z_epoch": "z"}.get(name, name)
    return fit(_difficulty(pool, metric), method, 0.0, f"the difficulty ({metric})")


def _score(
    low: Part, high: Part, g: Part, quality: Floats, difficulty: Floats, capability: float, clip: float | None
) -> tuple[Floats, float]:
    """The score of each row, and g(c). `clip` bounds the difficulty that f_low reads."""
    import numpy as np

    bounded = difficulty if clip is None else np.clip(difficulty, -clip, clip)
    weight = _weight(g, capability)
    names = {"q": quality, "c": capability}
    try:
        weak = low.expression.value({**low.constants, **names, "d": bounded})
        strong = high.expression.value({**high.constants, **names, "d": difficulty})
    except ExpressionError as error:
        raise StageError(f"{LABEL}: {error.message}", error.suggestion) from error
    with np.errstate(all="ignore"):
        scores = (1.0 - weight) * np.asarray(weak) + weight * np.asarray(strong)
    return np.broadcast_to(scores, quality.shape).astype(np.float64), weight


def _weight(g: Part, capability: float) -> float:
    return float(g.expression.value({**g.constants, "c": capability}))


def _warnings(correlation: float | None) -> tuple[str, ...]:
    if correlation is None:
        return ("Every candidate has the same score or the same quality: the order is a draw by seed in large part.",)
    if correlation > QUALITY_ALONE:
        return (
            f"This is quality selection: the Spearman correlation of {LABEL} with quality is {correlation:.4f} over the"
            " candidates, so that difficulty changes next to nothing.",
        )
    if correlation < DIFFICULTY_RULES:
        return (
            f"Difficulty dominates: the Spearman correlation of {LABEL} with quality is {correlation:.2f} over the"
            " candidates; quality should stay the core of the score.",
        )
    return ()


def _nearest_form(role: str, text: str) -> str:
    """A hint for a form's misspelt name, which is read as an expression."""
    if not text.isidentifier():
        return ""
    near = difflib.get_close_matches(text, list(FORMS[role]), 1, 0.5)
    return f" Forms: {', '.join(FORMS[role])}.{f' Did you mean {near[0]!r}?' if near else ''}"
