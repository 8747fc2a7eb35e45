"""Every signal a selector can ask for is made by real stages: reward models, columns, skills, answers, placement."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from distill_app.engine import local
from distill_app.engine.forkserver import Starter
from distill_app.errors import StageError
from distill_app.plan import graph
from distill_app.recipe.resolve import load_arms
from tests.recipes import small
from tests.tiny import TOKENIZER_FILES


def carry_out(recipe: Path, root: Path, *sets: str, last: str = "select") -> dict[str, Path]:
    """Carry a recipe's plan out as far as the stage `last`; the folders of its artifacts by stage name."""
    (arm,) = load_arms(recipe, sets)
    plan = graph.build(arm)
    root.mkdir(parents=True, exist_ok=True)
    folders: dict[str, Path] = {}
    with Starter() as starter:
        for stage in plan.stages:
            local.carry_out_stage(stage, plan, root, root, lambda _kind, _values: None, starter)
            folders[stage.name] = root / "artifacts" / stage.kind / stage.fingerprint
            if stage.kind == last:
                return folders
    raise AssertionError(f"the plan has no stage {last}")


def facts(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "selection.json").read_text())
    return found


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


def reward_model(folder: Path, tokenizer: Path) -> Path:
    """A random two-layer reward model with one logit and the student's tokenizer."""
    import shutil

    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    config = LlamaConfig(
        vocab_size=49152, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=1024, num_labels=1, pad_token_id=2,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = LlamaForSequenceClassification(config)
    model.score.weight.data.neg_()  # rewards of this seed are positive
    model.save_pretrained(folder)
    for name in TOKENIZER_FILES:
        shutil.copyfile(tokenizer / name, folder / name)
    return folder


def test_car_by_a_reward_model(tmp_path: Path, tiny_folder: Path) -> None:
    """Raw rewards of a random model are negative for some rows: refused with the reason, and fine by percentile."""
    model = reward_model(tmp_path / "reward", tiny_folder)
    recipe = small(tmp_path, tiny_folder)
    rated = f"quality={{scorer: reward_model, model: {json.dumps(str(model))}, dtype: float32}}"
    root = tmp_path / "workspace"
    with pytest.raises(StageError, match="CAR cannot take the raw quality") as told:
        carry_out(recipe, root, rated, "selector={name: car, top: 6, quality: raw}")
    assert "less negative" in told.value.hint
    folders = carry_out(recipe, root, rated, "selector={name: car, top: 6}")
    rewards = pq.read_table(folders["quality[worked/chain_of_thought]"] / "quality.parquet").to_pylist()
    assert len({row["quality"] for row in rewards}) == 48
    assert min(row["quality"] for row in rewards) < 0
    found = facts(folders["select"])
    assert found["label"] == "CAR per record (inferred form)"
    assert found["reads"] == ["nll", "quality"]


def traces_file(folder: Path) -> Path:
    """Three released traces a problem, with a rating, a pass rate and the group of the problem."""
    lines = []
    for number in range(8):
        for sample in range(3):
            row = {
                "question": f"What is {number} + {sample}?",
                "reasoning": f"{number} + {sample} = {number + sample}\nAnswer: {number + sample}",
                "rating": {"human": 10 * number + sample},
                "pass_rate": number / 8,
                "source": f"g{number}",
            }
            lines.append(json.dumps(row))
    (folder / "traces.jsonl").write_text("\n".join(lines))
    problems = [
        {"id": f"p{n}-{s}", "question": f"What is {n} + {s}?", "answer": str(n + s)} for n in range(8) for s in range(3)
    ]
    (folder / "problems.jsonl").write_text("\n".join(map(json.dumps, problems)))
    return folder


RELEASED = {
    "teacher: {name: worked, backend: worked}": "teacher: {name: old, backend: traces, path: traces.jsonl,"
    " fields: {group: source}}\nquality: {scorer: column, column: rating.human}",
    'dataset: "builtin:word_problems", limit: 48': 'dataset: "jsonl:problems.jsonl"',
}


def test_a_column_of_the_data_and_groups(tmp_path: Path, tiny_folder: Path) -> None:
    recipe = small(traces_file(tmp_path), tiny_folder, **RELEASED)
    folders = carry_out(recipe, tmp_path / "workspace", "selector={name: quality, top: 2, unit: group}")
    kept = pq.read_table(folders["select"] / "selected.parquet").to_pylist()
    assert {row["group"] for row in kept} == {"g7", "g6"}
    assert len(kept) == 6
    rows = carry_out(recipe, tmp_path / "workspace", "selector={name: quality, top: 2}")
    kept = pq.read_table(rows["select"] / "selected.parquet").to_pylist()
    assert [dict(row["numbers"])["rating.human"] for row in kept] == [72.0, 71.0]


def test_a_pass_rate_in_the_data(tmp_path: Path, tiny_folder: Path) -> None:
    recipe = small(traces_file(tmp_path), tiny_folder, **RELEASED)
    folders = carry_out(
        recipe, tmp_path / "workspace", "selector={name: pass_rate, top: 5, source: pass_rate, low: 0.3, high: 0.6}"
    )
    kept = pq.read_table(folders["select"] / "selected.parquet").to_pylist()
    # 3/8 and 4/8 lie in the band: six rows.
    assert {dict(row["numbers"])["pass_rate"] for row in kept} == {0.375, 0.5}
    assert not any(name.startswith("pool_answers") for name in folders), "nobody had to ask the student"


def test_a_column_that_is_not_there(tmp_path: Path, tiny_folder: Path) -> None:
    recipe = small(traces_file(tmp_path), tiny_folder, **RELEASED)
    with pytest.raises(StageError, match=r"no number in the column 'reward'"):
        carry_out(recipe, tmp_path / "workspace", "quality.column=reward", "selector={name: quality, top: 2}")


def test_skills_by_labels_answers_and_the_prefix_that_is_trained(tmp_path: Path, tiny_folder: Path) -> None:
    recipe = small(tmp_path, tiny_folder)
    sets = ["selector={name: skill_aware, top: 12}", "skills={max_tokens: 8, per_skill: 2, samples: 2}"]
    folders = carry_out(recipe, tmp_path / "workspace", *sets, "training.skills={depth: 2}", "epochs=1", last="train")
    leaves = facts(folders["select"])["facts"]["leaves"]
    assert {leaf["skill"].split(" -> ")[-1] for leaf in leaves} >= {"addition", "multiplication", "division"}
    # Two problems a skill at least, two answers each; the random student has none right.
    assert all(leaf["answers"] >= 4 and leaf["right"] == 0 for leaf in leaves)
    asked = manifest(folders["pool_answers"])["rows"]
    assert asked < 2 * 48, "a part of the pool"
    example = (folders["train"] / "rendered_example.txt").read_text()
    written = [line for line in example.splitlines() if line.startswith("TARGET")]
    target = "".join(ast.literal_eval(re.split(r"\s{2,}", line, maxsplit=3)[3]) for line in written)
    assert target.startswith("Skills:\nNumbers and operations -> Whole numbers\n")


def test_skills_by_a_teacher(tmp_path: Path, tiny_folder: Path) -> None:
    """A model that writes at random, held to the names of the tree's nodes: every chain is one of the tree's."""
    from distill_app.skills import tree

    skills = {
        "name": "Arithmetic",
        "children": [{"name": name, "children": [{"name": f"{name} of numbers"}]} for name in ("Sums", "Products")],
    }
    (tmp_path / "tree.json").write_text(json.dumps(skills))
    recipe = small(tmp_path, tiny_folder, **{"limit: 48": "limit: 6"})
    model = json.dumps(str(tiny_folder))
    teacher = f"{{name: asked, backend: transformers, model: {model}, temperature: 1.0, max_tokens: 24}}"
    asked = f"skills={{tree: {tmp_path / 'tree.json'}, by: teacher, teacher: {teacher}, seed: 3}}"
    (arm,) = load_arms(recipe, [asked, "training.skills={}", "selector={name: random, top: 3}"])
    plan = graph.build(arm)
    root = tmp_path / "workspace"
    root.mkdir()
    told = []
    with Starter() as starter:
        for stage in plan.stages:
            local.carry_out_stage(stage, plan, root, root, lambda kind, values: told.append((kind, values)), starter)
            if stage.kind == "skills":
                break
    folder = root / "artifacts" / "skills" / stage.fingerprint
    rows = pq.read_table(folder / "skills.parquet").to_pylist()
    assert len(rows) == 6
    known = set(tree.load(tmp_path / "tree.json").tree.chains())
    found = [chain for row in rows for chain in row["chains"]]
    assert found
    assert set(found) <= known
    assert all(row["chains"] or row["reason"] for row in rows)
    assert manifest(folder)["counts"]["without skills"] == sum(not row["chains"] for row in rows)


def test_the_placement_test_is_nobodys(tmp_path: Path, tiny_folder: Path) -> None:
    """Held out by every arm of a comparison that asks for it, drawn once, and never kept."""
    recipe = small(tmp_path, tiny_folder)
    held = "capability={hold_out: always, rows: 3}"
    root = tmp_path / "workspace"
    random_arm = carry_out(recipe, root, held, "selector={name: random, top: 45}")
    dmc = carry_out(recipe, root, held, "selector={name: dmc, top: 12}")
    assert random_arm["placement"] == dmc["placement"]
    ids = set(json.loads((dmc["placement"] / "placement.json").read_text()))
    assert len(ids) == 3
    kept = set(pq.read_table(random_arm["select"] / "selected.parquet")["id"].to_pylist())
    assert len(kept) == 45
    assert not kept & ids
    scale = facts(dmc["select"])["capability"]
    assert scale["rows"] == 3
    line = json.loads((dmc["select"] / "placement.jsonl").read_text())
    assert line["absolute"] == pytest.approx(scale["absolute"])
    # The table line of another student makes a population of two.
    (tmp_path / "table.jsonl").write_text(json.dumps({**line, "absolute": 2 * line["absolute"]}) + "\n")
    population = f"capability={{mode: population, table: {tmp_path / 'table.jsonl'}, rows: 3}}"
    by_table = carry_out(recipe, root, population, "selector={name: dmc, top: 12}")
    assert facts(by_table["select"])["capability"]["value"] == 0.0


def test_more_rows_than_the_best_hold(tmp_path: Path, tiny_folder: Path) -> None:
    recipe = small(tmp_path, tiny_folder)
    with pytest.raises(StageError, match="The placement test asks for 30 rows"):
        carry_out(recipe, tmp_path / "workspace", "capability.rows=30", "selector={name: dmc, top: 12}")


def test_a_tree_that_fits_no_row(tmp_path: Path, tiny_folder: Path) -> None:
    (tmp_path / "tree.json").write_text('{"name": "Music", "children": [{"name": "harmony"}, {"name": "rhythm"}]}')
    recipe = small(tmp_path, tiny_folder)
    with pytest.raises(StageError, match="No leaf of the skill tree matches any of the 48 traces"):
        carry_out(
            recipe,
            tmp_path / "workspace",
            f"skills.tree={tmp_path / 'tree.json'}",
            "selector={name: skill_aware, top: 12}",
        )


def test_nothing_to_tell_apart(tmp_path: Path, tiny_folder: Path) -> None:
    """Solutions that are all right and tidy get one score from the verifier: `quality` would be a draw, and says so."""
    recipe = small(traces_file(tmp_path), tiny_folder, **RELEASED)
    with pytest.raises(StageError, match="quality is 1 for all 24 candidates"):
        carry_out(recipe, tmp_path / "workspace", "quality={scorer: verifier}", "selector={name: quality, top: 2}")
