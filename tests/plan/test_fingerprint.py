"""What changes a fingerprint and what does not: both lists, checked one by one on a real plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from distill_app.plan import graph
from distill_app.plan.stage import Plan
from distill_app.recipe.resolve import load_arms

ROWS = "\n".join(
    f'{{"id": "p{n}", "question": "What is {n} + 1?", "answer": "{n + 1}", "solution": "Answer: {n + 1}"}}'
    for n in range(16)
)
RECIPE = """\
version: 1
name: fingerprints
student: {model: "builtin:smollm2-135m-instruct"}
teacher: {name: worked, backend: worked}
pool:
  problems: {dataset: "builtin:word_problems", limit: 40}
  keep: {correct: false}
selector: {name: quality, top: 10}
evaluation:
  benchmarks:
    - {name: word_problems, dataset: "builtin:word_problems", limit: 8}
  max_tokens: 16
"""


def plan(folder: Path, *sets: str, text: str = RECIPE) -> Plan:
    path = folder / "recipe.yaml"
    path.write_text(text)
    (arm,) = load_arms(path, list(sets))
    return graph.build(arm)


def prints(plan: Plan) -> dict[str, str]:
    return {stage.name: stage.fingerprint for stage in plan.stages}


ALL = {
    "problems[pool]",
    "generate[worked/chain_of_thought]",
    "grade[worked/chain_of_thought]",
    "quality[worked/chain_of_thought]",
    "hygiene",
    "select",
    "train",
    "problems[word_problems]",
    "evaluate[base word_problems]",
    "grade[base word_problems]",
    "evaluate[trained word_problems]",
    "grade[trained word_problems]",
    "report",
}
AFTER_SELECTION = {"select", "train", "evaluate[trained word_problems]", "grade[trained word_problems]", "report"}
AFTER_TRAINING = AFTER_SELECTION - {"select"}
AFTER_QUALITY = AFTER_SELECTION | {"quality[worked/chain_of_thought]"}
AFTER_HYGIENE = AFTER_SELECTION | {"hygiene"}
AFTER_GENERATION = (
    AFTER_QUALITY | AFTER_HYGIENE | {"generate[worked/chain_of_thought]", "grade[worked/chain_of_thought]"}
)
# The pool is checked against the problems of every benchmark.
OTHER_PROBLEMS = AFTER_HYGIENE | {"problems[word_problems]"}
ANSWERS = {stage for stage in ALL if "word_problems]" in stage and not stage.startswith("problems")} | {"report"}


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ("seed=1", AFTER_SELECTION),
        ("selector.top=9", AFTER_SELECTION),
        ("selector.per_problem=1", AFTER_SELECTION),
        ("pool.keep.correct=true", AFTER_HYGIENE),
        ("pool.keep.think=required", AFTER_HYGIENE),
        ("pool.deduplicate.near=0.8", AFTER_HYGIENE),
        ("pool.decontaminate.ngram=8", AFTER_HYGIENE),
        ("teacher.limit=30", AFTER_GENERATION),
        ("quality={scorer: verifier, weights: {steps: 0.5}}", AFTER_QUALITY),
        ("teacher.mistakes.guess=0.2", AFTER_GENERATION),
        ("pool.seed=1", AFTER_GENERATION),
        ("pool.samples=2", AFTER_GENERATION),
        ("augmentation=[resample]", AFTER_GENERATION),
        ("epochs=2", AFTER_TRAINING),
        ("training.learning_rate=1.0e-3", AFTER_TRAINING),
        ("training.lora.rank=8", AFTER_TRAINING),
        ("pool.problems.limit=41", AFTER_GENERATION | {"problems[pool]"}),
        ("pool.problems.difficulty=medium", AFTER_GENERATION | {"problems[pool]"}),
        ("evaluation.temperature=0.7", ANSWERS),
        ("evaluation.seed=1", ANSWERS),
        ("evaluation.samples=4", ANSWERS),
        ("student.system_prompt=Be brief.", ANSWERS | AFTER_TRAINING),
        ("student.thinking=false", ANSWERS | AFTER_TRAINING),
        ("evaluation.backend=vllm", ANSWERS),
        ("evaluation.benchmarks.0.limit=9", ANSWERS | OTHER_PROBLEMS),
        ("student.dtype=float32", ANSWERS | AFTER_TRAINING),
        ("name=another", {"report"}),
        ("runtime.grade_seconds=3", AFTER_QUALITY | AFTER_HYGIENE | {s for s in ALL if s.startswith("grade")}),
    ],
)
def test_what_is_in(tmp_path: Path, change: str, changed: set[str]) -> None:
    before, after = prints(plan(tmp_path)), prints(plan(tmp_path, change))
    renamed = {name.replace("resample", "chain_of_thought"): value for name, value in after.items()}
    assert set(before) == ALL
    assert {name for name in ALL if before[name] != renamed[name]} == changed
    assert set(renamed) - ALL == ({"agreement"} if change == "evaluation.backend=vllm" else set())


@pytest.mark.parametrize(
    "change",
    [
        "runtime.device=cpu",
        "runtime.threads=1",
        "runtime.sample_rows=7",
        "runtime.score_tokens=512",
        "difficulty.max_tokens=99",
        "capability={rows: 3, low: 0.3}",
        "skills={samples: 2, fan_out: 2}",
        "runtime.train_rows=2",
        "runtime.gradient_checkpointing=true",
        "runtime.checkpoint_steps=3",
        "runtime.checkpoint_minutes=2",
        "runtime.grade_workers=1",
        "runtime.vllm={tensor_parallel: 2, eager: true}",
        "evaluation.adapter=merged",
        "evaluation.agreement.least=0.5",
        "tags=[one]",
    ],
)
def test_what_is_not_in(tmp_path: Path, change: str) -> None:
    assert prints(plan(tmp_path)) == prints(plan(tmp_path, change))


SIGNALS = {"hygiene", "quality", "difficulty", "placement", "skills", "pool_answers", "select"}


@pytest.mark.parametrize(
    ("selector", "change", "changed"),
    [
        ("dmc", "difficulty.max_tokens=99", {"difficulty", "select"}),
        ("dmc", "capability.rows=3", {"placement", "select"}),
        ("dmc", "capability.low=0.3", {"select"}),
        ("dmc", "skills.samples=2", set()),
        ("dmc", "student.prompt='Q: {question}'", {"difficulty", "select"}),
        ("dmc", "pool.keep.correct=true", {"hygiene", "placement", "select"}),
        ("skill_aware", "skills.samples=2", {"pool_answers", "select"}),
        ("skill_aware", "skills.per_skill=2", {"pool_answers", "select"}),
        ("skill_aware", "skills.embedding=bag_of_words", set()),
        ("skill_aware", "capability.rows=3", set()),
        ("skill_aware", "training.skills={}", set()),
        ("random", "training.skills={}", {"skills", "select"}),
        ("random", "capability.hold_out=always", {"quality", "placement", "select"}),
    ],
)
def test_what_each_signal_depends_on(tmp_path: Path, selector: str, change: str, changed: set[str]) -> None:
    """A stage counts as changed where it becomes another, and where it comes in."""

    def kinds(*sets: str) -> dict[str, str]:
        found = plan(tmp_path, f"selector={{name: {selector}, top: 10}}", *sets).stages
        return {stage.kind: stage.fingerprint for stage in found if stage.kind in SIGNALS}

    before, after = kinds(), kinds(change)
    assert {kind for kind, value in after.items() if before.get(kind) != value} == changed
    assert set(before) <= set(after)


def test_selecting_again_is_another_training_and_the_same_signals(tmp_path: Path) -> None:
    static, dynamic = (
        prints(plan(tmp_path, f"selector={{name: dmc, top: 10, dynamic: {dynamic}}}")) for dynamic in ("false", "true")
    )
    assert {name for name in static if static[name] != dynamic[name]} == AFTER_SELECTION
    other = prints(plan(tmp_path, "selector={name: dmc, top: 10, dynamic: true}", "epochs=4"))
    assert {name for name in dynamic if dynamic[name] != other[name]} == AFTER_SELECTION


def test_content_counts_and_where_it_lies_does_not(tmp_path: Path) -> None:
    text = RECIPE.replace("builtin:word_problems", "jsonl:rows.jsonl", 1).replace(
        "{name: worked, backend: worked}",
        "{name: t, backend: traces, path: rows.jsonl, fields: {reasoning: solution}}",
    )
    found = []
    for folder, rows in (("here", ROWS), ("there", ROWS), ("other", ROWS.replace("+ 1?", "+ one?"))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rows.jsonl").write_text(rows + "\n")
        found.append(prints(plan(tmp_path / folder, text=text)))
    assert found[0] == found[1]
    assert found[0]["problems[pool]"] != found[2]["problems[pool]"]
    assert found[0]["train"] != found[2]["train"]


def test_selectors_share_everything_before_selection(tmp_path: Path) -> None:
    text = RECIPE.replace(
        "{name: quality, top: 10}", "{name: quality, top: 10}\nmatrix: {selector.name: [random, quality]}"
    )
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    one, two = (prints(graph.build(arm)) for arm in load_arms(path))
    shared = {name for name in one if one[name] == two[name]}
    assert shared == ALL - AFTER_SELECTION - {"quality[worked/chain_of_thought]"}


def test_a_model_that_cannot_be_found_is_a_fault_at_its_line(tmp_path: Path) -> None:
    from distill_app.errors import RecipeError

    (tmp_path / "model").mkdir()
    with pytest.raises(RecipeError) as caught:
        plan(tmp_path, text=RECIPE.replace("builtin:smollm2-135m-instruct", "./model"))
    (fault,) = caught.value.faults
    assert (fault.position.line, fault.path) == (3, "student.model")
    assert "config.json" in fault.message
