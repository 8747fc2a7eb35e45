"""`compare`: every figure of a pair by hand, what is refused, what is warned of, and the text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from distill_app.errors import UsageError
from distill_app.reports import compare_operands, compare_text
from distill_app.reports.compare import compare
from distill_app.reports.compare_operands import Operand
from distill_app.resources import folder
from tests.evaluation.one_line import interval
from tests.reports.result_example import BASE, TRAINED, as_version_2, example

SUMS = {"sums": (["cccc", "ccww"], ["wwww", "cwww"])}
IDS = ("20260101-100000-00000a", "20260101-100001-00000b", "20260101-100002-00000c", "20260101-100003-00000d")


def operand(result: Any, *, untrained: bool = False) -> Operand:
    return Operand(result["run"], (result,), untrained)


def compared(*results: Any) -> dict[str, Any]:
    """The comparison of results, checked against the schema."""
    return checked(compare([operand(result) for result in results]))


def checked(found: dict[str, Any]) -> dict[str, Any]:
    schema = json.loads((folder("schemas") / "compare.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(json.dumps(found)), schema, jsonschema.Draft202012Validator)
    assert list(found) == list(schema["properties"])
    assert list(found["pairs"][0]) == list(schema["$defs"]["pair"]["properties"])
    return found


def test_a_pair_by_hand() -> None:
    found = compared(example("a"), example("b", trained=BASE))
    (pair,) = found["pairs"]
    # 1, 1/2, 1/4, 1/2 against 1/2, 0, 1/4, 1/4.
    differences = [0.5, 0.5, 0.0, 0.25]
    assert (pair["first_score"], pair["second_score"]) == (pytest.approx(0.5625), pytest.approx(0.25))
    assert pair["difference"] == pytest.approx(0.3125)
    assert (pair["ci_low"], pair["ci_high"]) == interval(differences, name="words")
    # 2 of the 8 sign patterns of three differences are all of one sign.
    assert (pair["p_value"], pair["p_adjusted"]) == (pytest.approx(2 / 8), pytest.approx(2 / 8))
    assert pair["ci_low"] > 0
    assert pair["finding"] == "not distinguishable", "four problems cannot have a p below 2/16"
    assert (pair["wins"], pair["losses"], pair["ties"], pair["n_problems"]) == (3, 0, 1, 4)
    assert [(one["problem"], one["first"], one["second"]) for one in pair["largest"]] == [
        ("p0", 1.0, 0.5),
        ("p1", 0.5, 0.0),
        ("p3", 0.5, 0.25),
    ]
    assert [score["score"] for score in found["scores"]] == [pytest.approx(0.5625), pytest.approx(0.25)]
    back = compared(example("b", trained=BASE), example("a"))["pairs"][0]
    assert back["difference"] == pytest.approx(-0.3125)
    assert (back["wins"], back["losses"]) == (0, 3)


def test_better_and_worse_in_words() -> None:
    strong, weak = (example(name, trained=[rows] * 8, base=None) for name, rows in (("a", "cccc"), ("b", "ccww")))
    (pair,) = compared(strong, weak)["pairs"]
    assert pair["p_value"] == pytest.approx(2 / 256)
    assert (pair["finding"], compare_text.words(pair)) == ("better", "1 better than 2")
    (pair,) = compared(weak, strong)["pairs"]
    assert (pair["finding"], compare_text.words(pair)) == ("worse", "1 worse than 2")


def test_a_run_against_itself() -> None:
    (pair,) = compared(example("a"), example("a"))["pairs"]
    assert (pair["difference"], pair["ci_low"], pair["ci_high"], pair["p_value"]) == (0.0, 0.0, 0.0, 1.0)
    assert (pair["finding"], pair["ties"], pair["largest"]) == ("not distinguishable", 4, [])


def test_only_what_both_answered_is_compared() -> None:
    found = compared(example("a"), example("b", trained=TRAINED[:3], base=BASE[:3]))
    (pair,) = found["pairs"]
    assert (pair["n_problems"], pair["only_first"], pair["only_second"]) == (3, 1, 0)
    assert (pair["first_score"], pair["difference"]) == (pytest.approx(7 / 12), 0.0)
    assert found["scores"][0]["n_problems"] == 4
    assert any(
        "1 and 2 are compared on the 3 problems that both answered; 1 have only 1" in w for w in found["warnings"]
    )


def test_an_id_that_stands_for_another_question_is_left_out() -> None:
    found = compared(example("a", questions=["x", "y", "z", "w"]), example("b", questions=["x", "y", "z", "other"]))
    (pair,) = found["pairs"]
    assert (pair["n_problems"], pair["other_question"]) == (3, 1)
    assert any("1 ids stand for another question or gold answer" in warning for warning in found["warnings"])
    with pytest.raises(UsageError, match="No two of these runs answered the same problem"):
        compared(example("a"), example("b", questions=["1", "2", "3", "4"]))


def test_the_macro_average_is_stratified_and_a_family_of_its_own() -> None:
    found = compared(example("a", others=SUMS), example("b", trained=BASE, others=SUMS))
    words, sums, macro = found["pairs"]
    assert [pair["benchmark"] for pair in found["pairs"]] == ["words", "sums", "macro"]
    assert (macro["difference"], macro["n_problems"]) == (pytest.approx(0.3125 / 2), 6)
    assert macro["benchmarks"] == ["words", "sums"]
    assert macro["first_score"] == pytest.approx((0.5625 + 0.75) / 2)
    assert (words["p_value"], sums["p_value"], macro["p_value"]) == (pytest.approx(1 / 4), 1.0, pytest.approx(1 / 4))
    # Two benchmarks are one family; the macro average is alone.
    assert (words["p_adjusted"], macro["p_adjusted"]) == (pytest.approx(1 / 2), pytest.approx(1 / 4))
    assert macro["ci_high"] - macro["ci_low"] == pytest.approx((words["ci_high"] - words["ci_low"]) / 2)
    assert macro["largest"] == []


def test_several_runs_are_corrected_after_holm() -> None:
    rows = {"a": ["cccc"] * 8, "b": [*["ccww"] * 6, "cccc", "cccc"], "c": ["wwww"] * 8}
    found = compared(*(example(name, trained=given, base=None) for name, given in rows.items()))
    by_pair = {(pair["first"], pair["second"]): pair for pair in found["pairs"]}
    assert [by_pair[key]["p_value"] for key in ((1, 2), (1, 3), (2, 3))] == pytest.approx([2 / 64, 2 / 256, 2 / 256])
    assert by_pair[1, 3]["p_adjusted"] == pytest.approx(3 * 2 / 256)
    assert by_pair[2, 3]["p_adjusted"] == pytest.approx(3 * 2 / 256), "never below a smaller one: 2 * 2/256 is"
    assert by_pair[1, 2]["p_adjusted"] == pytest.approx(2 / 64)
    assert "all pairs and benchmarks" in found["family"]


def test_clusters_widen_the_difference() -> None:
    alone = compared(example("a"), example("b", trained=BASE))["pairs"][0]
    together = [example(name, trained=rows, clusters=list("xxyy")) for name, rows in (("a", TRAINED), ("b", BASE))]
    pair = compared(*together)["pairs"][0]
    assert (alone["n_clusters"], pair["n_clusters"]) == (None, 2)
    assert pair["p_value"] == pytest.approx(2 / 4), "two clusters, both better: 2 of 4 patterns"
    # Cluster sums around 5/16: 3/8 and -3/8; 2 times their squares, over 4 squared.
    assert pair["se"] == pytest.approx((2 * 2 * (3 / 8) ** 2 / 16) ** 0.5)


def test_another_k_is_refused() -> None:
    longer = example("b")
    longer["per_problem"]["words"]["metric"] = "avg@8"
    with pytest.raises(UsageError, match=r"a has avg@4 on words and b has avg@8.*--set evaluation.samples=8"):
        compared(example("a"), longer)


def test_too_few_and_too_old_are_refused() -> None:
    with pytest.raises(UsageError, match="takes two runs or more"):
        compared(example("a"))
    old = dict(example("old"))
    del old["per_problem"]  # type: ignore[misc]
    with pytest.raises(UsageError, match="old was reported by an earlier version, without its scores by problem"):
        compared(example("a"), old)
    with pytest.raises(UsageError, match="no measurement of the untrained student on words"):
        compare([operand(example("a")), operand(example("b", base=None), untrained=True)])


def test_version_2_is_compared_and_what_it_lacks_is_said() -> None:
    found = compared(example("a"), as_version_2(example("b", trained=BASE)))
    assert found["pairs"][0]["difference"] == pytest.approx(0.3125)
    assert any(warning.startswith("Reported by an earlier version: 2.") for warning in found["warnings"])


def test_settings_that_differ_are_listed_and_those_of_the_evaluation_warned_of() -> None:
    def settings(selector: str, temperature: float, seed: int) -> dict[str, Any]:
        return {
            "selector": {"name": selector, "top": "10%"},
            "label": selector,
            "student": "s",
            "training_dtype": f"float32 (measured {temperature})",
            "evaluation": {"temperature": temperature, "seed": seed, "k": [seed + 1], "max_tokens": 64},
        }

    a, b = example("a", settings=settings("car", 0.6, 0)), example("b", settings=settings("random", 1.0, 1))
    found = compared(a, b)
    assert {entry["name"]: entry["values"] for entry in found["settings"]} == {
        "selector.name": ["car", "random"],
        "evaluation.temperature": [0.6, 1.0],
        "evaluation.seed": [0, 1],
        "evaluation.k": [[1], [2]],
    }
    assert [warning for warning in found["warnings"] if "same measurement" in warning] == [
        "evaluation.temperature differs (0.6, 1.0): this is not the same measurement, and a difference may come from "
        "it alone."
    ]
    base = checked(compare([operand(a), operand(a, untrained=True)]))
    assert (base["settings"], base["warnings"]) == ([], [])
    assert base["pairs"][0]["difference"] == pytest.approx(0.3125)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Two seeds of an arm, a run of another, and one that has not finished."""
    arms = ("quality", "quality", "random")
    for place, (name, arm) in enumerate(zip(IDS, arms, strict=False)):
        result = example(name, trained=BASE if arm == "random" else TRAINED, selector=arm, arm=arm, seed=place)
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "result.json").write_text(json.dumps(result), encoding="utf-8")
    (tmp_path / "runs" / IDS[3]).mkdir()
    return tmp_path


