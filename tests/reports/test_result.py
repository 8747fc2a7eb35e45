"""result.json: its numbers by hand, and its schema."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from distill_app.errors import Fault, Position, StageError, UsageError
from distill_app.reports.result import Row, build
from distill_app.resources import folder
from tests.reports.result_example import TRAINED, example, measured


def schema(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder("schemas") / f"{name}.schema.json").read_text(encoding="utf-8"))
    return loaded


def test_rows_by_hand() -> None:
    rows = {row["metric"]: row for row in example()["rows"]}
    assert list(rows) == ["avg@4", "pass@2", "maj@2"]
    avg = rows["avg@4"]
    # Per problem 4/4, 2/4, 1/4, 2/4 after and 2/4, 0, 1/4, 1/4 before.
    assert avg["score"] == pytest.approx(0.5625)
    assert avg["base_score"] == pytest.approx(0.25)
    assert avg["gain"] == pytest.approx(0.3125)
    assert (avg["k"], avg["n_problems"]) == (4, 4)
    # Differences 1/2, 1/2, 0, 1/4: a resample of four is 0 at least and 1/2 at most.
    assert 0.0 <= avg["gain_ci_low"] < 0.3125 < avg["gain_ci_high"] <= 0.5  # type: ignore[operator]
    # Three differences of one sign: 2 of 8 patterns.
    assert avg["gain_p"] == pytest.approx(2 / 8)
    # pass@2: 1, 1 - C(2,2)/C(4,2) = 5/6, 1 - C(3,2)/6 = 1/2, 5/6.
    assert rows["pass@2"]["score"] == pytest.approx((1 + 5 / 6 + 1 / 2 + 5 / 6) / 4)
    # maj@2 of the first two samples in sample order: cc, cc, cw (tie), cc.
    assert rows["maj@2"]["score"] == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    for row in rows.values():
        assert (row["truncated"], row["no_answer"], row["timed_out"]) == (4 / 16, 1 / 16, 1 / 16)
        assert (row["train_tokens"], row["seconds"], row["selector"]) == (1234, 61.5, "quality")


def test_scores_by_problem_pair_one_run_with_another() -> None:
    # Samples come in reverse order, and problems p0 to p3 are sorted by id.
    assert example()["per_problem"] == {
        "words": {
            "metric": "avg@4",
            "problems": ["p0", "p1", "p2", "p3"],
            "questions": [hashlib.sha256(b"?\x1f1").hexdigest()[:12]] * 4,
            "clusters": None,
            "untrained": [0.5, 0.0, 0.25, 0.25],
            "trained": [1.0, 0.5, 0.25, 0.5],
        }
    }
    assert example(base=None)["per_problem"]["words"]["untrained"] is None


def test_standard_errors_by_hand() -> None:
    result = example()
    # 1, 1/2, 1/4, 1/2 around 9/16: squares 49, 1, 25, 1 of 256, over 4 * 3.
    assert result["rows"][0]["se"] == pytest.approx((76 / 256 / 12) ** 0.5)
    assert example(trained=["ccww"], base=["wwww"])["rows"][0]["se"] is None


def test_problems_that_share_a_source_are_one_draw() -> None:
    result = example(clusters=["a", "a", None, "b"])
    row = result["rows"][0]
    assert (row["n_problems"], row["n_clusters"]) == (4, 3)
    assert result["per_problem"]["words"]["clusters"] == ["a", "a", None, "b"]
    # Sums around 9/16 of the clusters p0 p1, p2, p3: 6/16, -5/16, -1/16; 3/2 of their squares, over 4 squared.
    assert row["se"] == pytest.approx((3 / 2 * 62 / 256 / 16) ** 0.5)
    assert any("intervals are over 3 clusters, not 4 problems" in note for note in result["notes"])
    jsonschema.validate(json.loads(json.dumps(result)), schema("result"))
    whole = example(clusters=["a"] * 4)["rows"][0]
    assert (whole["n_clusters"], whole["ci_low"], whole["se"]) == (1, None, None)
    assert example()["rows"][0]["n_clusters"] is None


def test_the_macro_average_by_hand() -> None:
    result = example(others={"sums": (["cccc", "ccww"], ["wwww", "cwww"])})
    rows = {(row["benchmark"], row["metric"]): row for row in result["rows"]}
    assert list(rows)[6:] == [("macro", "avg@4"), ("macro", "pass@2"), ("macro", "maj@2")]
    macro, words, sums = (rows[name, "avg@4"] for name in ("macro", "words", "sums"))
    assert macro["score"] == pytest.approx((0.5625 + 0.75) / 2)
    assert macro["base_score"] == pytest.approx((0.25 + 0.125) / 2)
    assert macro["gain"] == pytest.approx((0.3125 + 0.625) / 2)
    assert macro["se"] == pytest.approx((words["se"] ** 2 + sums["se"] ** 2) ** 0.5 / 2)  # type: ignore[operator]
    assert (macro["n_problems"], macro["truncated"]) == (6, pytest.approx((4 / 16 + 0) / 2))
    assert rows["macro", "maj@2"]["score"] == pytest.approx((rows["words", "maj@2"]["score"] + 1) / 2)
    assert macro["ci_low"] < macro["score"] < macro["ci_high"]  # type: ignore[operator]
    assert macro["gain_ci_low"] < macro["gain"] < macro["gain_ci_high"]  # type: ignore[operator]
    assert [row["benchmark"] for row in result["base_rows"]] == ["words"] * 3 + ["sums"] * 3 + ["macro"] * 3
    jsonschema.validate(json.loads(json.dumps(result)), schema("result"))


def test_a_macro_gain_needs_a_base_everywhere() -> None:
    sums = {"sums": (["cccc", "ccww"], ["wwww", "cwww"])}
    macro = {row["metric"]: row for row in example(base=None, others=sums)["rows"] if row["benchmark"] == "macro"}
    assert macro["avg@4"]["score"] == pytest.approx((0.5625 + 0.75) / 2)
    assert (macro["avg@4"]["base_score"], macro["avg@4"]["gain"]) == (None, None)


def test_base_rows_have_the_same_shape_and_no_gain() -> None:
    result = example()
    base = result["base_rows"][0]
    assert set(base) == set(result["rows"][0]) == set(Row.__annotations__)
    assert base["label"] == "Untrained"
    assert (base["selector"], base["score"], base["base_score"], base["gain"]) == ("untrained", 0.25, None, None)
    assert base["no_answer"] == pytest.approx(4 / 16)
    assert base["ci_low"] < 0.25 < base["ci_high"]  # type: ignore[operator]
    assert example(base=None)["rows"][0]["gain"] is None


def test_flat_scores_are_noted() -> None:
    notes = example(trained=["cccc"] * 4)["notes"]
    assert notes[0] == "One note."
    assert any("words avg@4: every problem has the same score" in note for note in notes)


def test_one_problem_has_no_interval() -> None:
    row = example(trained=["ccww"], base=["wwww"])["rows"][0]
    assert (row["ci_low"], row["ci_high"], row["gain_ci_low"], row["gain"]) == (None, None, None, 0.5)
    jsonschema.validate(example(trained=["ccww"], base=["wwww"]), schema("result"))


def test_faulty_input_is_refused() -> None:
    with pytest.raises(StageError, match="not answered on the same problems"):
        example(trained=[*TRAINED, "cccc"])
    entry = measured(TRAINED)
    common: dict[str, Any] = {
        **{"run": "r", "recipe": "t", "selector": "s", "label": "S", "arm": "a", "setting": "b", "selection": {}},
        **{"seed": 0, "status": "finished", "base": [], "k": [2]},
        **{"train_tokens": 0, "seconds": 0.0, "counts": {}, "timings": {}, "settings": {}, "notes": []},
    }
    with pytest.raises(StageError, match="1 samples of 'words' were never graded, 'p3/2' first"):
        build(trained=[replace(entry, verdicts=[v for v in entry.verdicts if v.id != "p3/2"])], samples=4, **common)
    with pytest.raises(UsageError, match="k = 5 needs 5 samples"):
        build(trained=[entry], samples=5, **common)
    with pytest.raises(UsageError, match="k = 5 needs 5 samples"):
        build(trained=[entry], samples=4, **{**common, "k": [5]})
    with pytest.raises(UsageError, match=r"temperature 0 all 4 samples of a problem are the same: that is no avg@4"):
        build(trained=[entry], samples=4, **{**common, "settings": {"evaluation": {"temperature": 0}}})


def test_schemas_hold_and_refuse() -> None:
    for name in ("result", "plan", "fault", "inspect", "leaderboard", "compare"):
        jsonschema.Draft202012Validator.check_schema(schema(name))
    result = json.loads(json.dumps(example()))
    validator = jsonschema.Draft202012Validator(schema("result"))
    validator.validate(result)
    assert list(schema("result")["properties"]) == list(result)
    assert list(schema("result")["$defs"]["row"]["properties"]) == list(result["rows"][0])
    for change in ({"score": 56.25}, {"metric": "avg"}, {"extra": 1}, {"truncated": None}):
        broken = {**result, "rows": [{**result["rows"][0], **change}]}
        assert not validator.is_valid(broken), change
    assert not validator.is_valid({**result, "counts": {"pool": "many"}})


def test_fault_schema_fits_what_faults_print() -> None:
    fault = Fault(Position("a.yaml", 3, 1), "seed", "is not a number", "Write 3.").as_json()
    jsonschema.validate([fault], schema("fault"))
    assert list(schema("fault")["$defs"]["fault"]["properties"]) == list(fault)


def test_every_property_is_explained() -> None:
    seen = 0

    def walk(node: Any) -> None:
        nonlocal seen
        if isinstance(node, dict):
            for name, value in node.get("properties", {}).items():
                assert value["title"], name
                assert value["description"], name
                seen += 1
            for value in node.values():
                walk(value)

    for name in ("result", "plan", "fault", "inspect", "leaderboard", "compare"):
        walk(schema(name))
    assert seen > 150
