"""Licences as recorded, and "unknown" for the rest; private.public; what is inferred, in the schemas' words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distill_app.export import inferred, licences, model_card, private, sections
from distill_app.export.finished import Finished
from distill_app.export.licences import Ingredient
from distill_app.export.sections import Repos
from distill_app.recipe.resolve import load_arms
from tests.recipes import small
from tests.reports.result_example import example

COMMIT = "a" * 40


def run(tmp_path: Path, *sets: str, content: str = "sha256:x", capability: Any = None) -> Finished:
    """A finished run as an export reads it, by its resolved recipe; no artifact behind it."""
    file = small(tmp_path, "builtin:smollm2-135m-instruct", **{"samples: 4": "samples: 4\n  temperature: 0.6"})
    (arm,) = load_arms(str(file), list(sets))
    train, trained = Path("train"), Path("trained")
    facts = {"template": "t" * 64, "device": "cpu", "dtype": "float32"}
    manifests: dict[Path, Any] = {
        train: {"options": {"student": {"content": content}}, "facts": facts, "made_by": "distill-app 0"},
        trained: {"facts": facts},
    }
    name = arm.resolved["selector"]["name"]
    result = {**example(run="20260101-000000-abcdef", selector=name, label=name)}
    result["counts"] = {"selected by augmentation": {"rephrase": 3}}
    result["selection"] = {**result["selection"], "capability": capability}
    benchmarks = [entry["name"] for entry in arm.resolved["evaluation"]["benchmarks"]]
    result["rows"] = [{**row, "benchmark": benchmarks[0]} for row in result["rows"]]
    return Finished(
        "20260101-000000-abcdef", result, arm.resolved, {}, {"train": (train,), "trained": (trained,)}, manifests, True
    )


def card(given: Finished, merged: str | None = None, repos: Repos = Repos()) -> str:
    return model_card.render(
        given,
        merged=merged,
        into_weights=licences.of_training(given),
        benchmarks=licences.of_evaluation(given),
        repos=repos,
    )


def test_what_travels_with_the_program_is_apache_throughout(tmp_path: Path) -> None:
    given = run(tmp_path)
    found = licences.of_training(given)
    assert [each.part for each in found] == ["student", "teacher worked", "problems of the pool"]
    assert {each.identifier for each in found} == {"apache-2.0"}
    assert licences.common([*found, *licences.of_evaluation(given)]) == "apache-2.0"
    text = card(given)
    assert "license: apache-2.0\n" in text
    assert "base_model: HuggingFaceTB/SmolLM2-135M-Instruct\n" in text


def test_benchmarks_are_on_record_by_name_and_a_copy_says_so(tmp_path: Path) -> None:
    (tmp_path / "aime.jsonl").write_text('{"id": "1", "question": "q", "answer": "1"}\n')
    (tmp_path / "own.jsonl").write_text('{"id": "1", "question": "q", "answer": "1"}\n')
    copy, mine = (f"jsonl:{tmp_path / name}" for name in ("aime.jsonl", "own.jsonl"))
    named = f"[math500, {{name: aime2024, dataset: '{copy}'}}, {{name: own, dataset: '{mine}'}}]"
    given = run(tmp_path, f"evaluation.benchmarks={named}")
    math, aime, own = licences.of_evaluation(given)
    assert (math.name, math.licence, math.identifier) == (
        "math500 (HuggingFaceH4/MATH-500)", "MIT (MATH, PRM800K)", "mit",
    )  # fmt: skip
    assert aime.name == "aime2024, from jsonl:aime.jsonl"
    assert aime.licence == "problems (c) MAA, as published on AoPS"
    assert aime.identifier is None
    assert (own.name, own.licence) == ("jsonl:own.jsonl", None)
    assert licences.common([math, aime]) is None
    table = sections.licences([math, own])
    assert "| benchmark | jsonl:own.jsonl | unknown: look before you share |" in table
    assert licences.unknown([math, own, own]) == ["benchmark jsonl:own.jsonl"]


def teacher(**entry: Any) -> Ingredient:
    base = {"name": "t", "revision": None, "dataset": None, "path": None}
    return licences._teacher({**base, **entry})


def test_a_servers_model_and_traces_of_unknown_origin_are_not_guessed_at() -> None:
    served = teacher(backend="openai", model="gpt-4.1", base_url="https://api.openai.com/v1")
    assert (served.name, served.licence) == ("gpt-4.1 at api.openai.com", None)
    assert "terms" in served.where
    files = teacher(backend="traces", path=["/home/me/secret/a.jsonl", "/home/me/b.jsonl"])
    assert (files.name, files.licence) == ("a.jsonl, b.jsonl", None)
    assert teacher(backend="traces", dataset="openai/gsm8k").licence == "MIT"
    assert teacher(backend="traces", dataset="who/knows").licence is None


@pytest.mark.parametrize(
    ("files", "licence", "identifier"),
    [
        ({"README.md": "---\nlicense: mit\n---\n# M\n"}, "mit", "mit"),
        ({"README.md": "---\nlicense: other\n---\n"}, "other", None),
        ({"README.md": "# no front matter\n", "LICENSE": "text"}, "as its file LICENSE says", None),
        ({"README.md": "---\nlicense: [a: b\n---\n"}, None, None),
        ({}, None, None),
    ],
)
def test_a_models_folder_says_it_or_not(
    tmp_path: Path, files: dict[str, str], licence: str | None, identifier: str | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = teacher(backend="transformers", model=str(tmp_path))
    assert (found.name, found.licence, found.identifier) == (tmp_path.name, licence, identifier)


def test_a_hubs_model_is_looked_up_in_the_local_cache_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    kept = tmp_path / "models--some--model"
    (kept / "snapshots" / COMMIT).mkdir(parents=True)
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text(COMMIT)
    (kept / "snapshots" / COMMIT / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    for revision in (None, "main", COMMIT):
        assert teacher(backend="vllm", model="some/model", revision=revision).licence == "apache-2.0"
    assert teacher(backend="vllm", model="some/other").licence is None


def test_a_hub_student_is_named_with_its_commit(tmp_path: Path) -> None:
    given = run(tmp_path, content=f"hub:Qwen/Qwen2.5-3B@{COMMIT}")
    given = replace(given, recipe={**given.recipe, "student": {**given.recipe["student"], "model": "Qwen/Qwen2.5-3B"}})
    text = card(given, repos=Repos("me/student", "me/rows"))
    assert "base_model: Qwen/Qwen2.5-3B\n" in text
    assert "base_model_relation: adapter\n" in text
    assert "datasets:\n- me/rows\n" in text
    assert "license:" not in text.split("\n---\n")[0], "the student's is not on record here"
    assert f'base, at = "Qwen/Qwen2.5-3B", {{"revision": "{COMMIT}"}}' in text
    assert '"me/student")' in text
    assert "base_model_relation: finetune\n" in card(given, merged="bfloat16")


def test_paths_are_cut_and_other_text_is_left() -> None:
    data = {
        "student": {"model": "/home/ann/models/mine", "prompt": "/think {question}"},
        "teacher": [{"path": ["/data/ann/a.jsonl"], "model": "Qwen/Qwen2.5-3B"}],
        "pool": {"problems": {"dataset": "parquet:/data/x/p.parquet", "fields": {"labels": "choices.label"}}},
        "description": "kept in /home/ann/work; see https://example.org/home",
    }
    assert private.public(data, (Path("/home/ann"), Path("/"))) == {
        "student": {"model": "mine", "prompt": "/think {question}"},
        "teacher": [{"path": ["a.jsonl"], "model": "Qwen/Qwen2.5-3B"}],
        "pool": {"problems": {"dataset": "parquet:p.parquet", "fields": {"labels": "choices.label"}}},
        "description": "kept in ~/work; see https://example.org/home",
    }


def test_inferred_forms_are_told_with_their_options_and_only_where_used(tmp_path: Path) -> None:
    change = "selector={name: dmc, top: 8}"
    told = dict(inferred.statements(run(tmp_path, change, capability={"value": 0.4})))
    assert told["selector dmc"].startswith("DMC (inferred form). ")
    assert "the paper's formulas could not be recovered" in told["selector dmc"]
    assert told['selector dmc, option preset (here "inferred-normalized")'].startswith("[inferred]")
    assert any(what.startswith("capability, option definition") for what in told)
    assert "augmentation rephrase" not in told, "the recipe has chain_of_thought alone"
    without = dict(
        inferred.statements(run(tmp_path, "augmentation=[chain_of_thought]", "selector={name: car, top: 8}"))
    )
    assert "selector car" in without
    assert not any(what.startswith("capability") for what in without)
    assert inferred.statements(run(tmp_path)) == []
    text = card(run(tmp_path, "selector={name: car, top: 8}"))
    assert "- selector car, option beta (here 1.0): Weight of the student's loss." in text


def test_of_the_augmentations_those_that_made_a_row_are_told(tmp_path: Path) -> None:
    given = run(tmp_path)
    given = replace(given, recipe={**given.recipe, "augmentation": [{"name": "rephrase"}, {"name": "reverse"}]})
    ((what, said),) = inferred.statements(given)
    assert what == "augmentation rephrase"
    assert said.startswith("[paper: code] The teacher rewrites")


def test_a_fence_is_longer_than_any_in_it() -> None:
    assert sections.fenced("a ```` b\n```\n", "yaml").splitlines() == ["`````yaml", "a ```` b", "```", "`````"]
