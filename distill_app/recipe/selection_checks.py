"""What a recipe can get wrong about selection: dynamic selection, capability, skills, judges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from distill_app.errors import Fault
from distill_app.recipe.model import build
from distill_app.recipe.teacher_checks import module_of
from distill_app.recipe.view import View


def selection(view: View) -> Iterator[Fault]:
    """What the selector itself finds wrong with its options, and dynamic selection where nothing can change."""
    if not view.sound(("selector",)):
        return
    selector = view.data["selector"]
    module = module_of("selectors", selector["name"])
    if module is None:
        return
    if hasattr(module, "check"):
        options = build(module.Options, {key: value for key, value in selector.items() if key != "name"})
        for option, message, suggestion in module.check(options):
            yield view.fault(("selector", option), message, suggestion)
    if not selector.get("dynamic"):
        for key, silent, says in (("candidates", "100%", "what"), ("every", 1, "when")):
            if selector.get(key, silent) != silent:
                yield view.fault(
                    ("selector", key),
                    f"{key} says {says} dynamic selection scores again, and dynamic is false.",
                    "Write dynamic: true, or delete this line.",
                )
        return
    if not module.DYNAMIC:
        yield view.fault(
            ("selector", "dynamic"),
            f"what {selector['name']} selects by does not change while the student learns, so every epoch would have"
            " the same rows.",
            "Write dynamic: false, or take a selector that follows the student, such as dmc or car.",
        )
    if view.sound(("epochs",)) and view.data["epochs"] == 1:
        yield view.fault(
            ("selector", "dynamic"),
            "with one epoch there is nothing to select again: dynamic selection chooses anew from the second on.",
            "Write epochs: 2 or more, or dynamic: false.",
        )
    if view.sound(("epochs",)) and selector.get("every", 1) >= view.data["epochs"] > 1:
        yield view.fault(
            ("selector", "every"),
            f"in {view.data['epochs']} epochs there is no second selection when every is {selector['every']}.",
            f"The nearest valid value is {view.data['epochs'] - 1}.",
        )
    if selector.get("unit") == "group":
        yield view.fault(
            ("selector", "unit"),
            "every epoch must train as many rows, and groups differ in size: dynamic selection selects rows.",
            "Write unit: row, or dynamic: false.",
        )


def placement_test(view: View) -> Iterator[Fault]:
    if not view.sound(("capability",)):
        return
    settings = view.data["capability"]
    if settings["low"] >= settings["high"]:
        yield view.fault(
            ("capability", "low"),
            f"low {settings['low']:g} is not below high {settings['high']:g}.",
            "The low anchor is the absolute value of capability 0, the high anchor that of 1.",
        )
    for mode, key, what in (
        ("fixed", "value", "the capability"),
        ("population", "table", "the file of other runs' values"),
    ):
        if settings["mode"] == mode and settings[key] is None:
            yield view.fault(("capability", "mode"), f"mode {mode} needs {key}, {what}.", f"Write `{key}` beside it.")


def skills(view: View) -> Iterator[Fault]:
    if not view.sound(("skills",)):
        return
    settings = view.data["skills"]
    if settings["by"] == "teacher" and settings["teacher"] is None:
        yield view.fault(
            ("skills", "by"),
            "skills are to be attributed by a teacher, and skills.teacher names none.",
            "Add one, for example: `teacher: {name: asked, backend: transformers, model: Qwen/Qwen2.5-7B-Instruct}`.",
        )
    if settings["temperature"] == 0 and settings["samples"] > 1:
        yield view.fault(
            ("skills", "temperature"),
            f"at temperature 0 all {settings['samples']} answers to a problem would be the same.",
            "Write samples: 1, or a temperature above 0 such as 0.6.",
        )
    if view.sound(("selector",)) and settings["per_skill"] is not None:
        selector = view.data["selector"]
        rated = selector["name"] == "pass_rate" and selector.get("source") == "student"
        if rated or (selector["name"] == "s1" and selector.get("max_pass_rate") is not None):
            yield view.fault(
                ("skills", "per_skill"),
                f"{selector['name']} needs the student's answers to every problem of the pool.",
                "Delete this line: null asks the whole pool.",
            )


def judge_scale(view: View) -> Iterator[Fault]:
    if not view.sound(("quality",)) or view.data["quality"]["scorer"] != "judge":
        return
    scale = view.data["quality"]["scale"]
    if scale["low"] >= scale["high"]:
        yield view.fault(
            ("quality", "scale", "low"),
            f"the judge's scale goes from {scale['low']} to {scale['high']}.",
            "Write a low that is less than high.",
        )


CHECKS: tuple[Callable[[View], Iterable[Fault]], ...] = (
    selection,
    placement_test,
    skills,
    judge_scale,
)
