"""What a recipe can get wrong about where problems, traces and models come from."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator

from distill_app.errors import Fault
from distill_app.problems.word_problems import FAMILIES, SPLITS
from distill_app.recipe import nodes, paths
from distill_app.recipe.defaults import BUILTIN
from distill_app.recipe.nodes import Path
from distill_app.recipe.paths import FILE_KINDS
from distill_app.recipe.view import View
from distill_app.recipe.wording import did_you_mean, nearest, quoted

BUILTIN_SETS = ("word_problems",)
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_READERS = """
    arrow audiofolder cache conll csv eval fasta fastq generator genbank harbor hdf5 iceberg imagefolder json lance
    meshfolder mmcif niftifolder pandas parquet pdb pdffolder spark sql text tsfile videofolder vortex webdataset xml
"""
READERS = frozenset(_READERS.split())
"""What the `datasets` library takes for one of its readers, not for a data set. The one of `pandas` reads pickles."""

_KINDS_OF_DATA = "builtin:NAME, jsonl:PATH, parquet:PATH or a hub data set id"


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
            suggestion = f"{hint}Write {_KINDS_OF_DATA}."
            yield view.fault(at, message, suggestion)
        elif (kind := _file_kind(dataset)) is not None:
            message = f"{quoted(dataset)} looks like a file, and without a prefix it means a hub data set."
            yield view.fault(at, message, f"Write `{kind}:{dataset}`.")
        elif not HUB_ID.fullmatch(dataset):
            yield view.fault(at, f"{quoted(dataset)} is no id of a hub data set.", f"Write {_KINDS_OF_DATA}.")
        elif why := _read_in_its_place(dataset):
            yield view.fault(at, f"{quoted(dataset)} {why}", f"Write {_KINDS_OF_DATA}.")


def released_datasets(view: View) -> Iterator[Fault]:
    """A hub data set of traces: what `dataset_names` says of problems, its form is the schema's matter."""
    for index, teacher in view.items("teacher"):
        if teacher["backend"] == "traces" and teacher["dataset"] and (why := _read_in_its_place(teacher["dataset"])):
            at = ("teacher", index, "dataset")
            yield view.fault(at, f"{quoted(teacher['dataset'])} {why}", "Write a hub data set id, or path: FILE.")


def _read_in_its_place(dataset: str) -> str | None:
    """Why the `datasets` library would read something else by this name than the hub's data set."""
    if dataset in READERS:
        return "is the name of a reader of files, not of a hub data set."
    if os.path.isdir(dataset):
        return "is also a folder in the working folder, which would be read in place of the hub's data set."
    return None


def model_names(view: View) -> Iterator[Fault]:
    """A model that is neither a folder nor built in must at least look like a hub's."""
    known = {place.path for place in view.places}
    for path, model in paths.models(view.data):
        if path in known or not view.sound(path) or model.startswith(BUILTIN) or HUB_ID.fullmatch(model):
            continue
        yield view.fault(
            path,
            f"there is no folder {quoted(model)}, and it is no id of a hub's model.",
            "Write the path of a folder, builtin:NAME or a hub id such as Qwen/Qwen2.5-0.5B-Instruct.",
        )


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


CHECKS: tuple[Callable[[View], Iterable[Fault]], ...] = (
    dataset_names,
    released_datasets,
    model_names,
    families,
    training_on_the_test,
)
