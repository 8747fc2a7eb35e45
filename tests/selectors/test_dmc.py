"""DMC (inferred form): by hand, its properties over many draws, its guards, and what validation can say beforehand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from distill_app.errors import StageError
from distill_app.selectors import Candidates, dmc
from distill_app.selectors._dmc_forms import FORMS, PRESETS, ROLES, part
from tests.selectors.tables import candidates, ids, options

FIVE = candidates("abcde", quality=[5, 4, 3, 2, 1], nll=[1, 2, 3, 4, 5], nll_alone=[2, 2, 2, 2, 2], capability=0.5)


def score(preset: str, q: Any, d: Any, c: float) -> Any:
    """The preset's formula over q, d, c, without the clip."""
    low, high, g = (part(role, PRESETS[preset], None, {}) for role in ROLES)
    weight = g.expression.value({**g.constants, "c": c})
    weak = low.expression.value({**low.constants, "q": q, "d": d, "c": c})
    strong = high.expression.value({**high.constants, "q": q, "d": d, "c": c})
    return (1 - weight) * weak + weight * strong


def test_raw_preset_by_hand() -> None:
    # Percentiles 1/2 and 2/2, CPPL 2.1 and 1, g(0.5) = 1/2:
    # a: 1.1 * 0.5 + 0.056 * 2.1 = 0.6676 and 0.5 * exp(0) = 0.5: mean 0.5838
    # b: 1.1 + 0.056 = 1.156 and exp(-1.1^2 / 5) = 0.785056: mean 0.970528
    given = candidates("ab", quality=[0.1, 0.2], nll=[math.log(2.1), 0.0], capability=0.5)
    ranking = dmc.rank(given, options("dmc", preset="inferred-raw"), 0)
    assert ranking.scores == pytest.approx([0.5838, 0.970528], abs=1e-6)
    assert ranking.explain(0) == "DMC (inferred form) 0.5838: quality 0.5000, difficulty 2.1000, capability 0.500"


def test_normalized_preset_by_hand() -> None:
    # z = (nll - 3) / (2 / 1.349) = -1.349, -0.6745, 0, ...; q = 1, 0.8, 0.6, ...; g(0.5) = 1/2.
    # a: 1 - 0.06745 = 0.93255 and exp(-1.349^2 / 18) = 0.903842: mean 0.918196
    # b: 0.8 - 0.033725 = 0.766275 and 0.8 * exp(-0.6745^2 / 18) = 0.780033: mean 0.773154; c: 0.6 and 0.6
    ranking = dmc.rank(FIVE, options("dmc"), 0)
    assert ranking.scores[:3] == pytest.approx([0.918196, 0.773154, 0.6], abs=1e-6)
    assert ids(FIVE, "dmc") == list("abcde")
    facts = ranking.facts
    assert facts["label"] == "DMC (inferred form)"
    assert facts["preset"] == "inferred-normalized"
    assert facts["forms"]["f_high"] == {"form": "gaussian", "formula": "q * exp(-(d - m)**2 / (2*s**2))"}
    assert facts["constants"] == {
        "f_low": {"a": 1.0, "b": 0.05},
        "f_high": {"m": 0.0, "s": 3.0},
        "g": {"t": 0.1, "k": 5.0},
    }
    assert facts["difficulty"]["median"] == 3.0
    assert facts["difficulty"]["spread"] == pytest.approx(2 / 1.349)
    assert facts["difficulty"]["clip"] == 3.0
    assert facts["weight_of_f_high"] == pytest.approx(0.5)
    assert facts["spearman_with_quality"] == 1.0


def test_the_clip_bounds_difficulty_in_f_low_alone() -> None:
    given = candidates("abcdef", quality=[1] * 6, nll=[1, 2, 3, 4, 5, 90], capability=0.0)
    scores = dmc.rank(given, options("dmc", g="0*c"), 0).scores
    assert scores[5] == pytest.approx(
        scores[0] - 0.05 * dmc.rank(given, options("dmc", f_low="d", g="0*c"), 0).scores[0] + 0.15
    )
    assert dmc.rank(given, options("dmc", f_low="d", g="0*c"), 0).scores[5] == 3.0
    assert dmc.rank(given, options("dmc", f_low="d", g="0*c", clip=100.0), 0).scores[5] > 20
    assert dmc.rank(given, options("dmc", f_high="d", g="0*c + 1"), 0).scores[5] > 20


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("ppl", [math.e**2] * 5),
        ("cppl", [math.exp(n) for n in range(1, 6)]),
        ("ifd", [math.exp(n - 2) for n in range(1, 6)]),
        ("ln_ppl", [2.0] * 5),
        ("ln_cppl", [1.0, 2.0, 3.0, 4.0, 5.0]),
        ("ln_ifd", [-1.0, 0.0, 1.0, 2.0, 3.0]),
    ],
)
def test_difficulties_by_hand(metric: str, expected: list[float]) -> None:
    used = options("dmc", difficulty=metric, difficulty_scale="raw", f_low="d", f_high="d")
    assert dmc.rank(FIVE, used, 0).scores == pytest.approx(expected)


