"""A finished run as an export reads it: its result, its recipe and its artifacts, each checked before it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_app.errors import UsageError
from distill_app.reports import result as results
from distill_app.store.artifacts import Store, fault
from distill_app.store.runs import Run

AGAIN = "Issue the run's recipe again: what is there is kept, what is missing or damaged is made anew."
_ROLES = (
    "verdicts", "selection", "train", "problems", "base", "base_verdicts", "trained", "trained_verdicts",
)  # fmt: skip
"""The report's inputs that an export reads."""


@dataclass(frozen=True, slots=True)
class Finished:
    """`recipe` is the resolved one as plain data; `inputs` maps a role of the report to the folders that fill it.

    `manifests` has that of every such folder; `lock` is what lock.json says; `scored` whether the pool's quality was.
    """

    run: str
    result: Mapping[str, Any]
    recipe: Mapping[str, Any]
    lock: Mapping[str, Any]
    inputs: Mapping[str, tuple[Path, ...]]
    manifests: Mapping[Path, Mapping[str, Any]]
    scored: bool

    def input(self, role: str) -> Path:
        """The one folder of this role."""
        (folder,) = self.inputs[role]
        return folder

    def manifest(self, role: str) -> Mapping[str, Any]:
        """The manifest of the one folder of this role."""
        return self.manifests[self.input(role)]


def read(root: Path, run: Run) -> Finished:
    """All of `run` that an export needs. Nothing is written.

    Raises `UsageError` for a run that has not finished, or was reported by an earlier version, and for an artifact
    that is missing or not what its manifest says, which is named.
    """
    if run.result() is None:
        raise UsageError(f"Run {run.id} has not finished: it is {run.state()}. Nothing was exported.", _go_on(run))
    record = run.lock_record()
    stages = record.get("stages", [])
    store = Store(root)
    report = record.get("regraded") or next((row["fingerprint"] for row in stages if row["kind"] == "report"), None)
    if report is None:
        raise UsageError(f"The lock.json of run {run.id} is missing or names no report.", AGAIN)
    folder, manifest = _whole(store, run, "report", report)
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    if result["version"] != results.VERSION:
        raise UsageError(
            f"Run {run.id} was reported by another version of this program ({manifest.get('made_by', 'unknown')}).",
            "Issue its recipe again: the report is made anew, and generating, training and evaluating are kept.",
        )
    kinds = {row["fingerprint"]: row["kind"] for row in stages}
    found = {
        role: tuple(
            _whole(store, run, kinds.get(print_) or ("grade" if role.endswith("verdicts") else role), print_)
            for print_ in manifest["inputs"][role]
        )
        for role in _ROLES
    }
    return Finished(
        run.id,
        {**result, "run": run.id},
        _recipe(run),
        record,
        {role: tuple(folder for folder, _ in given) for role, given in found.items()},
        {folder: values for given in found.values() for folder, values in given},
        "quality" in manifest["inputs"],
    )


def _whole(store: Store, run: Run, kind: str, print_: str) -> tuple[Path, dict[str, Any]]:
    """The folder and the manifest of an artifact, every file of it checked."""
    folder, manifest = store.folder(kind, print_), store.manifest(kind, print_)
    if not folder.is_dir():
        raise UsageError(f"The {kind} artifact {print_} of run {run.id} is not in {store.root} any more.", AGAIN)
    what = fault(folder, manifest)
    if what is not None or manifest is None:
        raise UsageError(f"The {kind} artifact {print_} of run {run.id} is damaged: {what}.", AGAIN)
    return folder, manifest


def _recipe(run: Run) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    path = run.folder / "resolved.yaml"
    try:
        values = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise UsageError(f"The resolved.yaml of run {run.id} is missing or damaged.", AGAIN) from error
    if not isinstance(values, dict):
        raise UsageError(f"The resolved.yaml of run {run.id} is missing or damaged.", AGAIN)
    return values


def _go_on(run: Run) -> str:
    file = run.lock_record().get("file")
    if run.state() == "running":
        return f"Wait for it (`distill-app show {run.id[-6:]}`), then export it."
    return f"`distill-app run {file or 'RECIPE'}` goes on with it where it stopped; then export it."
