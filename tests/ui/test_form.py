"""The form and the text say the same, whichever of the two is edited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distill_app.errors import UsageError
from distill_app.plan.view import Sent
from distill_app.recipe import bundled, nodes, schema
from distill_app.recipe.parse import parse
from distill_app.ui import edit, fields, form, plan_table, problems, recipe_files
from distill_app.ui.fields import all_fields
from distill_app.ui.form import At, Said
from distill_app.ui.recipe_files import Opened

MINIMAL = """\
version: 1
name: small
student: {model: builtin:smollm2-135m-instruct}
teacher: {name: worked, backend: worked}   # a program
pool:
  problems: {dataset: "builtin:word_problems", limit: 8}
selector: {name: random, top: 50%}
evaluation:
  benchmarks: [word_problems]
"""
INDEX = {item.id: number for number, item in enumerate(all_fields())}


def _said(text: str) -> Said:
    data = nodes.plain(parse(text, "recipe"))
    return Said(data, data)


def _edited(text: str, at: At = At(), **edits: Any) -> str:
    """The text after the fields of these ids (with _ for -) were given these values."""
    said = _said(text)
    showed = form.state(said, at)
    values = [shown.value for shown in showed]
    for name, value in edits.items():
        values[INDEX["f-" + name.replace("__", "-")]] = value
    changed, _, notes = form.write(text, said, at, showed, values)
    assert notes == []
    return changed


def _shown(text: str, field: str, at: At = At()) -> form.Shown:
    return form.state(_said(text), at)[INDEX[field]]


def _options(spec: Any, path: tuple[str, ...], found: set[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """Every path of the schema that holds no map of named options, found by a walk of its own."""
    schemas = schema.installed()
    spec = schema.resolve(schemas, spec)
    for keyword in ("oneOf", "anyOf"):
        for item in spec.get(keyword, ()):
            if schema.resolve(schemas, item).get("type") == "object":
                _options(item, path, found)
            elif "items" in item:
                _options(item["items"], path, found)
    if spec.get("type") == "array" and "oneOf" in spec["items"]:
        return _options(spec["items"], path, found)
    for item in spec.get("allOf", ()):
        _options(item["then"], path, found)
    for name, item in spec.get("properties", {}).items():
        _options(item, (*path, name), found)
    if not spec.get("properties") and not spec.get("oneOf"):
        found.add(path)
    return found


def test_every_option_of_the_schema_has_a_field() -> None:
    reached = {tuple(part for part in item.path if part != fields.ENTRY) for item in all_fields()}
    for path in _options(schema.installed().root, (), set()):
        # A judge and who attributes skills are teachers: the fields of a teacher show them as well.
        borrowed = path[:2] in fields.BORROWED
        assert (("teacher", *path[2:]) if borrowed else path) in reached, path
    assert len({item.id for item in all_fields()}) == len(all_fields())


@pytest.mark.parametrize("name", bundled.names())
def test_a_form_that_nobody_touched_writes_nothing(name: str) -> None:
    path = bundled.find(name)
    assert path is not None
    text = path.read_text(encoding="utf-8")
    assert _edited(text) == text


@pytest.mark.parametrize("name", bundled.names())
def test_what_a_field_shows_writes_the_value_it_was_made_from(name: str) -> None:
    path = bundled.find(name)
    assert path is not None
    root = parse(path.read_text(encoding="utf-8"), name)
    said = Said(nodes.plain(root), nodes.plain(root))
    compared = 0
    for item, shown in zip(all_fields(), form.state(said, At()), strict=True):
        there = nodes.find(root, form.place_of(item.path, At(), said.own))
        if there is None or not shown.visible or item.kind == "switch":
            continue
        assert form.recipe_value(item, shown.value) == nodes.plain(there), item.id
        compared += 1
    assert compared >= 4


def test_fields_write_their_own_characters() -> None:
    assert _edited(MINIMAL, epochs="5") == MINIMAL.replace("evaluation:", "epochs: 5\nevaluation:")
    assert _edited(MINIMAL, pool__problems__limit="16") == MINIMAL.replace("limit: 8", "limit: 16")
    assert _edited(MINIMAL, selector__top="100") == MINIMAL.replace("50%", "100")
    assert _edited(MINIMAL, selector__top="") == MINIMAL.replace(", top: 50%", "")
    assert _edited(MINIMAL, student__system_prompt='""') == MINIMAL.replace("instruct}", 'instruct, system_prompt: ""}')
    assert _edited(MINIMAL, training__lora__target_modules="[q_proj]") == MINIMAL.replace(
        "evaluation:", "training:\n  lora:\n    target_modules: [q_proj]\nevaluation:"
    )
    assert _edited(MINIMAL, training__learning_rate="3e-4").count("learning_rate: 0.0003\n") == 1
    assert _edited(MINIMAL, tags="a, b") == MINIMAL.replace("name: small\n", "name: small\ntags: [a, b]\n")
    assert _edited(MINIMAL, pool__decontaminate__ngram="null").count("ngram: null") == 1
    assert _edited(MINIMAL, matrix="{seed: [1, 2]}") == MINIMAL.replace("small\n", "small\nmatrix:\n  seed: [1, 2]\n")


def test_two_fields_at_once_are_both_written() -> None:
    changed = _edited(MINIMAL, epochs="5", name="other")
    assert "name: other\n" in changed
    assert "epochs: 5\n" in changed


def test_what_cannot_be_read_is_written_for_the_checks_to_refuse(tmp_path: Path) -> None:
    changed = _edited(MINIMAL, tags="[a")
    fault = problems.check(tmp_path, changed).faults[0]
    assert (fault.path, fault.position.line) == ("tags", 3)
    assert "expected a list" in fault.message


def test_a_value_of_the_wrong_kind_stays() -> None:
    text = MINIMAL + "epochs: many\ntraining: {schedule: wavy}\n"
    assert _shown(text, "f-epochs").value == "many"
    assert _shown(text, "f-training-schedule").value is None
    assert _edited(text, name="other") == text.replace("small", "other")
    assert "schedule" not in _edited(text, training__schedule="")


def test_sections_appear_with_what_they_belong_to() -> None:
    assert not _shown(MINIMAL, "f-selector-preset").visible
    dmc = _edited(MINIMAL, selector__name="dmc")
    assert _shown(dmc, "f-selector-preset").visible
    assert _shown(dmc, "f-selector-preset").hint == "inferred-normalized (default)"
    assert _shown(MINIMAL, "f-teacher-mistakes-guess").visible
    assert not _shown(MINIMAL, "f-teacher-path").visible
    assert _shown(_edited(MINIMAL, quality__scorer="judge"), "f-quality-scale-low").visible
    assert not _shown(MINIMAL, "f-training-skills-depth").visible
    prefix = _edited(MINIMAL, training__skills="yes")
    assert "training:\n  skills: {}\n" in prefix
    assert _shown(prefix, "f-training-skills-depth").visible


def test_options_of_another_selector_go_with_it() -> None:
    text = MINIMAL.replace("{name: random, top: 50%}", "{name: dmc, top: 50%, clip: 2.5}")
    assert _edited(text, selector__name="car") == text.replace("dmc", "car")  # car has a clip of its own
    assert _edited(text, selector__name="random") == MINIMAL


def test_entries_of_lists() -> None:
    two = form.add_entry(MINIMAL, ("teacher",))
    assert "teacher: [{name: worked, backend: worked}, {name: teacher-2, backend: worked}]   # a program" in two
    second = At(teacher=1)
    assert _shown(two, "f-teacher-name", second).value == "teacher-2"
    assert "{name: second, backend: worked}" in _edited(two, second, teacher__name="second")
    assert form.remove_entry(two, ("teacher",), 0).count("teacher-2") == 1
    with pytest.raises(edit.EditError, match="last entry"):
        form.remove_entry(MINIMAL, ("teacher",), 0)
    named = form.add_entry(MINIMAL, ("evaluation", "benchmarks"))
    assert "benchmarks: [word_problems, gsm8k]" in named
    at = At(benchmarks=1)
    assert _shown(named, "f-evaluation-benchmarks-name", at).value == "gsm8k"
    assert "[word_problems, {name: gsm8k, limit: 9}]" in _edited(named, at, evaluation__benchmarks__limit="9")
    assert "augmentation: [chain_of_thought]\n" in form.add_entry(MINIMAL, ("augmentation",))


def test_the_judge_is_edited_as_a_teacher() -> None:
    text = MINIMAL + "quality:\n  scorer: judge\n  teacher: {name: j, backend: openai, model: m}   # rates\n"
    at = form.within(At(teacher_of="quality.teacher"), _said(text))
    assert _shown(text, "f-teacher-model-of-openai", at).value == "m"
    assert _edited(text, at, **{"teacher__model-of-openai": "n"}) == text.replace("model: m}", "model: n}")
    assert form.within(At(teacher_of="quality.teacher"), _said(MINIMAL)).teacher_of == "teacher"


def test_what_a_recipe_inherits_is_shown_as_in_force(tmp_path: Path) -> None:
    said = problems.read(tmp_path, "version: 1\nextends: quickstart.yaml\nname: mine\n")
    assert said is not None
    shown = form.state(said, At(), "quickstart.yaml")
    limit = shown[INDEX["f-pool-problems-limit"]]
    assert (limit.value, limit.hint) == ("", "800 (in force; see quickstart.yaml)")
    assert shown[INDEX["f-selector-name"]].value == ""
    assert shown[INDEX["f-teacher-mistakes-guess"]].visible


def test_problems_name_their_line_and_hold_no_markup(tmp_path: Path) -> None:
    checked = problems.check(tmp_path, MINIMAL.replace("random", "<img src=x onerror=alert(1)>"))
    assert checked.alone is None
    html = problems.as_html(checked.faults)
    assert 'data-line="7" data-column="18"' in html
    assert "there is no selector" in html
    assert "<img" not in html
    assert "&lt;img" in html
    assert not list((tmp_path / "recipes").iterdir())  # the text was there only while it was checked


def test_a_text_too_large_is_refused(tmp_path: Path) -> None:
    checked = problems.check(tmp_path, MINIMAL + "#" * 70_000)
    assert checked.said is None
    assert "64 KB" in checked.faults[0].message


def test_a_plan_asks_no_hub_while_a_name_is_typed(tmp_path: Path) -> None:
    checked = problems.check(tmp_path, MINIMAL.replace("builtin:smollm2-135m-instruct", "some-one/some-model"))
    assert (checked.faults, checked.plan, checked.slow) == ((), None, ("some-one/some-model",))
    whole = problems.check(tmp_path, MINIMAL)
    assert whole.plan is not None
    leaving = [Sent("<b>ann", "api.example.test", "ANN_API_KEY")]
    html = plan_table.as_html(whole.plan, leaving)
    assert "pill" in html
    said = "The teacher &lt;b&gt;ann is asked at api.example.test: prompts go there, and the key in ANN_API_KEY."
    assert said in html


def test_a_matrix_runs_whole_or_not_at_all(tmp_path: Path) -> None:
    checked = problems.check(tmp_path, MINIMAL + "matrix: {seed: [1, 2, 3]}\n")
    assert (checked.matrix, len(checked.arms)) == (True, 3)
    assert checked.alone is not None
    assert checked.alone.recipe.seed == 0


def test_files_keep_their_line_ends_and_stay_in_the_workspace(tmp_path: Path) -> None:
    folder = tmp_path / "recipes"
    folder.mkdir()
    content = ("\ufeff\r\n" + MINIMAL.replace("\n", "\r\n") + "\r\n\r\n").encode()
    (folder / "mine.yaml").write_bytes(content)
    text, opened = recipe_files.open_recipe(tmp_path, "workspace/mine")
    assert text == MINIMAL.strip()
    recipe_files.save(tmp_path, text, opened, "mine")
    assert (folder / "mine.yaml").read_bytes() == content
    with pytest.raises(UsageError, match="There is a recipe mine"):
        recipe_files.save(tmp_path, "name: x\n", Opened("new", ""), "mine")
    (folder / "mine.yaml").write_bytes(b"name: y\n")
    with pytest.raises(UsageError, match="changed elsewhere"):
        recipe_files.save(tmp_path, "name: x\n", opened, "mine")
    for name in ("../mine", "/etc/passwd", "a/b", "", ".hidden"):
        with pytest.raises(UsageError):
            recipe_files.save(tmp_path, text, opened, name)
        with pytest.raises(UsageError):
            recipe_files.open_recipe(tmp_path, f"workspace/{name}")
    outside = tmp_path / "outside.yaml"
    outside.write_text("secret: 1\n", encoding="utf-8")
    (folder / "link.yaml").symlink_to(outside)
    with pytest.raises(UsageError, match="link"):
        recipe_files.open_recipe(tmp_path, "workspace/link")
    with pytest.raises(UsageError):
        recipe_files.open_recipe(tmp_path, "run/../../outside")


def test_a_copy_has_its_own_name(tmp_path: Path) -> None:
    text, opened = recipe_files.duplicate(tmp_path, MINIMAL, Opened("ready-made", "quickstart"), "second")
    assert text == MINIMAL.replace("small", "second")
    assert (tmp_path / "recipes" / "second.yaml").read_text(encoding="utf-8") == text
    assert (opened.kind, opened.name) == ("workspace", "second")
    assert recipe_files.free_name(tmp_path, "second") == "second-2"


def test_a_ready_made_recipe_finds_its_data_from_the_workspace(tmp_path: Path) -> None:
    text, _ = recipe_files.open_recipe(tmp_path, "gsm8k_local")
    checked = problems.check(tmp_path, text + "# changed\n")
    assert checked.faults == ()