def test_frozen_scales_stay_and_those_of_the_epoch_move() -> None:
    learned = candidates(
        "abc", quality=[5, 4, 3], nll=[0.5, 1.0, 1.5], nll_alone=[2, 2, 2], capability=0.5, reference=FIVE, epoch=1
    )
    unit = 2 / 1.349

    def difficulties(scale: str) -> Any:
        return dmc.rank(learned, options("dmc", difficulty_scale=scale, f_low="d", f_high="d"), 0).scores

    assert difficulties("robust_z_frozen") == pytest.approx([-2.5 / unit, -2 / unit, -1.5 / unit])
    # By itself: median 1, quartiles 0.75 and 1.25.
    assert difficulties("robust_z_epoch") == pytest.approx([-1.349, 0, 1.349])
    # Half a rank, one rank, one and a half, of five.
    assert difficulties("percentile") == pytest.approx([0.1, 0.2, 0.3])
    quality = dmc.rank(learned, options("dmc", f_low="q", f_high="q"), 0).scores
    assert quality == pytest.approx([1.0, 0.8, 0.6])


@pytest.mark.parametrize(
    ("role", "name", "given", "expected"),
    [
        ("f_low", "linear", {"a": 2, "b": 3}, 2 * 0.5 + 3 * 4),
        ("f_low", "power", {"a": 2, "b": 0.5}, 0.5),
        ("f_low", "product", {"b": 0.25}, 1.0),
        ("f_high", "gaussian", {"m": 2, "s": 1}, 0.5 * math.exp(-2)),
        ("f_high", "gaussian_w", {"m": 2, "w": 2}, 0.5 * math.exp(-2)),
        ("f_high", "quadratic", {"m": 2, "w": 4}, 0.25),
        ("f_high", "lorentzian", {"m": 2, "w": 2}, 0.25),
        ("g", "logistic", {"t": 0.1, "k": 2.5}, 0.5),
        ("g", "power", {"p": 2}, 0.0625),
        ("g", "hill", {"p": 1, "K": 0.25}, 0.5),
        ("g", "exponential", {"k": 4}, 1 - math.exp(-1)),
        ("g", "step", {"c0": 0.25}, 1.0),
        ("g", "step", {"c0": 0.26}, 0.0),
    ],
)
def test_forms_by_hand(role: str, name: str, given: dict[str, float], expected: float) -> None:
    found = part(role, PRESETS["inferred-normalized"], name, given)
    assert set(found.constants) == set(given) == set(FORMS[role][name].constants)
    assert float(found.expression.value({**found.constants, "q": 0.5, "d": 4.0, "c": 0.25})) == pytest.approx(expected)


def test_every_form_can_be_chosen_by_its_name() -> None:
    positive = candidates("abcde", quality=[5, 4, 3, 2, 1], nll=[1, 2, 3, 4, 5], capability=0.5)
    for role, forms in FORMS.items():
        for name in forms:
            used = options("dmc", **{role: name}, difficulty_scale="percentile")
            assert dmc.check(used) == []
            assert dmc.rank(positive, used, 0).facts["forms"][role]["form"] == name


