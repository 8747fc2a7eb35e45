"""The parts that DMC (inferred form) is put together from: named forms with their constants, and two presets.

    DMC = (1 - g(c)) * f_low(q, d) + g(c) * f_high(q, d)

[paper] two scoring functions, for the weakest and for the strongest students, weighed by an interpolation function of
capability; the weak one rewards quality and difficulty, the strong one quality at moderate difficulty; Table 1 prints
the constants 1.1, 0.056, 2.1, 5.0, 5.0, 0.10 in this order. [inferred] Everything else: every form here, which constant
is which, and the whole preset `inferred-normalized`. The paper's formulas could not be recovered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from distill_app.selectors._expression import Expression, parse

ROLES: Mapping[str, tuple[str, ...]] = {"f_low": ("q", "d", "c"), "f_high": ("q", "d", "c"), "g": ("c",)}
"""The parts, and the variables that each may read."""


@dataclass(frozen=True, slots=True)
class Form:
    """A formula and what its constants are where nobody says (our choice)."""

    text: str
    constants: Mapping[str, float]


FORMS: Mapping[str, Mapping[str, Form]] = {
    "f_low": {
        "linear": Form("a*q + b*d", {"a": 1.0, "b": 0.05}),
        "power": Form("q**a * d**b", {"a": 1.0, "b": 0.05}),
        "product": Form("q*(1 + b*d)", {"b": 0.05}),
    },
    "f_high": {
        "gaussian": Form("q * exp(-(d - m)**2 / (2*s**2))", {"m": 0.0, "s": 3.0}),
        "gaussian_w": Form("q * exp(-(d - m)**2 / w)", {"m": 0.0, "w": 18.0}),
        "quadratic": Form("q - ((d - m)/w)**2", {"m": 0.0, "w": 10.0}),
        "lorentzian": Form("q / (1 + ((d - m)/w)**2)", {"m": 0.0, "w": 4.0}),
    },
    "g": {
        "logistic": Form("sigmoid(c/t - k)", {"t": 0.1, "k": 5.0}),
        "power": Form("c**p", {"p": 2.0}),
        "hill": Form("c**p / (c**p + K**p)", {"p": 8.0, "K": 0.5}),
        "exponential": Form("1 - exp(-k*c)", {"k": 5.0}),
        "step": Form("step(c - c0)", {"c0": 0.5}),
    },
}


@dataclass(frozen=True, slots=True)
class Preset:
    """Every choice of one configuration. `clip`: difficulty in f_low stays within it, None for no limit."""

    quality: str
    difficulty: str
    difficulty_scale: str
    forms: Mapping[str, str]
    constants: Mapping[str, float]
    clip: float | None


PRESETS: Mapping[str, Preset] = {
    "inferred-normalized": Preset(
        quality="percentile",
        difficulty="ln_cppl",
        difficulty_scale="robust_z_frozen",
        forms={"f_low": "linear", "f_high": "gaussian", "g": "logistic"},
        constants={"a": 1.0, "b": 0.05, "m": 0.0, "s": 3.0, "k": 5.0, "t": 0.1},
        clip=3.0,
    ),
    "inferred-raw": Preset(
        quality="percentile",
        difficulty="cppl",
        difficulty_scale="raw",
        forms={"f_low": "linear", "f_high": "gaussian_w", "g": "logistic"},
        constants={"a": 1.1, "b": 0.056, "m": 2.1, "w": 5.0, "k": 5.0, "t": 0.1},
        clip=None,
    ),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One of f_low, f_high and g, ready to be worked out: its form's name (or "expression"), and its constants."""

    role: str
    form: str
    expression: Expression
    constants: Mapping[str, float]


def part(role: str, preset: Preset, given: str | None, constants: Mapping[str, float]) -> Part:
    """The part `role`: the preset's, or the form or expression `given`, with the recipe's `constants` over its own.

    A named form has its own constants, the preset's where it is the preset's form; an expression has the recipe's
    alone. Raises `ExpressionError` where an expression cannot be read.
    """
    name = given or preset.forms[role]
    form = FORMS[role].get(name)
    if form is None:
        expression = parse(name, [*ROLES[role], *constants])
        used = {key: value for key, value in constants.items() if key in expression.names}
        return Part(role, "expression", expression, used)
    own = {key: preset.constants[key] for key in form.constants} if name == preset.forms[role] else form.constants
    merged = {key: constants.get(key, value) for key, value in own.items()}
    return Part(role, name, parse(form.text, [*ROLES[role], *merged]), merged)
