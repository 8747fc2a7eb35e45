"""What a recipe can get wrong although every value by itself is fine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from distill_app.errors import Fault
from distill_app.problems.benchmarks import MACRO
from distill_app.recipe import path_faults, selection_checks, source_checks, teacher_checks
from distill_app.recipe.defaults import BUILTIN
from distill_app.recipe.validate import MOST_FAULTS
from distill_app.recipe.view import View
from distill_app.recipe.wording import quoted, short
from distill_app.students import adapter_limits


def faults(view: View) -> list[Fault]:
    """The faults between values that are fine by themselves, of more than `MOST_FAULTS` the first."""
    return list(islice((fault for check in CHECKS for fault in check(view)), MOST_FAULTS))


def samples_and_k(view: View) -> Iterator[Fault]:
    if view.sound(("evaluation", "samples"), ("evaluation", "k")):
        samples = view.data["evaluation"]["samples"]
        for index, k in enumerate(view.data["evaluation"]["k"]):
            if k > samples:
                yield view.fault(
                    ("evaluation", "k", index),
                    f"k = {k} needs {k} answers for each problem, and evaluation.samples is {samples}.",
                    f"Write at most {samples} here, or raise evaluation.samples to {k}.",
                )


def greedy_samples(view: View) -> Iterator[Fault]:
    if view.sound(("evaluation", "samples"), ("evaluation", "temperature")):
        evaluation = view.data["evaluation"]
        if evaluation["temperature"] == 0 and evaluation["samples"] > 1:
            yield view.fault(
                ("evaluation", "temperature"),
                f"at temperature 0 all {evaluation['samples']} samples of a problem would be the same.",
                "Write evaluation.samples: 1, or a temperature above 0 such as 0.6.",
            )
    if not view.sound(("pool", "samples"), ("augmentation",)):
        return
    samples = view.data["pool"]["samples"]
    shared = [item for item in view.data["augmentation"] if "temperature" not in item]
    for index, teacher in view.items("teacher"):
        if teacher.get("temperature") == 0 and samples > 1 and shared:
            yield view.fault(
                ("teacher", index, "temperature"),
                f"at temperature 0 all {samples} traces of a prompt would be the same.",
                "Write pool.samples: 1, or a temperature above 0 such as 0.6.",
            )


def weights(view: View) -> Iterator[Fault]:
    for index, teacher in view.items("teacher"):
        if teacher["backend"] != "worked":
            continue
        total = sum(teacher["mistakes"].values())
        if total > 1 + 1e-9:
            yield view.fault(
                ("teacher", index, "mistakes"),
                f"the shares of mistakes add up to {total:.4g} (those not written count with their defaults), "
                "and there are no more than all traces.",
                "Lower them so that they add up to at most 1.",
            )
        if not any(teacher["styles"].values()):
            yield view.fault(
                ("teacher", index, "styles"),
                "all styles have weight 0, so nothing could be written.",
                "Give one of them a weight above 0.",
            )
    verifier = view.sound(("quality",)) and view.data["quality"]["scorer"] == "verifier"
    if verifier and not any(view.data["quality"]["weights"].values()):
        yield view.fault(
            ("quality", "weights"),
            "all parts of the score have weight 0, so every trace would score the same.",
            "Give one of them a weight above 0.",
        )


def enough_rows(view: View) -> Iterator[Fault]:
    needed = (("pool", "problems", "limit"), ("pool", "samples"), ("augmentation",), ("teacher",), ("selector",))
    if not view.sound(*needed):
        return
    limit, samples = view.data["pool"]["problems"].get("limit"), view.data["pool"]["samples"]
    selector = view.data["selector"]
    top, per_problem = selector.get("top"), selector.get("per_problem")
    if limit is None or not isinstance(top, int):
        return
    each = most = 0
    for teacher in view.data["teacher"]:
        rows = sum(item.get("samples", samples) * _rows_each(item) for item in view.data["augmentation"])
        if teacher["backend"] == "traces":
            rows = samples
        each += rows
        most += rows * min(limit, teacher["limit"] or limit)
    by = "teachers and augmentations"
    if isinstance(per_problem, int) and limit * per_problem < most:
        by, each, most = "per_problem", per_problem, limit * per_problem
    if top > most:
        yield view.fault(
            ("selector", "top"),
            f"top asks for {top} rows, and there can be {most} at most ({limit} problems, {each} rows each by {by}).",
            f"The nearest valid value is {most}.",
        )


def _rows_each(augmentation: Any) -> int:
    """Training rows that an augmentation makes of one sample."""
    module = teacher_checks.module_of("augmentations", augmentation["name"])
    return 1 if module is None else int(module.ROWS)


def unique_names(view: View) -> Iterator[Fault]:
    lists = (
        (("teacher",), "teacher", "Give each teacher a name of its own."),
        (("augmentation",), "augmentation", "Name each augmentation once."),
        (("evaluation", "benchmarks"), "benchmark", "Give each benchmark a name of its own."),
    )
    for path, noun, suggestion in lists:
        seen: set[str] = set()
        for index, item in view.items(*path):
            if item["name"] in seen:
                yield view.fault((*path, index, "name"), f"there is another {noun} {quoted(item['name'])}.", suggestion)
            seen.add(item["name"])


def reserved_names(view: View) -> Iterator[Fault]:
    for index, item in view.items("evaluation", "benchmarks"):
        if item["name"] == MACRO:
            yield view.fault(
                ("evaluation", "benchmarks", index, "name"),
                f"{quoted(MACRO)} is what the average over the benchmarks is called.",
                "Give it another name.",
            )


def worked_problems(view: View) -> Iterator[Fault]:
    if not view.sound(("pool", "problems", "dataset")):
        return
    dataset = view.data["pool"]["problems"]["dataset"]
    for index, teacher in view.items("teacher"):
        if teacher["backend"] == "worked" and dataset != f"{BUILTIN}word_problems":
            yield view.fault(
                ("teacher", index, "backend"),
                f"the worked teacher knows the built-in problems only, and pool.problems.dataset is {short(dataset)}.",
                f"Write pool.problems.dataset: {BUILTIN}word_problems, or take another teacher.",
            )


def rows_in_a_batch(view: View) -> Iterator[Fault]:
    if not view.sound(("runtime", "train_rows"), ("training", "batch_size")):
        return
    rows, batch = view.data["runtime"]["train_rows"], view.data["training"]["batch_size"]
    if rows is not None and (rows > batch or batch % rows):
        what = "is more than" if rows > batch else "does not divide"
        near = max(number for number in range(1, min(rows, batch) + 1) if batch % number == 0)
        yield view.fault(
            ("runtime", "train_rows"),
            f"train_rows {rows} {what} training.batch_size {batch}.",
            f"The nearest valid value below is {near}.",
        )


def served_adapter(view: View) -> Iterator[Fault]:
    if not view.sound(("evaluation", "adapter"), ("evaluation", "backend"), ("training", "lora")):
        return
    evaluation, lora = view.data["evaluation"], view.data["training"]["lora"]
    if evaluation["backend"] != "vllm" or evaluation["adapter"] != "lora":
        return
    why = adapter_limits.trouble(lora["rank"], lora["target_modules"])
    if why is not None:
        yield view.fault(
            ("evaluation", "adapter"),
            f"vllm cannot serve the adapter that training.lora describes: {why}.",
            "Write `merged`, or `auto`, which merges where it must.",
        )


def places(view: View) -> Iterator[Fault]:
    for place in view.places:
        if view.sound(place.path) and (found := path_faults.trouble(place, view.roots)):
            yield view.fault(place.path, *found)


CHECKS: tuple[Callable[[View], Iterable[Fault]], ...] = (
    samples_and_k,
    greedy_samples,
    weights,
    enough_rows,
    unique_names,
    reserved_names,
    worked_problems,
    rows_in_a_batch,
    served_adapter,
    *source_checks.CHECKS,
    *teacher_checks.CHECKS,
    *selection_checks.CHECKS,
    places,
)
