"""Benchmarks by name: what each stands for, from a hub data set of its shape and from the real files."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from distill_app.errors import StageError
from distill_app.evaluation import grading
from distill_app.problems import benchmarks, sources
from distill_app.recipe.model import ProblemFields, ProblemSource
from tests.problems.benchmark_files import file, named

COUNTS = {
    "gsm8k": 1319, "math500": 500, "math_l5": 134, "aime2024": 30, "aime2025": 30, "amc23": 40, "olympiadbench": 674,
    "minerva_math": 272, "arc_challenge": 1172, "commonsenseqa": 1221, "strategyqa": 687,
}  # fmt: skip


def test_each_is_a_hub_data_set_at_one_commit_with_recipe_keys_only() -> None:
    assert benchmarks.names() == ("word_problems", *COUNTS)
    for name, problems in COUNTS.items():
        entry, about = benchmarks.entry(name), benchmarks.about(name)
        assert set(entry) <= set(ProblemSource.__dataclass_fields__)
        assert set(entry["fields"]) <= set(ProblemFields.__dataclass_fields__)
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry["dataset"])
        assert re.fullmatch(r"[0-9a-f]{40}", entry["revision"])
        assert about["problems"] == problems
        assert set(about) == {"title", "problems", "licence", "source", "notes"}
        commit = f"hub:{entry['dataset']}@{entry['revision']}"
        assert sources.content_id(named(name)) == commit, "the plan asks nobody"


def test_a_plan_knows_how_many_problems_there_will_be() -> None:
    assert {name: sources.rows_at_most(named(name)) for name in COUNTS} == COUNTS
    assert sources.rows_at_most(named("math500", limit=20)) == 20
    assert sources.rows_at_most(named("aime2025", limit=90)) == 30
    assert sources.rows_at_most(named("math500", where={"level": 4})) is None


def test_an_entry_is_a_copy() -> None:
    benchmarks.entry("gsm8k")["fields"]["question"] = "changed"
    assert benchmarks.entry("gsm8k")["fields"]["question"] == "question"


def test_what_is_given_goes_before_what_the_name_stands_for() -> None:
    own = benchmarks.entry("math_l5")
    assert benchmarks.expand("math_l5", {}) == {"name": "math_l5", **own}
    changed = benchmarks.expand(
        "math_l5", {"name": "math_l5", "where": {"level": [4, 5]}, "fields": {"id": None}, "limit": 3}
    )
    assert changed == {
        "name": "math_l5", **own, "where": {"level": [4, 5]}, "limit": 3,
        "fields": {"id": None, "question": "problem", "answer": "answer"},
    }  # fmt: skip
    assert benchmarks.expand("gsm8k", {"dataset": "openai/gsm8k", "split": "train"})["answer_after"] == "####"


def test_a_file_has_columns_of_its_own_and_keeps_what_the_benchmark_is() -> None:
    plain = {"id": "id", "question": "question", "answer": "answer"}
    assert benchmarks.expand("gsm8k", {"dataset": "jsonl:x.jsonl"}) == {
        "name": "gsm8k", "dataset": "jsonl:x.jsonl", "kind": "number", "fields": plain,
    }  # fmt: skip
    assert benchmarks.expand("math_l5", {"dataset": "parquet:x.parquet", "fields": {"answer": "gold"}}) == {
        "name": "math_l5", "dataset": "parquet:x.parquet", "where": {"level": 5}, "fields": {**plain, "answer": "gold"},
    }  # fmt: skip
    assert benchmarks.expand("arc_challenge", {"dataset": "jsonl:x"})["fields"] == {**plain, "choices": "choices"}
    assert benchmarks.expand("olympiadbench", {"dataset": "jsonl:x"})["fields"] == {**plain, "tolerance": "error"}


def test_another_data_set_under_a_known_name_has_its_own_columns() -> None:
    assert benchmarks.expand("amc23", {"dataset": "zwhe99/amc23"}) == {
        "name": "amc23", "dataset": "zwhe99/amc23", "kind": "integer",
    }  # fmt: skip
    for name, given in (
        ("gsm8k", {"dataset": "builtin:word_problems"}),
        ("word_problems", {"dataset": "jsonl:x", "limit": 2}),
        ("mine", {"dataset": "jsonl:x"}),
        ("gsm8k", {"dataset": 5}),
    ):
        assert benchmarks.expand(name, given) == {"name": name, **given}


def test_the_built_in_problems_are_a_name_too() -> None:
    assert benchmarks.expand("word_problems", {"limit": 80}) == {
        "name": "word_problems", "dataset": "builtin:word_problems", "limit": 80,
    }  # fmt: skip
    assert benchmarks.about("word_problems")["problems"] is None
    assert benchmarks.remark("word_problems", named("word_problems"), 400) is None


ARC = {"id": "Mercury_1", "question": "Which?", "answerKey": "2", "choices": {"text": ["x", "y"], "label": ["1", "2"]}}
HUB: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str, str, str, float | None]]]] = {
    "gsm8k": (
        [{"question": "How many?", "answer": "2*5=<<2*5=10>>10\n#### 1,080"}],
        [("row-000001", "How many?", "1,080", "number", None)],
    ),
    "math500": (
        [{"problem": "Find $x$.", "solution": "s", "answer": "\\frac{1}{2}", "subject": "Algebra", "level": 1,
          "unique_id": "test/algebra/1.json"}],
        [("test/algebra/1.json", "Find $x$.", "\\frac{1}{2}", "auto", None)],
    ),
    "math_l5": (
        [{"problem": f"Level {n}?", "answer": str(n), "level": n, "unique_id": f"u{n}"} for n in (4, 5)],
        [("u5", "Level 5?", "5", "auto", None)],
    ),
    "aime2024": (
        [{"id": 60, "problem": "Find.", "solution": "s", "answer": "073", "url": "u", "year": "2024"}],
        [("60", "Find.", "73", "integer", None)],
    ),
    "aime2025": ([{"problem": "Find.", "answer": "588", "id": "1"}], [("1", "Find.", "588", "integer", None)]),
    "amc23": ([{"id": 3, "answer": 27.0, "url": "u", "question": "Far?"}], [("3", "Far?", "27", "integer", None)]),
    "olympiadbench": (
        [
            {"id": 1606, "question": "Moves?", "final_answer": ["2"], "is_multiple_answer": False, "error": None},
            {"id": 2592, "question": "Sine?", "final_answer": ["4.2"], "is_multiple_answer": False, "error": "1e-1"},
            {"id": 1735, "question": "All?", "final_answer": ["1,2"], "is_multiple_answer": True, "error": None},
        ],
        [("1606", "Moves?", "2", "auto", None), ("2592", "Sine?", "4.2", "number", 0.1),
         ("1735", "All?", "1,2", "auto", None)],
    ),
    "minerva_math": (
        [{"question": "How high?", "answer": "7.0e-6"}],
        [("row-000001", "How high?", "7.0e-6", "auto", None)],
    ),
    "arc_challenge": ([ARC], [("Mercury_1", "Which?\nA) x\nB) y", "B", "choice", None)]),
    "commonsenseqa": (
        [{**ARC, "question_concept": "c", "choices": {"label": ["A", "B"], "text": ["x", "x"]}, "answerKey": "A"}],
        [("Mercury_1", "Which?\nA) x\nB) x", "A", "choice", None)],
    ),
    "strategyqa": (
        [{"qid": "q1", "question": "Could it?", "answer": False}, {"qid": "q2", "question": "So?", "answer": True}],
        [("q1", "Could it?", "no", "yes_no", None), ("q2", "So?", "yes", "yes_no", None)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_read_from_a_data_set_of_the_hubs_shape(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set's library reads a folder as it reads a repository: configs, splits and column types are its own."""
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows, expected = HUB[name]
    entry = benchmarks.entry(name)
    config, split = entry.get("config", "default"), entry["split"]
    for folder, part in ((config, split), ("other", "train")):
        (tmp_path / "set" / folder).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "set" / folder / f"{part}.parquet")
    files = f"data_files:\n  - split: {split}\n    path: {config}/{split}.parquet"
    (tmp_path / "set" / "README.md").write_text(f"---\nconfigs:\n- config_name: {config}\n  {files}\n---\n")
    read = sources.read(dataclasses.replace(named(name), dataset=str(tmp_path / "set")))
    assert [(p.id, p.question, p.answer, p.kind, p.tolerance) for p in read.problems] == expected
    assert read.left_out == len(rows) - len(expected)


