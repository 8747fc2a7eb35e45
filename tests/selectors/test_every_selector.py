"""What holds for every selector in the folder, whatever it does: its contract, its schema, and no use of row order."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill_app.errors import StageError
from distill_app.recipe import schema
from distill_app.selectors import SIGNALS, Accuracy, Candidates, _top
from tests.selectors.tables import NAMES, module, options

COMMON = {"top", "per_problem", "unit", "dynamic"}
RESCORED = {"adcl", "car", "dmc", "ifd", "perplexity", "rsr"}
READS = {
    "adcl": {"nll_alone"},
    "car": {"quality", "nll"},
    "dmc": {"quality", "nll"},
    "ifd": {"nll", "nll_alone"},
    "length": {"tokens"},
    "pass_rate": {"pass_rate"},
    "perplexity": {"nll"},
    "quality": {"quality"},
    "random": set(),
    "rsr": {"nll", "rank_sum", "tokens_scored"},
    "s1": {"quality", "tokens"},
    "skill_aware": set(),
}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in NAMES),
    ("car", {"quality": "minmax"}),
    ("car", {"quality": "sigmoid"}),
    ("dmc", {"preset": "inferred-raw"}),
    ("dmc", {"difficulty": "ifd", "difficulty_scale": "percentile", "f_low": "q + b*d", "constants": {"b": 0.5}}),
    ("perplexity", {"band": "middle", "metric": "ppl"}),
    ("perplexity", {"band": "bottom"}),
    ("length", {"band": "middle"}),
    ("length", {"band": "shortest"}),
    ("pass_rate", {"source": "rate"}),
    ("s1", {"max_pass_rate": 0.5}),
    ("s1", {"domains": "none", "drop_lowest": 0.5}),
    ("skill_aware", {"mode": "forced"}),
    ("skill_aware", {"mode": "forced", "per_problem": 1}),
    ("skill_aware", {"max_depth": 1, "tau": 2.0}),
]
CHAINS = ("A -> x", "A -> y", "B -> z", "B")


@st.composite
def pools(draw: Any) -> Candidates:
    """Pools with many equal values, several rows a problem, rows without skills and without pass rates."""
    rows = draw(st.integers(6, 20))
    few = st.sampled_from([0.25, 0.5, 0.75, 1.0])

    def column(values: Any) -> Any:
        return np.array(draw(st.lists(values, min_size=rows, max_size=rows)), dtype=np.float64)

    chains = st.lists(st.sampled_from(CHAINS), max_size=3).map(tuple)
    rates = column(st.sampled_from([0.0, 0.5, 0.5, 1.0, float("nan")]))
    rates[0] = 0.5
    losses = column(few)
    losses[: rows // 2 + 1] = np.linspace(0.1, 1.3, rows // 2 + 1)
    quality = column(few)
    quality[:2] = [0.0, 1.1]
    skills = draw(st.lists(chains, min_size=rows, max_size=rows))
    return Candidates(
        [f"row-{row}" for row in range(rows)],
        [f"problem-{row // 2}" for row in range(rows)],
        {
            "quality": quality,
            "nll": losses,
            "nll_alone": column(few) + 0.5,
            "rank_sum": column(few) * 100,
            "tokens": column(few) * 40,
            "tokens_scored": column(few) * 40,
            "pass_rate": rates,
            "numbers.rate": rates,
        },
        groups=[f"group-{row // 3}" for row in range(rows)],
        skills=[(CHAINS[0],), *skills[1:]],
        accuracy={
            "A -> x": Accuracy(1, 4),
            "A -> y": Accuracy(0, 3),
            "B -> z": Accuracy(9, 9),
            "A": Accuracy(1, 7),
            "B": Accuracy(0, 0),
        },
        capability=0.4,
        epoch=1,
        epochs=3,
    )


def permuted(pool: Candidates, order: list[int]) -> Candidates:
    def some(column: Any) -> Any:
        return [column[position] for position in order]

    return dataclasses.replace(
        pool,
        ids=some(pool.ids),
        problem_ids=some(pool.problem_ids),
        signals={name: values[order] for name, values in pool.signals.items()},
        groups=some(pool.groups),
        skills=some(pool.skills),
    )


def outcome(pool: Candidates, name: str, chosen: dict[str, Any], seed: int, unit: str) -> Any:
    used = options(name, top=1, unit=unit, **chosen)
    ranking = module(name).rank(pool, used, seed)
    try:
        decisions = _top.keep(pool, ranking, 1, used.per_problem, unit)
    except StageError as error:
        return str(error)
    return {row.id: row for row in decisions}, json.dumps(ranking.facts, sort_keys=True), ranking.warnings


@pytest.mark.parametrize(("name", "chosen"), VARIANTS, ids=str)
@pytest.mark.parametrize("unit", ["row", "group"])
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_order_of_rows_changes_nothing(name: str, chosen: dict[str, Any], unit: str, data: Any) -> None:
    pool = data.draw(pools())
    order = data.draw(st.permutations(range(len(pool.ids))))
    seed = data.draw(st.integers(0, 99))
    one = outcome(pool, name, chosen, seed, unit)
    other = outcome(permuted(pool, list(order)), name, chosen, seed, unit)
    if isinstance(one, str):
        assert one == other
        return
    assert one[0].keys() == other[0].keys()
    for row, decision in one[0].items():
        again = other[0][row]
        assert (decision.kept, decision.rank, decision.reason) == (again.kept, again.rank, again.reason)
        assert (decision.score is None) == (again.score is None)
        assert decision.score is None or decision.score == pytest.approx(again.score, rel=1e-12)
    assert one[1:] == other[1:]


@pytest.mark.parametrize(("name", "chosen"), VARIANTS, ids=str)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pool=pools())
def test_every_row_is_ranked_once_with_a_reason(name: str, chosen: dict[str, Any], pool: Candidates) -> None:
    ranking = module(name).rank(pool, options(name, top=1, **chosen), 3)
    rows = len(pool.ids)
    assert sorted(ranking.order.tolist()) == list(range(rows))
    assert ranking.scores.shape == (rows,)
    assert all(len(ranking.explain(row)) > 5 for row in range(rows))
    json.dumps(ranking.facts, allow_nan=False)
    if ranking.eligible is not None:
        stands = ranking.eligible[ranking.order].tolist()
        assert stands == sorted(stands, reverse=True), "rows that are not eligible stand last"


@pytest.mark.parametrize("name", NAMES)
def test_the_module_says_what_it_is(name: str) -> None:
    found = module(name)
    spec = schema.installed().members["selector"][name]
    assert isinstance(found.LABEL, str)
    assert spec["title"] == found.LABEL
    assert set(SIGNALS) >= found.NEEDS
    assert isinstance(found.DYNAMIC, bool)
    assert found.VERSION >= 1
    assert ("candidates" in spec["properties"]) == (name in RESCORED)
    assert not (name in RESCORED and not found.DYNAMIC)
    if hasattr(found, "needs"):
        assert found.needs(options(name)) <= found.NEEDS


def test_what_is_inferred_says_so_in_its_name() -> None:
    assert {name for name in NAMES if "inferred" in module(name).LABEL} == {"adcl", "car", "dmc"}


@pytest.mark.parametrize("name", NAMES)
def test_options_mirror_the_schema(name: str) -> None:
    schemas = schema.installed()
    properties = {key: spec for key, spec in schemas.members["selector"][name]["properties"].items() if key != "name"}
    hints = typing.get_type_hints(module(name).Options)
    assert list(hints) == list(properties)
    assert set(hints) >= COMMON
    for key, hint in hints.items():
        assert written(hint) == allowed(schema.resolve(schemas, properties[key])), key


def written(hint: Any) -> set[Any]:
    """The kinds or values that a type hint allows, in the words of `allowed`."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return set().union(*(written(one) for one in typing.get_args(hint)))
    if typing.get_origin(hint) is typing.Literal:
        return set(typing.get_args(hint))
    if typing.get_origin(hint) is not None:
        return {"object"}
    return {{int: "integer", float: "number", str: "string", bool: "boolean", type(None): None}[hint]}