@pytest.mark.parametrize("preset", PRESETS)
def test_properties_over_many_draws(preset: str) -> None:
    random = np.random.default_rng(7)
    difficulties = random.uniform(1.0, 8.0, 3000) if preset == "inferred-raw" else random.uniform(-3.0, 3.0, 3000)
    quality, capability = random.uniform(0.02, 1.0, 3000), random.uniform(0.0, 1.0, 3000)
    more = np.minimum(quality + random.uniform(0.01, 0.5, 3000), 1.2)
    for q, better, d, c in zip(quality, more, difficulties, capability, strict=True):
        assert score(preset, better, d, c) > score(preset, q, d, c), "increasing in quality"
        assert score(preset, q, d + 0.01, 0.0) > score(preset, q, d, 0.0), "increasing in difficulty at c = 0"
        near = score(preset, q, d, c + 1e-6)
        assert abs(near - score(preset, q, d, c)) < 1e-4, "continuous in c"
    grid = np.linspace(0.5, 8.0, 400) if preset == "inferred-raw" else np.linspace(-3.0, 3.0, 400)
    for q in (0.1, 0.5, 1.0):
        best = int(np.argmax(score(preset, q, grid, 1.0)))
        assert 20 < best < 380, "at c = 1 the best difficulty lies inside"
    g = part("g", PRESETS[preset], None, {})
    weights = [float(g.expression.value({**g.constants, "c": c})) for c in (0.0, 0.5, 1.0)]
    assert weights[0] < 0.05
    assert weights[1] == pytest.approx(0.5)
    assert weights[2] > 0.95


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("start", "end", "median"), [(0.1, 0.45, 2.6), (0.6, 0.9, 1.9)])
def test_core_elective_and_never(preset: str, start: float, end: float, median: float) -> None:
    """The pattern of the paper's Figure 2 on 8,000 records over six epochs of 12.5 %, while the student learns."""
    rows, epochs = 8000, 6
    normal = np.random.default_rng(0).multivariate_normal([0, 0], [[1, -0.2], [-0.2, 1]], rows).T
    nll = np.log(np.maximum(median * np.exp(0.3 * normal[1]), 1.001))
    names = [f"row-{row}" for row in range(rows)]
    before = candidates(names, quality=normal[0], nll=nll, capability=start)
    chosen = np.zeros(rows)
    for epoch in range(epochs):
        capability = start + (end - start) * epoch / (epochs - 1)
        now = candidates(names, quality=normal[0], nll=nll, capability=capability, reference=before, epoch=epoch)
        top = dmc.rank(now, options("dmc", preset=preset), 0).order[: rows // 8]
        chosen[top] += 1 / epochs
        nll = nll * 0.97
        nll[top] *= 0.93
    by_quality = chosen[np.argsort(-normal[0])]
    assert by_quality[:400].mean() > 0.8, "the best 5 % are almost always in"
    assert 0.4 < by_quality[400:1600].mean() < 0.6, "from there to 20 % they come and go"
    assert by_quality[1600:].mean() < 0.005, "beyond it they are seldom chosen"


def correlated(**chosen: Any) -> dmc.Ranking:
    random = np.random.default_rng(1)
    given = candidates(
        [f"row-{row}" for row in range(500)],
        quality=random.normal(size=500),
        nll=random.lognormal(-0.5, 0.5, 500),
        capability=0.1,
    )
    return dmc.rank(given, options("dmc", **chosen), 0)


def test_it_warns_when_it_is_quality_selection_or_difficulty_selection() -> None:
    assert correlated().warnings == ()
    (weak,) = correlated(constants={"b": 0.001}).warnings
    assert weak.startswith("This is quality selection: the Spearman correlation of DMC (inferred form)")
    (strong,) = correlated(constants={"b": 2.0}).warnings
    assert strong.startswith("Difficulty dominates")
    (draw,) = dmc.rank(
        candidates("abc", quality=[1, 1, 1], nll=[1, 2, 3], capability=0.5),
        options("dmc", f_low="q", f_high="q"),
        0,
    ).warnings
    assert "a draw by seed" in draw


def test_scores_that_are_no_numbers_stop() -> None:
    with pytest.raises(
        StageError, match=r"not a finite number for 2 of 5 candidates, such as 'a' \(quality 1"
    ) as caught:
        dmc.rank(FIVE, options("dmc", f_low="q * ln(d + 0.1)", f_high="q"), 0)
    assert "negative for half" in caught.value.hint
    with pytest.raises(StageError, match="an exponent of 1349"):
        dmc.rank(FIVE, options("dmc", f_low="2**(1000*d)"), 0)
    far = candidates("ab", quality=[1, 2], nll=[1.0, 800.0], capability=0.5)
    with pytest.raises(StageError, match="not a finite number"):
        dmc.rank(far, options("dmc", preset="inferred-raw"), 0)


def test_what_it_needs_is_asked_for() -> None:
    given = candidates("ab", quality=[1, 2], nll=[1, 2])
    with pytest.raises(StageError, match="needs the student's capability and there is none"):
        dmc.rank(given, options("dmc"), 0)
    constant = candidates("ab", quality=[1, 2], nll=[1, 1], capability=0.5)
    with pytest.raises(StageError, match=r"cannot scale the difficulty \(ln_cppl\)") as caught:
        dmc.rank(constant, options("dmc"), 0)
    assert "percentile" in caught.value.hint


@pytest.mark.parametrize(
    ("chosen", "option", "message", "suggestion"),
    [
        ({"f_low": "q + e*d"}, "f_low", "column 5: there is no 'e' here", "Valid: c, d, q"),
        ({"f_low": "linaer"}, "f_low", "column 1: there is no 'linaer'", "Did you mean 'linear'?"),
        ({"f_high": "q ^ 2"}, "f_high", "column 3: '^' has no meaning", "Powers are written **"),
        ({"g": "sigmoid(q)"}, "g", "column 9: there is no 'q' here", "Valid: c"),
        ({"g": "2*c"}, "g", "the weight g is 1.1 at capability 0.55", "sigmoid(c/0.1 - 5)"),
        ({"g": "ln(c)"}, "g", "the weight g is -inf at capability 0", "sigmoid"),
        ({"g": "2**(200*c)"}, "g", "an exponent of 70", "within 64"),
        ({"constants": {"bb": 1.0}}, "constants", "no form uses 'bb'", "Did you mean 'b'? In use: a, b, k, m, s, t"),
        ({"constants": {"q": 1.0}}, "constants", "'q' is a variable or a function", "letters"),
        ({"constants": {"b-1": 1.0}}, "constants", "'b-1' is no name", "letters"),
        ({"constants": {"t": -1.0, "k": 5.0}, "g": "c/t"}, "g", "the weight g is", ""),
        ({"difficulty_scale": "raw", "clip": 3.0}, "clip", "difficulty_scale is raw", "Leave it out"),
    ],
)
def test_faults_are_found_before_anything_runs(
    chosen: dict[str, Any], option: str, message: str, suggestion: str
) -> None:
    used = options("dmc", **chosen)
    found = [item for item in dmc.check(used) if item[0] == option]
    assert len(found) == 1, dmc.check(used)
    assert message in found[0][1]
    assert suggestion in found[0][2]
    with pytest.raises(StageError, match=r"selector\."):
        dmc.rank(FIVE, used, 0)


def test_sound_options_have_no_faults() -> None:
    for chosen in (
        {},
        {"preset": "inferred-raw"},
        {"constants": {"b": 0.1, "s": 2.0}},
        {"f_low": "q + b*d", "constants": {"b": 0.2}},
        {"g": "clip(c + x, 0, 1)", "constants": {"x": 0.1}},
        {"clip": 2.0},
    ):
        assert dmc.check(options("dmc", **chosen)) == []


def test_constants_override_and_expressions_have_the_recipes_alone() -> None:
    facts = dmc.rank(FIVE, options("dmc", constants={"b": 0.1, "s": 2.0}), 0).facts
    assert facts["constants"]["f_low"] == {"a": 1.0, "b": 0.1}
    assert facts["constants"]["f_high"] == {"m": 0.0, "s": 2.0}
    facts = dmc.rank(FIVE, options("dmc", f_low="q + b*d", constants={"b": 0.2}), 0).facts
    assert facts["forms"]["f_low"] == {"form": "expression", "formula": "q + b*d"}
    assert facts["constants"]["f_low"] == {"b": 0.2}
    # A form that is not the preset's has constants of its own: inferred-raw's w of 5 is for gaussian_w.
    used = options("dmc", preset="inferred-raw", f_high="lorentzian")
    assert dmc.rank(FIVE, used, 0).facts["constants"]["f_high"] == {"m": 0.0, "w": 4.0}


def test_the_capability_moves_the_choice_from_hard_to_moderate() -> None:
    def first(capability: float) -> str:
        given = Candidates(
            list("abc"),
            list("pqr"),
            {"quality": np.ones(3), "nll": np.log([1.2, 2.1, 6.0])},
            capability=capability,
        )
        return ids(given, "dmc", preset="inferred-raw")[0]

    assert first(0.0) == "c"
    assert first(1.0) == "b"