FILES = [
    ("gsm8k", "gsm8k_test.jsonl", 1000, "number"),
    ("math500", "math500.jsonl", 500, "auto"),
    ("math_l5", "math500.jsonl", 134, "auto"),
    ("aime2024", "aime2024.jsonl", 30, "integer"),
    ("aime2025", "aime2025.jsonl", 30, "integer"),
    ("amc23", "amc23.jsonl", 40, "integer"),
    ("olympiadbench", "olympiadbench_math_en_oe.jsonl", 675, "auto"),
    ("minerva_math", "minerva_math.jsonl", 272, "auto"),
    ("arc_challenge", "arc_challenge_test.jsonl", 1172, "choice"),
    ("mine", "math_test_rest.jsonl.gz", 4500, "auto"),
    ("mine", "math_train_answers.jsonl.gz", 7472, "auto"),
    ("mine", "reasoning_gym_sample.jsonl", 310, "auto"),
]


@pytest.mark.parametrize(("name", "path", "count", "kind"), FILES)
def test_read_from_the_real_file(name: str, path: str, count: int, kind: str) -> None:
    given = {"fields": {"id": "id"}} if name == "mine" else {}
    chosen = named(name, dataset=f"jsonl:{file(path)}", **given)
    read = sources.read(chosen)
    assert len(read.problems) == count
    assert [p.kind for p in read.problems].count(kind) >= count - 1, "one of OlympiadBench has a tolerance"
    assert (benchmarks.remark(name, chosen, count) is None) == (name not in COUNTS or count == COUNTS[name])


