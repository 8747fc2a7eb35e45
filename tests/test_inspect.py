"""`inspect`: what a selector kept against what there was, counted by hand, and once on a real run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from distill_app.errors import UsageError
from distill_app.reports import inspect, inspect_row, inspect_text, selections
from distill_app.reports.selections import Selection
from distill_app.store import runs
from tests import hand_made_selection as hand
from tests.recipes import ROOT, distill, json_of, small, without_traceback


def check(value: object) -> None:
    """The value has the shape that schemas/inspect.schema.json documents."""
    schema = json.loads((ROOT / "schemas" / "inspect.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(json.dumps(value, allow_nan=False)), schema, jsonschema.Draft202012Validator)


@pytest.fixture
def static(tmp_path: Path) -> Selection:
    return selections.of_run(tmp_path, hand.write(tmp_path))


@pytest.fixture
def dynamic(tmp_path: Path) -> Selection:
    """Two of three epochs: rows 1, 2 and 4, then 1, 3 and 4."""
    scores = {name: round(0.1 * place, 1) for place, name in enumerate(hand.NAMES[:5])}
    second = hand.epoch(
        1, [0, 2, 3], scored=5, seconds=1.5, capability=0.5, overlap=0.5, scores=scores, warnings=["Hm."]
    )
    return selections.of_run(tmp_path, hand.write(tmp_path, planned=3, epochs=[hand.epoch(0, [0, 1, 3]), second]))


def signals(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["signal"]: one for one in found["signals"]}


def table(found: dict[str, Any], name: str) -> dict[str, tuple[int, int, int]]:
    """By value: rows of the pool, of the candidates, kept."""
    lines = found["composition"]["tables"][name]
    return {line["value"]: (line["pool"], line["candidates"], line["kept"]) for line in lines}


def test_distributions_over_candidates_and_kept_rows(static: Selection) -> None:
    found = inspect.overview(static, 10)
    check(found)
    assert found["rows"] == {"pool": 8, "candidates": 6, "kept": 3}
    assert list(signals(found)) == ["nll", "nll_alone", "pass_rate", "quality", "tokens", "ln_ifd", "score"]
    # 0.2, 0.4, 0.6, 0.8, 0.8, 1: the quarter lies a quarter of the way from the second value to the third.
    quality = signals(found)["quality"]
    assert quality["candidates"] == pytest.approx(
        {
            "n": 6,
            "missing": 0,
            "min": 0.2,
            "q1": 0.45,
            "median": 0.7,
            "q3": 0.8,
            "max": 1,
            "mean": 3.8 / 6,
            "ties": 1 / 3,
        }
    )
    assert quality["kept"] == pytest.approx(
        {"n": 3, "missing": 0, "min": 0.6, "q1": 0.7, "median": 0.8, "q3": 0.9, "max": 1.0, "mean": 0.8, "ties": 0.0}
    )
    assert (signals(found)["pass_rate"]["candidates"]["n"], signals(found)["pass_rate"]["candidates"]["missing"]) == (
        4,
        2,
    )
    assert signals(found)["ln_ifd"]["candidates"]["min"] == pytest.approx(0.5 - 4.0)
    assert inspect.distribution(np.array([math.nan]))["mean"] is None


def test_spearman_between_signals_and_score(static: Selection) -> None:
    rho = inspect.overview(static, 10)["spearman"]
    # Ranks of quality 6, 4.5, 4.5, 3, 1, 2 and of the score 6, 5, 4, 3, 2, 1.
    assert rho["quality"]["score"] == rho["score"]["quality"] == pytest.approx(16 / math.sqrt(17 * 17.5))
    assert rho["nll"]["score"] == pytest.approx(-1.0)
    assert rho["nll"]["nll_alone"] is None, "all rows have one value"
    # Over the four rows that have a pass rate: 1/2, 1/2, 1, 1 against 1, 2, 3, 4.
    assert rho["pass_rate"]["nll"] == pytest.approx(4 / math.sqrt(4 * 5))


def test_spearman_is_scipys(static: Selection) -> None:
    from scipy.stats import spearmanr

    columns = {**static.signals, "score": static.scores}
    rho = inspect.overview(static, 1)["spearman"]
    for one, other in (("quality", "nll"), ("quality", "tokens"), ("tokens", "score"), ("pass_rate", "quality")):
        expected = spearmanr(columns[one], columns[other], nan_policy="omit").statistic
        assert rho[one][other] == pytest.approx(float(expected))


def test_kept_against_what_there_was(static: Selection) -> None:
    found = inspect.overview(static, 10)
    assert table(found, "teacher") == {"ann": (4, 3, 2), "bob": (4, 3, 1)}
    assert table(found, "augmentation") == {"chain_of_thought": (7, 5, 3), "rephrase": (1, 1, 0)}
    assert table(found, "graded answer") == {"correct": (6, 4, 3), "no_answer": (1, 1, 0), "wrong": (1, 1, 0)}
    assert table(found, "skill, top level") == {"A": (4, 3, 3), "B": (3, 2, 0), "no skill": (1, 1, 0)}
    assert table(found, "skill") == {
        "A -> x": (3, 2, 2),
        "B -> z": (3, 2, 0),
        "A -> y": (2, 2, 2),
        "no skill": (1, 1, 0),
    }
    assert table(found, "teacher's own note") == {"none": (4, 3, 1), "sure": (4, 3, 2)}
    # Candidates are 10, 20 ... 60 tokens long; the pool has 70 and 25 besides.
    assert found["composition"]["length"] == {"unit": "tokens of the student", "edges": [10, 22.5, 35, 47.5, 60]}
    assert table(found, "length") == {
        "shortest quarter": (2, 2, 2),
        "second quarter": (2, 1, 0),
        "third quarter": (1, 1, 1),
        "longest quarter": (3, 2, 0),
    }


def test_reasons_are_counted_without_what_is_a_rows_own(static: Selection) -> None:
    assert inspect.overview(static, 10)["reasons"] == [
        {"reason": "left: the 3 rows are full before rank …", "rows": 2},
        {"reason": "held out for the placement test", "rows": 1},
        {"reason": "left: 1 row is of this problem kept already", "rows": 1},
        {"reason": "longer than 60 tokens", "rows": 1},
    ]
    low = [f"left: quality {value} is among the lowest 25%" for value in ("0.1", "-2e-05")]
    group = [f"left: row {name!r} of its group cannot be kept; x" for name in ("a1", "b2")]
    assert inspect.reasons([*low, *group]) == [
        {"reason": "left: quality … is among the lowest 25%", "rows": 2},
        {"reason": "left: row … of its group cannot be kept", "rows": 2},
    ]


def test_ranking_facts_and_warnings(static: Selection) -> None:
    found = inspect.overview(static, 1)
    assert [row["id"] for row in found["best_kept"]] == ["p1/r1"]
    assert [(row["id"], row["rank"]) for row in found["best_left"]] == [("p2/r3", 3)]
    assert found["score_order"] == "highest"
    assert found["capability"] == {"mode": "fixed", "value": 0.25}
    assert found["warnings"] == ["Difficulty dominates."]
    assert found["epochs"] is None
    text = inspect_text.overview(found, 1)
    assert max(map(len, text.splitlines())) <= 100
    assert "DMC (inferred form)\n8 rows in the pool, 6 candidates, 3 kept (50.0 % of the candidates)." in text
    assert "To keep in mind: Difficulty dominates." in text
    assert "The highest score comes first." in text
    assert "… and 3 more (--limit 4)" in text, "skills beyond the first"
    assert "Missing: pass_rate in 2 candidates." in text
    assert "preset: inferred-normalized" in text
    assert "-1.00" in text


def test_epochs_of_a_training_at_work(dynamic: Selection) -> None:
    found = inspect.overview(dynamic, 10)
    check(found)
    assert found["label"] == "DMC (inferred form), dynamic"
    epochs = found["epochs"]
    # Rows 1 and 4 twice, 2 and 3 once; of the six candidates 5 and 6 never.
    assert (epochs["planned"], epochs["core"], epochs["elective"], epochs["never"]) == (3, 2, 2, 2)
    assert epochs["by_times"] == {"1": 2, "2": 2}
    assert epochs["scored_again"] == 5
    assert [(one["capability"], one["overlap"]) for one in epochs["chosen"]] == [(0.25, None), (0.5, 0.5)]
    text = inspect_text.overview(found, 10)
    assert "2 of 3 epochs chosen" in text
    assert "2 in every epoch so far (core), 2 in some (elective), 2 in none" in text
    assert "epoch 2: Hm." in text


def test_one_row(dynamic: Selection) -> None:
    found = inspect_row.row(dynamic, "r3")
    check(found)
    assert (found["id"], found["kept"], found["rank"], found["score"]) == ("p2/r3", False, 3, 0.65)
    # Quality 0.8: below it are 0.2, 0.4 and 0.6 of six candidates.
    assert found["signals"]["quality"] == {"value": 0.8, "below": 0.5}
    assert found["signals"]["ln_ifd"] == {"value": -2.5, "below": pytest.approx(2 / 6)}
    assert found["quality_parts"] == {"answer": 0.8, "form": 1.0}
    assert found["verdict"] == {"verdict": "correct", "extracted": "4", "rule": "boxed"}
    assert found["skills"] == {"chains": ["B -> z"], "reason": None}
    assert found["epochs"] == [
        {"epoch": 0, "trained": False, "score": 0.65},
        {"epoch": 1, "trained": True, "score": 0.2},
    ]
    assert (found["trace"]["teacher"], found["trace"]["augmentation"]) == ("ann", "rephrase")
    text = inspect_text.row(found)
    for part in ("1 row is of this problem kept already", "What is p2/r3?", "It is 4, says ann.", "epoch 2", "gold 4"):
        assert part in text, part


def test_rows_that_were_no_candidates_have_what_signals_were_made(static: Selection) -> None:
    long, held = inspect_row.row(static, "p4/r7"), inspect_row.row(static, "r8")
    check(long)
    assert (long["place"], held["place"]) == ("no candidate", "placement test")
    assert long["signals"]["tokens"] == {"value": 70, "below": 1.0}
    assert long["signals"]["tokens_scored"] == {"value": 70, "below": None}
    assert (long["rank"], long["score"], long["epochs"]) == (None, None, [])
    unknown = inspect_row.row(static, "r5")
    assert unknown["signals"]["pass_rate"] == {"value": None, "below": None}
    assert unknown["skills"] == {"chains": [], "reason": "no name fits"}
    assert "none: no name fits" in inspect_text.row(unknown)


def test_a_row_that_is_not_there(static: Selection) -> None:
    with pytest.raises(UsageError, match=r"'p2/r9'.*Nearest: .*p2/r3"):
        inspect_row.row(static, "p2/r9")
    with pytest.raises(UsageError, match=r"'p1' is part of 2 row ids: p1/r1, p1/r2\."):
        inspect_row.row(static, "p1")


def test_a_run_without_a_selection(tmp_path: Path) -> None:
    runs.create(tmp_path, "", "", {"stages": [{"name": "select", "kind": "select", "fingerprint": "x"}]})
    said = distill("inspect", "latest", workspace=tmp_path)
    assert said.returncode == 2
    assert "has no selection yet: it is lost" in without_traceback(said)
    assert not (tmp_path / "artifacts").exists(), "looking makes nothing"


def test_the_verb(tmp_path: Path) -> None:
    run = hand.write(tmp_path)
    found = json_of(distill("inspect", run.id[-6:], "--json", "--limit", "2", workspace=tmp_path))
    check(found)
    assert len(found["best_kept"]) == 2
    check(json_of(distill("inspect", "latest", "p1/r1", "--json", workspace=tmp_path)))
    assert "Spearman" in without_traceback(distill("inspect", "latest", workspace=tmp_path))
    wrong = distill("inspect", "latest", "nothing", workspace=tmp_path)
    assert wrong.returncode == 2


def test_a_dynamic_run_from_the_command_line(tmp_path: Path, tiny_folder: Path) -> None:
    recipe = small(tmp_path, tiny_folder, **{"name: quality, top: 12": "name: random, top: 12, dynamic: true"})
    workspace = tmp_path / "workspace"
    done = distill("run", recipe, workspace=workspace)
    assert done.returncode == 0, done.stderr
    found = json_of(distill("inspect", "latest", "--json", workspace=workspace))
    check(found)
    assert found["label"] == "Random, dynamic"
    assert found["rows"] == {"pool": 48, "candidates": 48, "kept": 12}
    assert found["score_order"] == "lowest"
    (score,) = found["signals"]
    kept = [row["score"] for row in found["best_kept"]]
    assert score["candidates"]["min"] == kept[0] == min(kept)
    epochs = found["epochs"]
    assert [one["rows"] for one in epochs["chosen"]] == [12, 12]
    assert epochs["elective"] + 2 * epochs["core"] == 24
    assert epochs["core"] + epochs["elective"] + epochs["never"] == 48
    assert epochs["chosen"][1]["overlap"] == pytest.approx(epochs["core"] / (epochs["core"] + epochs["elective"]))
    row = json_of(distill("inspect", "latest", found["best_kept"][0]["id"], "--json", workspace=workspace))
    check(row)
    assert row["kept"]
    assert row["epochs"][0]["trained"]
    shown = json_of(distill("show", "latest", "--json", workspace=workspace))
    assert shown["selector_label"] == shown["result"]["label"] == "Random, dynamic"
    assert [one["epoch"] for one in shown["result"]["selection"]["epochs"]] == [0, 1]
    (scores,) = shown["result"]["per_problem"].values()
    assert len(scores["problems"]) == len(scores["trained"]) == len(scores["untrained"]) == 6
    report = (Path(shown["folder"]) / "report.md").read_text(encoding="utf-8")
    assert report.startswith("# small: Random, dynamic, seed 0")
    (arm,) = json_of(distill("leaderboard", "--arms", "--json", workspace=workspace))
    assert (arm["label"], arm["seeds"], arm["seed_sd"]) == ("Random, dynamic", [0], None)
    assert arm["score"] == shown["result"]["rows"][0]["score"]


def test_skills_of_a_run_are_reported_and_inspected(tmp_path: Path, tiny_folder: Path) -> None:
    recipe = small(
        tmp_path,
        tiny_folder,
        **{"name: quality, top: 12": "name: skill_aware, top: 12", "epochs: 2": "epochs: 1\nskills: {max_tokens: 8}"},
    )
    workspace = tmp_path / "workspace"
    done = distill("run", recipe, workspace=workspace)
    assert done.returncode == 0, done.stderr
    found = json_of(distill("inspect", "latest", "--json", workspace=workspace))
    check(found)
    shown = json_of(distill("show", "latest", "--json", workspace=workspace))
    counted = shown["result"]["counts"]["selected by skill (a row has each of its skills)"]
    kept = {line["value"]: line["kept"] for line in found["composition"]["tables"]["skill"] if line["kept"]}
    assert kept == counted
    leaves = {leaf["skill"]: leaf for leaf in shown["result"]["selection"]["facts"]["leaves"]}
    total = sum(counted.values())
    assert {name: leaf["share"] for name, leaf in leaves.items() if leaf["share"]} == pytest.approx(
        {name: count / total for name, count in counted.items()}
    )
    report = (Path(shown["folder"]) / "report.md").read_text(encoding="utf-8")
    assert "| skill | right | answers | accuracy |" in report
    row = json_of(distill("inspect", "latest", found["best_kept"][0]["id"], "--json", workspace=workspace))
    assert set(row["skills"]["chains"]) <= set(leaves)
