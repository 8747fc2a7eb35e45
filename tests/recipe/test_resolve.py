"""extends, --set, matrix, defaults and paths: what a recipe comes out as."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from distill_app.errors import Position, RecipeError, UsageError
from distill_app.recipe import schema
from distill_app.recipe.resolve import Arm, load_arms

BASE = Path(__file__).parent / "base.yaml"


def one(path: Path | str, *sets: str, schemas: schema.Schemas | None = None) -> Arm:
    (arm,) = load_arms(path, sets, schemas=schemas)
    return arm


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def schemas(tmp_path: Path) -> schema.Schemas:
    """The schemas with two more selectors that have options of their own."""
    folder = tmp_path / "more"
    folder.mkdir()
    for name, own in (("pick", "width"), ("sift", "height")):
        properties = {
            "name": {"const": name},
            "top": {"$ref": "../recipe.schema.json#/$defs/top"},
            own: {"title": own, "type": "integer", "default": 7},
        }
        spec = {"type": "object", "additionalProperties": False, "properties": properties, "required": ["name"]}
        (folder / f"{name}.json").write_text(json.dumps(spec))
    return schema.load({"selectors": folder})


def test_defaults_short_forms_and_types() -> None:
    arm = one(BASE)
    recipe = arm.recipe
    assert recipe.training.learning_rate == 0.0002
    assert recipe.training.lora.alpha == 32.0
    assert recipe.training.lora.target_modules == "all-linear"
    assert recipe.evaluation.k == (1, 4)
    (teacher,) = recipe.teacher
    assert (teacher.key, teacher.name) == ("worked", "worked")
    assert teacher.options == {
        "styles": {"clean": 2.0, "verbose": 1.0, "chatty": 1.0},
        "mistakes": {"wrong_arithmetic": 0.2, "wrong_operation": 0.15, "off_topic": 0.08, "guess": 0.1},
    }
    (augmentation,) = recipe.augmentation
    assert augmentation.key == augmentation.name == "chain_of_thought"
    assert "{question}" in augmentation.options["prompt"]
    assert recipe.quality.options["weights"] == {"answer": 0.5, "steps": 0.25, "coherence": 0.15, "format": 0.1}
    (benchmark,) = recipe.evaluation.benchmarks
    assert (benchmark.name, benchmark.dataset, benchmark.split) == ("word_problems", "builtin:word_problems", "test")
    assert benchmark.limit == 400
    assert recipe.pool.problems.limit == 40
    assert "matrix" not in arm.resolved
    assert "extends" not in arm.resolved
    assert arm.label == ""
    assert arm.text == BASE.read_text()


def test_values_left_out_altogether(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "least.yaml",
        "version: 1\nname: least\nstudent: {model: m}\nteacher: {name: t, backend: worked}\n"
        "pool: {problems: {dataset: 'builtin:word_problems'}}\nselector: {name: random}\n"
        "evaluation: {benchmarks: [word_problems]}\n",
    )
    arm = one(path)
    assert [item.key for item in arm.recipe.augmentation] == ["chain_of_thought"]
    assert arm.recipe.quality.key == "verifier"
    assert arm.recipe.evaluation.k == (8,)
    assert arm.recipe.pool.problems.limit == 400
    assert arm.recipe.epochs == 3
    assert arm.where(("training", "lora", "rank")) == Position(str(path), 1, 1)


def test_whole_numbers_and_numbers_have_one_form() -> None:
    arm = one(BASE, "epochs=3.0", "evaluation.temperature=1", "teacher.mistakes.guess=0")
    assert type(arm.resolved["epochs"]) is int
    assert type(arm.resolved["evaluation"]["temperature"]) is float
    assert type(arm.resolved["teacher"][0]["mistakes"]["guess"]) is float


def test_where_tells_the_line_of_a_value() -> None:
    arm = one(BASE)
    assert arm.where(("teacher", 0, "backend")) == Position(str(BASE), 11, 12)
    assert arm.where(("evaluation", "benchmarks", 0, "dataset")) == Position(str(BASE), 27, 16)
    assert arm.where(("training", "learning_rate")).line == 24


def test_extends_merges_maps_and_replaces_lists(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", BASE.read_text())
    path = write(
        tmp_path,
        "deep/child.yaml",
        "extends: ../base.yaml\nname: child\ntags: [other]\ntraining: {lora: {alpha: 8}}\nevaluation: {k: [2]}\n",
    )
    arm = one(path)
    assert arm.recipe.name == "child"
    assert arm.recipe.tags == ("other",)
    assert (arm.recipe.training.lora.rank, arm.recipe.training.lora.alpha) == (8, 8.0)
    assert arm.recipe.evaluation.k == (2,)
    assert arm.recipe.evaluation.samples == 4
    assert arm.where(("training", "lora", "alpha")).file == str(path)
    assert arm.where(("training", "lora", "rank")) == Position(str(tmp_path / "base.yaml"), 24, 16)
    assert arm.text == path.read_text()


def test_extends_finds_a_ready_made_recipe_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, "mine.yaml", "extends: quickstart\nname: mine\nepochs: 1\n")
    assert one(path).recipe.student.model == one("quickstart").recipe.student.model


def test_another_member_takes_no_options_of_the_one_before(tmp_path: Path, schemas: schema.Schemas) -> None:
    text = BASE.read_text().replace("name: random\n  top: 12.5%", "name: pick\n  top: 50%\n  width: 3")
    write(tmp_path, "base.yaml", text)
    same = write(tmp_path, "same.yaml", "extends: base.yaml\nselector: {name: pick}\n")
    other = write(tmp_path, "other.yaml", "extends: base.yaml\nselector: {name: sift}\n")
    assert one(same, schemas=schemas).recipe.selector.options == {"top": "50%", "width": 3}
    assert one(other, schemas=schemas).recipe.selector.options == {"top": "50%", "height": 7}
    base = tmp_path / "base.yaml"
    by_set = one(base, "selector.name=sift", "selector.height=2", schemas=schemas)
    assert by_set.recipe.selector.options == {"top": "50%", "height": 2}
    with pytest.raises(RecipeError, match=r"--set selector\.width=1:1:16: selector\.width: there is no key `width`"):
        one(base, "selector.name=sift", "selector.width=1", schemas=schemas)
    matrix = write(tmp_path, "matrix.yaml", text + "matrix: {selector.name: [pick, sift], selector.top: [1, 2]}\n")
    arms = load_arms(matrix, schemas=schemas)
    assert [arm.recipe.selector.options for arm in arms] == [
        {"top": 1, "width": 3},
        {"top": 2, "width": 3},
        {"top": 1, "height": 7},
        {"top": 2, "height": 7},
    ]


def test_matrix_makes_every_combination_in_order(tmp_path: Path) -> None:
    path = write(tmp_path, "m.yaml", BASE.read_text() + "matrix:\n  selector.name: [random, quality]\n  seed: [1, 2]\n")
    arms = load_arms(path)
    assert [arm.label for arm in arms] == [
        "selector.name=random seed=1",
        "selector.name=random seed=2",
        "selector.name=quality seed=1",
        "selector.name=quality seed=2",
    ]
    assert [(arm.recipe.selector.key, arm.recipe.seed) for arm in arms] == [
        ("random", 1),
        ("random", 2),
        ("quality", 1),
        ("quality", 2),
    ]
    assert arms[2].where(("selector", "name")) == Position(str(path), 34, 27)
    assert all("matrix" not in arm.resolved for arm in arms)
    assert len(load_arms(path, ["matrix.seed=[1, 2, 3]"])) == 6
    assert len(load_arms(path, ["matrix.epochs=[1, 2]"])) == 8
    assert [arm.label for arm in load_arms(path, ["matrix=null"])] == [""]


def test_exactly_256_arms_are_allowed(tmp_path: Path) -> None:
    seeds = ", ".join(map(str, range(256)))
    path = write(tmp_path, "m.yaml", BASE.read_text() + f"matrix: {{seed: [{seeds}]}}\n")
    assert len(load_arms(path)) == 256
    with pytest.raises(RecipeError, match="257 runs, and 256 is the limit"):
        load_arms(path, [f"matrix.seed=[{seeds}, 256]"])


def test_set_reads_yaml_values_and_indexes_lists() -> None:
    arm = one(
        BASE,
        "selector.top=25%",
        "pool.keep={correct: true}",
        "description=Note: see below",
        "evaluation.benchmarks.0.limit=7",
        "augmentation.0.prompt='Q: {question}'",
        "teacher.0.name=someone",
        "tags=[a, 'b c']",
        "seed=1",
        "seed=2",
    )
    assert arm.recipe.selector.options["top"] == "25%"
    assert arm.recipe.pool.keep.correct is True
    assert arm.recipe.description == "Note: see below"
    assert arm.recipe.evaluation.benchmarks[0].limit == 7
    assert arm.recipe.augmentation[0].options["prompt"] == "Q: {question}"
    assert arm.recipe.teacher[0].name == "someone"
    assert arm.recipe.tags == ("a", "b c")
    assert arm.recipe.seed == 2
    assert arm.where(("selector", "top")) == Position("--set selector.top=25%", 1, 20)


def test_set_changes_the_teacher_and_drops_its_options() -> None:
    arm = one(BASE, "teacher.backend=transformers", "teacher.model=m")
    assert arm.recipe.teacher[0].key == "transformers"
    assert "mistakes" not in arm.recipe.teacher[0].options


def test_paths_are_relative_to_the_file_that_says_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "far/data/p.jsonl", "{}\n")
    write(tmp_path, "near/t.jsonl", "{}\n")
    write(tmp_path, "cwd/q.jsonl", "{}\n")
    (tmp_path / "far" / "student").mkdir()
    text = BASE.read_text().replace("builtin:smollm2-135m-instruct", "student")
    write(tmp_path, "far/base.yaml", text.replace("dataset: builtin:word_problems", "dataset: 'jsonl:data/p.jsonl'"))
    path = write(
        tmp_path,
        "near/child.yaml",
        "extends: ../far/base.yaml\nteacher: {name: t, backend: traces, path: [t.jsonl, '*.jsonl']}\n",
    )
    monkeypatch.chdir(tmp_path / "cwd")
    arm = one("../near/child.yaml")
    assert arm.resolved["pool"]["problems"]["dataset"] == f"jsonl:{tmp_path}/far/data/p.jsonl"
    assert arm.resolved["teacher"][0]["path"] == [f"{tmp_path}/near/t.jsonl", f"{tmp_path}/near/*.jsonl"]
    assert arm.resolved["student"]["model"] == f"{tmp_path}/far/student"
    by_set = one(path, "pool.problems.dataset=jsonl:q.jsonl")
    assert by_set.resolved["pool"]["problems"]["dataset"] == f"jsonl:{tmp_path}/cwd/q.jsonl"


def test_hub_ids_and_builtin_names_are_left_alone() -> None:
    arm = one(BASE, "student.model=Qwen/Qwen2.5-3B")
    assert arm.resolved["student"]["model"] == "Qwen/Qwen2.5-3B"


def test_top_may_ask_for_the_whole_pool() -> None:
    assert one(BASE, "selector.top=80").recipe.selector.options["top"] == 80
    # 40 problems, 1 teacher: 2 samples of one augmentation and 4 of the other.
    sets = ["augmentation=[chain_of_thought, resample]", "selector.top=240"]
    assert one(BASE, *sets).recipe.selector.options["top"] == 240
    with pytest.raises(RecipeError, match="240 at most"):
        one(BASE, sets[0], "selector.top=241")


def test_a_chain_of_extends_has_an_end(tmp_path: Path) -> None:
    write(tmp_path, "0.yaml", BASE.read_text())
    for number in range(1, 11):
        write(tmp_path, f"{number}.yaml", f"extends: {number - 1}.yaml\n")
    assert one(tmp_path / "8.yaml").recipe.name == "base"
    with pytest.raises(RecipeError, match="more than 8 deep"):
        one(tmp_path / "9.yaml")


def test_a_ready_made_recipe_by_name_unless_a_file_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert one("quickstart").recipe.name == "quickstart"
    write(tmp_path, "quickstart", BASE.read_text())
    assert one("quickstart").recipe.name == "base"
    with pytest.raises(UsageError, match="Did you mean quickstart"):
        one("quickstrat")


def test_reading_a_recipe_imports_nothing_heavy() -> None:
    heavy = ["torch", "transformers", "numpy", "pyarrow", "rich", "datasets", "scipy", "matplotlib", "requests"]
    code = (
        "import sys; from distill_app.recipe.resolve import load_arms; "
        f"load_arms({str(BASE)!r}, ['pool.problems.families=[add]']); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_fault_of_several_arms_is_told_once(tmp_path: Path) -> None:
    text = BASE.read_text().replace("epochs: 2", "epochs: 0") + "matrix: {seed: [1, 2, 3]}\n"
    with pytest.raises(RecipeError) as caught:
        load_arms(write(tmp_path, "m.yaml", text))
    assert [fault.path for fault in caught.value.faults] == ["epochs"]