def test_one_real_problem_has_a_tolerance_and_all_arc_questions_have_letters() -> None:
    olympiad = sources.read(named("olympiadbench", dataset=f"jsonl:{file('olympiadbench_math_en_oe.jsonl')}")).problems
    assert [(p.id, p.answer, p.kind, p.tolerance) for p in olympiad if p.tolerance is not None] == [
        ("olympiadbench-2592", "4.2", "number", 0.1)
    ]
    arc = sources.read(named("arc_challenge", dataset=f"jsonl:{file('arc_challenge_test.jsonl')}")).problems
    assert arc[0].question.startswith("An astronomer observes that a planet rotates faster after a meteorite impact.")
    assert arc[0].question.split("\n")[1:] == [
        "A) Planetary density will decrease.", "B) Planetary years will become longer.",
        "C) Planetary days will become shorter.", "D) Planetary gravity will become stronger.",
    ]  # fmt: skip
    assert arc[0].answer == "C"
    assert Counter(p.question.count("\n") for p in arc if "\nA) " in p.question) == {4: 1165, 3: 4, 5: 3}
    assert Counter(p.answer for p in arc) == {"A": 266, "B": 311, "C": 310, "D": 285}


NOT_UNDERSTOOD = {"olympiadbench-2045"}
"""Published with a slip of the pen: `$t(0,4]$`, for t in (0, 4]."""


@pytest.mark.parametrize(
    ("name", "path"), [(name, path) for name, path, *_ in FILES if name in COUNTS and name != "math_l5"]
)
def test_gold_answers_verify_against_themselves(name: str, path: str) -> None:
    problems = sources.read(named(name, dataset=f"jsonl:{file(path)}")).problems
    try:
        grading.check_golds(problems, workers=1, limit_seconds=20)
    except StageError as error:
        found = set(re.findall(r"^  ([\w-]+): ", error.message, re.MULTILINE))
        assert found
        assert found <= NOT_UNDERSTOOD


def test_a_part_of_a_benchmark_is_said_unless_it_was_asked_for() -> None:
    whole = named("math_l5")
    said = benchmarks.remark("math_l5", whole, 130)
    assert said is not None
    assert said.startswith("math_l5 has 130 problems here, and 134 as it was published")
    assert benchmarks.remark("math_l5", whole, 134) is None
    assert benchmarks.remark("math_l5", dataclasses.replace(whole, limit=5), 5) is None
    assert benchmarks.remark("math_l5", dataclasses.replace(whole, where={"level": 4}), 128) is None
    assert benchmarks.remark("mine", whole, 130) is None


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("math500", "id, question and answer"),
        ("math_l5", "id, question, answer and level"),
        ("commonsenseqa", "id, question, answer and choices"),
        ("olympiadbench", "id, question, answer and error"),
    ],
)
def test_without_a_hub_the_message_says_which_file_would_serve(
    name: str, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(StageError) as caught:
        sources.read(named(name))
    assert "could not be read from the hub (ConnectionError: " in caught.value.message
    assert f"{{name: {name}, dataset: jsonl:FILE}}, where FILE has the columns {columns}." in caught.value.hint


def test_a_benchmark_without_answers_names_file_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "aime.jsonl"
    path.write_text(json.dumps({"id": "1", "question": "Find.", "answer": None}) + "\n")
    with pytest.raises(StageError, match=r"aime\.jsonl, line 1: column 'answer' holds a null, not text"):
        sources.read(named("aime2024", dataset=f"jsonl:{path}"))
    path.write_text(json.dumps({"id": "1", "question": "Find."}) + "\n")
    with pytest.raises(StageError, match=r"aime\.jsonl, line 1: there is no column 'answer'"):
        sources.read(named("aime2024", dataset=f"jsonl:{path}"))
