"""Arms: seeds averaged by problem, compared in pairs, with every number worked out by hand."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from distill_app.reports import arms, arms_text
from distill_app.reports.board import text as board_text
from distill_app.resources import folder
from tests.evaluation.one_line import interval
from tests.reports.result_example import BASE, as_version_2, example

WEAK = ["cwww", "cwww", "wwww", "cwww"]
STRONG = ["cccc", "cccc", "ccww", "cccc"]
OTHER = ["ccww", "cccc", "ccww", "ccww"]


def run(name: str, trained: list[str], *, arm: str, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """A result with avg@4 of 1/4, 1/4, 0, 1/4 for WEAK; 1, 1, 1/2, 1 for STRONG; 1/2, 1, 1/2, 1/2 for OTHER."""
    return dict(example(name, trained=trained, arm=arm, seed=seed, **{"setting": "same", **changes}))


def board() -> list[dict[str, Any]]:
    return [
        run("r0", WEAK, arm="random", selector="random", label="Random"),
        run("r1", BASE, arm="random", selector="random", label="Random", seed=1),
        run("d0", STRONG, arm="dmc", selector="dmc", label="DMC (inferred form)"),
        run("d1", OTHER, arm="dmc", selector="dmc", label="DMC (inferred form)", seed=1),
        run("q0", OTHER, arm="quality", selector="quality", label="Quality"),
    ]


def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder("schemas") / "leaderboard.schema.json").read_text(encoding="utf-8"))
    return loaded["$defs"]["arm"]  # type: ignore[no-any-return]


def test_seeds_are_averaged_by_problem_first() -> None:
    found = {row["arm"]: row for row in arms.arms(board())}
    dmc = found["dmc"]
    assert (dmc["seeds"], dmc["runs"], dmc["metric"], dmc["n_problems"]) == ([0, 1], ["d0", "d1"], "avg@4", 4)
    # Problems 1, 1, 1/2, 1 and 1/2, 1, 1/2, 1/2: means 3/4, 1, 1/2, 3/4; before training 1/2, 0, 1/4, 1/4.
    assert dmc["score"] == pytest.approx(0.75)
    assert (dmc["ci_low"], dmc["ci_high"]) == interval([0.75, 1.0, 0.5, 0.75], name="words")
    assert dmc["base_score"] == pytest.approx(0.25)
    assert dmc["gain"] == pytest.approx(0.5)
    assert (dmc["gain_ci_low"], dmc["gain_ci_high"]) == interval([0.25, 1.0, 0.25, 0.5], name="words")
    # Seeds score 7/8 and 5/8: standard deviation of two is their distance over the root of 2.
    assert dmc["seed_scores"] == pytest.approx([0.875, 0.625])
    assert dmc["seed_sd"] == pytest.approx(0.25 / 2**0.5)
    assert (found["quality"]["seed_scores"], found["quality"]["seed_sd"]) == ([0.625], None)
    assert (dmc["truncated"], dmc["no_answer"]) == (0.25, 0.0)
    # Of the sixteen answers of random's second seed four have no answer, of its first none.
    assert found["random"]["no_answer"] == pytest.approx((0 + 4 / 16) / 2)


def test_minus_random_is_paired_with_the_arm_that_is_otherwise_the_same() -> None:
    found = {row["arm"]: row for row in arms.arms(board())}
    # Random: problems 1/4, 1/4, 0, 1/4 and 1/2, 0, 1/4, 1/4, so 3/8, 1/8, 1/8, 1/4.
    differences = [0.75 - 0.375, 1.0 - 0.125, 0.5 - 0.125, 0.75 - 0.25]
    dmc = found["dmc"]
    assert dmc["minus_random"] == pytest.approx(sum(differences) / 4)
    assert (dmc["minus_random_p"], dmc["gain_p"]) == (pytest.approx(2 / 16), pytest.approx(2 / 16))
    assert (dmc["minus_random_ci_low"], dmc["minus_random_ci_high"]) == interval(differences, name="words")
    assert dmc["random_arm"] == "random"
    assert (found["random"]["minus_random"], found["random"]["random_arm"]) == (None, None)
    others = [
        run("x", STRONG, arm="x", setting="other top", label="Quality", selector="quality"),
        run("y", WEAK, arm="y", selector="random", label="Random, dynamic", dynamic=True),
    ]
    found = {row["arm"]: row for row in arms.arms([*board(), *others])}
    assert found["x"]["minus_random"] is None, "trained on another number of rows"
    assert found["y"]["random_arm"] == "random", "dynamic random has static random to compare with"
    assert found["dmc"]["random_arm"] == "random", "a static arm is compared with static random"
    both = [*board(), others[1], run("e", STRONG, arm="e", selector="dmc", label="DMC, dynamic", dynamic=True)]
    fresh = {row["arm"]: row for row in arms.arms(both)}["e"]
    # WEAK has 1/4, 1/4, 0, 1/4; STRONG 1, 1, 1/2, 1.
    assert (fresh["random_arm"], fresh["minus_random"]) == ("y", pytest.approx((0.75 + 0.75 + 0.5 + 0.75) / 4))
    only_dynamic = arms.arms([others[1], board()[2]])
    assert [row["minus_random"] for row in only_dynamic] == [None, None]


def test_standing_says_below_only_where_interval_and_adjusted_p_say_so() -> None:
    found = {row["arm"]: row for row in arms.arms(board())}
    assert found["dmc"]["standing"] == "best"
    assert found["dmc"]["minus_best_p"] is None
    # Quality less DMC by problem: -1/4, 0, 0, -1/4. A resample of the two zeros alone is one in sixteen.
    assert found["quality"]["minus_best"] == pytest.approx(-0.125)
    assert found["quality"]["minus_best_ci_high"] == 0.0
    # Random less DMC is negative at every problem: 2 of 16 sign patterns are as far from 0. Of two p-values 1/8 is the
    # smaller and doubled; Quality's, 2 of the 4 patterns of its two differences, is 1/2.
    assert found["random"]["minus_best_ci_high"] < 0  # type: ignore[operator]
    assert found["random"]["minus_best_p"] == pytest.approx(2 * 2 / 16)
    assert found["quality"]["minus_best_p"] == pytest.approx(1 / 2)
    assert {found[arm]["standing"] for arm in ("random", "quality")} == {"within noise of the best"}
    # With each problem twice it is 2 of 256 patterns, doubled.
    twice = [run(name, [*rows, *rows], arm=name, base=[*BASE, *BASE]) for name, rows in (("s", STRONG), ("o", OTHER))]
    twice.append(run("w", [*WEAK, *WEAK], arm="w", base=[*BASE, *BASE]))
    found = {row["arm"]: row for row in arms.arms(twice)}
    assert found["w"]["minus_best_p"] == pytest.approx(2 * 2 / 256)
    assert [found[arm]["standing"] for arm in ("s", "o", "w")] == [
        "best",
        "within noise of the best",
        "below the best",
    ]


def test_the_macro_average_is_the_mean_of_the_benchmarks() -> None:
    given = [
        run("a0", STRONG, arm="a", others={"sums": (["cccc", "ccww"], ["wwww"] * 2)}),
        run("a1", OTHER, arm="a", seed=1, others={"sums": (["cccc", "wwww"], ["wwww"] * 2)}),
    ]
    rows = arms.arms(given)
    assert [row["benchmark"] for row in rows] == ["sums", "words", "macro"]
    macro = rows[-1]
    # words: 0.75 over seeds; sums: problems 1 and 1/4, so 0.625. Before: 0.25 and 0.
    assert macro["score"] == pytest.approx((0.75 + 0.625) / 2)
    assert macro["gain"] == pytest.approx((0.5 + 0.625) / 2)
    assert macro["seed_scores"] == pytest.approx([(0.875 + 0.75) / 2, (0.625 + 0.5) / 2])
    assert macro["n_problems"] == 6
    assert macro["ci_low"] is not None
    for row in rows:
        jsonschema.validate(json.loads(json.dumps(row)), schema())


def test_arms_stand_together_where_they_can_be_compared() -> None:
    hotter = run("h", STRONG, arm="h", settings={"evaluation": {"temperature": 1.0}})
    shorter = run("s", STRONG[:3], arm="s", base=BASE[:3])
    rows = arms.arms([*board(), hotter, shorter])
    assert {row["arm"] for row in rows if row["standing"] == "best"} == {"dmc", "h", "s"}
    assert [row["arm"] for row in rows if row["n_problems"] == 3] == ["s"]


def test_of_two_runs_with_one_seed_the_later_counts() -> None:
    (row,) = arms.arms([run("old", WEAK, arm="a"), run("new", STRONG, arm="a")])
    assert (row["runs"], row["seeds"], row["score"]) == (["new"], [0], 0.875)


def test_arms_of_one_label_are_told_apart_by_what_differs() -> None:
    def settings(tau: int) -> dict[str, Any]:
        return {"selector": {"name": "skill_aware", "tau": tau}, "epochs": 2, "label": f"selector.tau={tau}"}

    given = [run(f"r{tau}", WEAK, arm=f"a{tau}", settings=settings(tau)) for tau in (1, 2)]
    assert [row["differs"] for row in arms.arms(given)] == [{"selector.tau": 1}, {"selector.tau": 2}]
    same = [run(f"r{arm}", WEAK, arm=arm, settings=settings(1)) for arm in ("a", "b")]
    assert [row["differs"] for row in arms.arms(same)] == [{"arm": "a"}, {"arm": "b"}]
    assert [row["differs"] for row in arms.arms(board())] == [{}, {}, {}]


def test_one_problem_and_no_base() -> None:
    one, other = run("a", ["cccc"], arm="a", base=None), run("b", ["ccww"], arm="b", base=None)
    best, behind = arms.arms([one, other])
    assert (best["ci_low"], best["gain"], best["base_score"]) == (None, None, None)
    assert (behind["minus_best"], behind["standing"]) == (-0.5, "within noise of the best")
    jsonschema.validate([best, behind], {"items": schema()})


def test_json_is_what_the_schema_says() -> None:
    rows = arms.arms(board())
    jsonschema.Draft202012Validator.check_schema(schema())
    for row in rows:
        jsonschema.validate(json.loads(json.dumps(row)), schema(), jsonschema.Draft202012Validator)
        assert list(row) == list(schema()["properties"]) == list(arms.ArmRow.__annotations__)


def test_the_table_says_it_all_within_100_columns() -> None:
    text = arms_text.as_text(arms.arms(board()))
    assert max(map(len, text.splitlines())) <= 100
    flat = " ".join(text.split())
    assert "75.0 [" in flat
    assert "62.5..87.5" in text
    assert "+53.1 [+37.5, +75.0]" in text
    assert "SD 17.7" in text
    assert "2 seeds" in text
    assert "no spread" in text
    assert "cut/none/time" in text
    assert text.count("Untrained") == 1
    assert text.index("DMC (inferred form)") < text.index("Quality") < text.index("Random")
    assert "dmc" not in text
    # Random's gain is -1/32, its interval covers 0: nothing is called worse.
    lines = text[text.index("Random ") :]
    assert "not distinguishable" in lines
    assert "better" not in lines


def test_what_is_shown_unasked() -> None:
    runs = board()
    assert "Arms:" not in board_text(runs[:1])
    few = board_text(runs)
    assert few.index("Arms:") < few.index("pass@2")
    many = board_text([*runs, run("m0", WEAK, arm="m"), run("m1", WEAK, arm="m", seed=1)])
    assert "pass@2" not in many
    assert "7 runs, each by itself with pass@k and maj@k: distill-app leaderboard --runs" in many
    assert "pass@2" not in board_text(runs, with_arms=True)
    assert "Arms:" not in board_text(runs, with_runs=True)
    assert "No finished runs yet" in board_text([])


def test_results_of_an_earlier_version_are_runs_and_no_arm() -> None:
    new = board()
    old = json.loads(json.dumps(new[0]))
    for key in ("label", "arm", "setting", "per_problem", "selection"):
        del old[key]
    for row in (*old["rows"], *old["base_rows"]):
        del row["label"]
    assert len(arms.arms([old])) == 0
    assert "random, seed 0" in board_text([old])
    text = board_text([old, *new[2:]])
    assert "1 runs of an earlier version" in text


def test_results_of_version_2_are_arms_of_their_own() -> None:
    old = as_version_2(board()[0])
    assert [row["score"] for row in arms.arms([old])] == [pytest.approx(0.1875)]
    text = board_text([old, *board()[2:]])
    assert "1 runs were reported by an earlier version and stand apart" in text
    assert "stand apart" not in board_text([old])
    assert [row["standing"] for row in arms.arms([old, board()[2]])] == ["best", "best"]
