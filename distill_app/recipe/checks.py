"""What a recipe can get wrong although every value by itself is fine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from distill_app.errors import Fault
from distill_app.problems.benchmarks import MACRO
from distill_app.problems.word_problems import FAMILIES, SPLITS
from distill_app.recipe import nodes, paths, selection_checks, teacher_checks
from distill_app.recipe.defaults import BUILTIN
from distill_app.recipe.nodes import Path
from distill_app.recipe.paths import FILE_KINDS
from distill_app.recipe.view import View
from distill_app.recipe.wording import did_you_mean, nearest, quoted, short
from distill_app.students import adapter_limits

BUILTIN_SETS = ("word_problems",)


def faults(view: View) -> list[Fault]:
    """Every fault between values that are fine by themselves."""
    return [fault for check in CHECKS for fault in check(view)]


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


def dataset_names(view: View) -> Iterator[Fault]:
    kinds = (BUILTIN, *FILE_KINDS)
    for path, source in view.sources():
        dataset = source["dataset"]
        prefix, colon, rest = dataset.partition(":")
        at = (*path, "dataset")
        if dataset.startswith(BUILTIN):
            if rest not in BUILTIN_SETS:
                message = f"there is no built-in data set {quoted(rest)}."
                yield view.fault(at, message, did_you_mean(rest, BUILTIN_SETS, "Built in"))
            elif source["split"] not in SPLITS:
                message = f"the built-in problems have no split {quoted(source['split'])}."
                yield view.fault((*path, "split"), message, did_you_mean(source["split"], SPLITS))
        elif dataset.startswith(FILE_KINDS):
            if not rest.strip():
                yield view.fault(at, "the path is missing.", f"For example: `{prefix}:data/train.{prefix}`.")
        elif colon:
            near = nearest(prefix + ":", kinds, 0.5)
            hint = f"Did you mean `{near}{rest.strip()}`? " if near else ""
            message = f"{quoted(prefix + ':')} is not a kind of data set."
            suggestion = f"{hint}Write builtin:NAME, jsonl:PATH, parquet:PATH or a hub data set id."
            yield view.fault(at, message, suggestion)
        elif (kind := _file_kind(dataset)) is not None:
            message = f"{quoted(dataset)} looks like a file, and without a prefix it means a hub data set."
            yield view.fault(at, message, f"Write `{kind}:{dataset}`.")


def _file_kind(dataset: str) -> str | None:
    name = dataset.removesuffix(".gz")
    if name.endswith(".parquet"):
        return "parquet"
    is_path = dataset.startswith(("./", "../", "/", "~"))
    return "jsonl" if is_path or name.endswith((".jsonl", ".json", ".ndjson")) else None


def families(view: View) -> Iterator[Fault]:
    for path, source in view.sources():
        if not source["dataset"].startswith(BUILTIN) or not (source["families"] or source["mix"]):
            continue
        known = sorted(FAMILIES)
        chosen = source["families"] or known
        for index, name in enumerate(source["families"] or []):
            if name not in known:
                message = f"there is no family of problems {quoted(name)}."
                yield view.fault((*path, "families", index), message, did_you_mean(name, known))
        for name in source["mix"]:
            if name not in known:
                message = f"there is no family of problems {quoted(name)}."
                yield nodes.fault(view.root, (*path, "mix", name), message, did_you_mean(name, known), key=True)
            elif name not in chosen:
                message = f"the mix weighs {quoted(name)}, which `families` leaves out."
                suggestion = "Delete this line, or add it to families."
                yield nodes.fault(view.root, (*path, "mix", name), message, suggestion, key=True)
        if not any(source["mix"].get(name, 1) for name in chosen):
            message = "all families in use have weight 0, so no problem could be drawn."
            yield view.fault((*path, "mix"), message, "Give one of them a weight above 0.")


def training_on_the_test(view: View) -> Iterator[Fault]:
    if not view.sound(("pool", "problems")):
        return
    pool = view.data["pool"]["problems"]
    for index, benchmark in view.items("evaluation", "benchmarks"):
        if benchmark["dataset"] != pool["dataset"]:
            continue
        path: Path = ("evaluation", "benchmarks", index)
        if pool["dataset"].startswith(FILE_KINDS):
            yield view.fault(
                (*path, "dataset"),
                "the pool's problems come from the same file, so the student would train on the test.",
                "Name a file with other problems.",
            )
        elif (benchmark["config"], benchmark["split"]) == (pool["config"], pool["split"]):
            yield view.fault(
                (*path, "split"),
                f"the pool's problems come from the same split {quoted(pool['split'])}, so the student would train "
                "on the test.",
                "Take another split here or in pool.problems.",
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
        if view.sound(place.path) and (found := paths.trouble(place)):
            yield view.fault(place.path, *found)


CHECKS: tuple[Callable[[View], Iterable[Fault]], ...] = (
    samples_and_k,
    greedy_samples,
    weights,
    enough_rows,
    unique_names,
    reserved_names,
    worked_problems,
    dataset_names,
    families,
    training_on_the_test,
    rows_in_a_batch,
    served_adapter,
    *teacher_checks.CHECKS,
    *selection_checks.CHECKS,
    places,
)