def test_operands_by_name(workspace: Path) -> None:
    found = compare_operands.runs(workspace, ["00000a", "00000c", "00000c:base", "base"])
    assert [one.name for one in found] == [
        "Quality, seed 0",
        "Random, seed 2",
        "Untrained, of 00000c",
        "Untrained, of 00000a",
    ]
    pairs = {(pair["first"], pair["second"]): pair for pair in checked(compare(found))["pairs"]}
    assert pairs[1, 4]["difference"] == pytest.approx(0.3125)
    assert pairs[3, 4]["difference"] == 0.0
    with pytest.raises(UsageError, match=r"00000d has no result yet: it is lost"):
        compare_operands.runs(workspace, ["00000a", "00000d"])
    with pytest.raises(UsageError, match="There is no run 'nothing'"):
        compare_operands.runs(workspace, ["nothing"])
    with pytest.raises(UsageError, match="the untrained student of the first run named"):
        compare_operands.runs(workspace, ["base", "00000a"])


def test_whole_arms(workspace: Path) -> None:
    every = compare_operands.whole_arms(workspace, [])
    assert [one.name for one in every] == ["Quality, seeds 0, 1", "Random, seed 2"]
    named = compare_operands.whole_arms(workspace, ["00000b", "00000c", "base"])
    assert [one.name for one in named] == ["Quality, seeds 0, 1", "Random, seed 2", "Untrained, of 00000a"]
    found = checked(compare(named))
    assert found["operands"][0]["runs"] == [IDS[0], IDS[1]]
    with pytest.raises(UsageError, match="Two of the runs named are of one arm: Quality, seeds 0, 1"):
        compare_operands.whole_arms(workspace, ["00000a", "00000b"])


