"""`distill-app skills build` with the real 135M model: phrases, clusters, names, and a tree that reads back."""

from __future__ import annotations

import json
from pathlib import Path

from distill_app.skills import tree
from tests.recipes import distill, small, without_traceback


def test_a_tree_from_the_pool(tmp_path: Path, smollm: Path) -> None:
    recipe = small(tmp_path, smollm, **{"limit: 48": "limit: 12, families: [add, area, percent]"})
    model = json.dumps(str(smollm))
    asked = f"skills.teacher={{name: asked, backend: transformers, model: {model}, temperature: 0.7, max_tokens: 16}}"
    workspace = tmp_path / "workspace"
    out = tmp_path / "tree.json"
    call = ("skills", "build", recipe, "--set", asked, "--leaf-items", "2", "--name", "Sums")
    done = distill(*call, "--out", out, workspace=workspace)
    assert done.returncode == 0, done.stdout + done.stderr
    made = tree.load(out).tree
    assert made.name == "Sums"
    assert len(made.chains()) >= 2
    (folder,) = (workspace / "artifacts" / "skill_tree").glob("*/")
    items = json.loads((folder / "items.json").read_text())
    assert len(items) == 12
    assert {row["chain"] for row in items.values() if row["phrase"]} == set(made.chains())
    assert "embedding: bag_of_words" in done.stdout
    assert "knows_synonyms: False" in done.stdout

    again = distill(*call, "--out", tmp_path / "again.json", workspace=workspace)
    assert again.returncode == 0
    assert "cached" in again.stdout
    assert (tmp_path / "again.json").read_bytes() == out.read_bytes()

    over = distill(*call, "--out", out, workspace=workspace)
    assert over.returncode == 2
    assert "is there already" in without_traceback(over)


def test_nobody_to_ask(tmp_path: Path, tiny_folder: Path) -> None:
    recipe = small(tmp_path, tiny_folder)
    done = distill("skills", "build", recipe, "--out", tmp_path / "tree.json", workspace=tmp_path / "workspace")
    assert done.returncode == 2
    assert "skills.teacher: building a tree asks a teacher" in without_traceback(done)