def allowed(spec: dict[str, Any]) -> set[Any]:
    if "anyOf" in spec:
        return set().union(*(allowed(one) for one in spec["anyOf"]))
    if "enum" in spec:
        return set(spec["enum"])
    named = spec["type"] if isinstance(spec["type"], list) else [spec["type"]]
    return {None if one == "null" else one for one in named}


WHOLE = {
    "quality": [0.1, 0.2, 0.3, 0.4],
    "nll": [0.5, 0.6, 0.7, 0.8],
    "nll_alone": [1.5, 1.6, 1.7, 1.8],
    "rank_sum": [90.0, 80.0, 70.0, 60.0],
    "tokens": [50.0, 40.0, 30.0, 20.0],
    "tokens_scored": [50.0, 40.0, 30.0, 20.0],
    "pass_rate": [0.5, 0.5, 0.5, 0.5],
}


def whole(**changed: list[float] | None) -> Candidates:
    columns = {**WHOLE, **changed}
    signals = {name: np.array(values) for name, values in columns.items() if values is not None}
    return Candidates(
        list("abcd"),
        list("pqrs"),
        signals,
        skills=[(CHAINS[0],)] * 4,
        accuracy={CHAINS[0]: Accuracy(1, 2)},
        capability=0.5,
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_that_is_missing_or_broken_stops(name: str) -> None:
    found, used = module(name), options(name, top=1)
    found.rank(whole(), used, 0)
    for signal in READS[name]:
        with pytest.raises(StageError, match=f"the signal '{signal}'"):
            found.rank(whole(**{signal: None}), used, 0)
        broken = [float("nan")] * 4 if signal == "pass_rate" else [*WHOLE[signal][:3], float("nan")]
        with pytest.raises(StageError, match=f"'{signal}' is not a number in"):
            found.rank(whole(**{signal: broken}), used, 0)
        with pytest.raises(StageError, match=f"'{signal}' is not a number in 1 of 4 candidates, such as 'd'"):
            found.rank(whole(**{signal: [*WHOLE[signal][:3], float("inf")]}), used, 0)
    for signal in set(WHOLE) - READS[name]:
        found.rank(whole(**{signal: None}), used, 0)