def test_seeds_of_an_arm_are_averaged_by_problem() -> None:
    arm = Operand("arm", (example("a"), example("b", trained=BASE, seed=4)))
    (pair,) = checked(compare([arm, operand(example("c", trained=BASE))]))["pairs"]
    # Half of each difference of the first seed, nothing of the second.
    assert pair["difference"] == pytest.approx(0.3125 / 2)
    assert (pair["largest"][0]["problem"], pair["largest"][0]["first"]) == ("p0", pytest.approx(0.75))


def test_the_text_says_it_all_within_100_columns() -> None:
    long = "a selector with quite a long label, dynamic, of an inferred form"
    a = example("20260101-100000-00000a", label=long, others=SUMS, settings={"selector": {"name": "x" * 90}})
    b = example("[b]b[/b]", trained=BASE, others=SUMS, settings={"selector": {"name": "y"}})
    text = compare_text.as_text(compared(a, b))
    assert max(map(len, text.splitlines())) <= 100
    assert "+31.2 [" in text
    assert "0.25" in text
    assert "3/0/1" in text
    assert "b[/b]" in text
    assert "selector.name: " + "x" * 29 + "... | y" in text
    table = text[text.index("won/lost/tied") :]
    assert table.index("words ") < table.index("sums ") < table.index("macro ")
    assert "Holm" in text
    assert "100.0  50.0  p0" in text
    assert "No setting differs" in compare_text.as_text(compared(example("a"), example("b")))


def test_p_values_are_never_written_as_0() -> None:
    assert [compare_text.p_text(p) for p in (1.0, 0.25, 0.0995, 0.031, 1 / 10_001)] == [
        "1.00",
        "0.25",
        "0.10",
        "0.031",
        "0.0001",
    ]
