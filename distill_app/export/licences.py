"""Under which licences stands what went into a run: as it is recorded somewhere, and never a guess.

Recorded are those of the built-in models and problems, of the benchmarks this program knows by name, and what a model's
own folder states (the front matter of its README.md, or a licence file).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from distill_app.export import private
from distill_app.export.finished import Finished
from distill_app.problems import benchmarks
from distill_app.problems.sources import BUILTIN as BUILTIN_PROBLEMS
from distill_app.students import builtin, hub

UNKNOWN = "unknown: look before you share"
PROGRAM = "Apache-2.0, as this program"
IDENTIFIERS = {
    "Apache-2.0": "apache-2.0",
    PROGRAM: "apache-2.0",
    "MIT": "mit",
    "MIT (MATH, PRM800K)": "mit",
    "CC BY-SA 4.0": "cc-by-sa-4.0",
}
"""What a model hub calls a licence that stands in this program's own records."""


@dataclass(frozen=True, slots=True)
class Ingredient:
    """One thing that went in. `licence` is None where none is recorded, `identifier` where it has no one hub name."""

    part: str
    name: str
    licence: str | None
    identifier: str | None = None
    where: str = ""
    """Where that is recorded, or what to look at."""


def of_training(finished: Finished) -> list[Ingredient]:
    """The student, the teachers and the problems they were asked: what the weights were made from."""
    recipe = finished.recipe
    content = finished.manifest("train")["options"]["student"]["content"]
    commit = content.rpartition("@")[2] if content.startswith("hub:") else None
    found = [_model("student", recipe["student"], commit)]
    found += [_teacher(entry) for entry in recipe["teacher"]]
    return [*found, _problems("problems of the pool", recipe["pool"]["problems"], None)]


def of_evaluation(finished: Finished) -> list[Ingredient]:
    """The benchmarks: their questions and answers are in the evaluation's details, and in no weights."""
    return [
        _problems("benchmark", entry, entry["name"]) for entry in finished.recipe["evaluation"]["benchmarks"]
    ]  # fmt: skip


def common(ingredients: Sequence[Ingredient]) -> str | None:
    """The hub's name of the one licence that all share; None where they differ or any is not known."""
    found = {each.identifier for each in ingredients}
    return found.pop() if len(found) == 1 else None


def unknown(ingredients: Sequence[Ingredient]) -> list[str]:
    """What has no licence on record, by name, each once."""
    return list(dict.fromkeys(f"{each.part} {each.name}" for each in ingredients if each.licence is None))


def _teacher(entry: Mapping[str, Any]) -> Ingredient:
    backend = entry["backend"]
    part = f"teacher {entry['name']}"
    if getattr(importlib.import_module(f"distill_app.teachers.{backend}"), "PROGRAM", False):
        return _recorded(part, "a program of distill-app", PROGRAM, "this program")
    if backend == "openai":
        server = urlsplit(entry["base_url"]).hostname or "a server"
        return Ingredient(part, f"{entry['model']} at {server}", None, where="the terms of the server's provider")
    if backend == "traces":
        if entry["dataset"] is not None:
            return _dataset(part, entry["dataset"])
        paths = [entry["path"]] if isinstance(entry["path"], str) else entry["path"]
        return Ingredient(part, ", ".join(map(private.name, paths)), None, where="where the traces came from")
    return _model(part, entry, None)


def _model(part: str, entry: Mapping[str, Any], commit: str | None) -> Ingredient:
    model = str(entry["model"])
    if model.startswith(builtin.PREFIX):
        return _recorded(part, model, builtin.find(model).licence, f"the package {builtin.find(model).package}")
    folder = Path(model)
    if not folder.is_absolute():
        folder = _cached(model, commit or entry["revision"] or "main")
    return _by_folder(part, private.name(model), folder)


def _cached(model: str, revision: str) -> Path:
    """Where the local hub cache keeps what a commit, branch or tag means, whether it is there or not."""
    folder = hub.snapshot(model, revision)
    ref = folder.parents[1] / "refs" / revision
    return hub.snapshot(model, ref.read_text(encoding="utf-8").strip()) if ref.is_file() else folder


def _by_folder(part: str, name: str, folder: Path) -> Ingredient:
    """By what lies beside a model's weights; a README.md whose front matter is no YAML states nothing."""
    stated = _front_matter(folder / "README.md").get("license")
    if isinstance(stated, str) and stated:
        plain = stated if stated not in ("other", "unknown") else None
        return Ingredient(part, name, stated, plain, "the model's README.md")
    files = sorted(path.name for pattern in ("LICENSE*", "LICENCE*") for path in folder.glob(pattern))
    if files:
        return Ingredient(part, name, f"as its file {files[0]} says", None, "the model's folder")
    return Ingredient(part, name, None, where="the model's page or folder")


def _front_matter(path: Path) -> Mapping[str, Any]:
    from huggingface_hub import metadata_load
    from yaml import YAMLError  # type: ignore[import-untyped]

    if not path.is_file():
        return {}
    try:
        return metadata_load(path) or {}
    except (ValueError, YAMLError):
        return {}


def _problems(part: str, entry: Mapping[str, Any], name: str | None) -> Ingredient:
    dataset = str(entry["dataset"])
    if dataset == BUILTIN_PROBLEMS:
        return _recorded(part, name or dataset, PROGRAM, "this program")
    if name in benchmarks.names():
        own = dataset.startswith(("jsonl:", "parquet:"))
        what = f"{name}, from {private.name(dataset)}" if own else f"{name} ({dataset})"
        where = "this program's list of benchmarks" + (", if the file is a copy of it" if own else "")
        return _recorded(part, what, benchmarks.about(str(name))["licence"], where)
    return _dataset(part, dataset)


def _dataset(part: str, dataset: str) -> Ingredient:
    """A data set by its hub id, where this program's list of benchmarks has that id; of a file nothing is known."""
    for name in benchmarks.names():
        if benchmarks.entry(name)["dataset"] == dataset:
            return _recorded(part, dataset, benchmarks.about(name)["licence"], "this program's list of benchmarks")
    return Ingredient(part, private.name(dataset), None, where="the data set's page, or where the file came from")


def _recorded(part: str, name: str, licence: str, where: str) -> Ingredient:
    return Ingredient(part, name, licence, IDENTIFIERS.get(licence), where)
