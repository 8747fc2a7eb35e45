"""lock.json: all that a run came from, so that another run can be held to it.

`schemas/lock.schema.json` describes it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from distill_app.errors import UsageError
from distill_app.plan import graph, lookup
from distill_app.plan.stage import Plan
from distill_app.recipe.resolve import Arm
from distill_app.reproduce import machine
from distill_app.reproduce.portable import Portable, flat, portable
from distill_app.store.artifacts import Store
from distill_app.store.files import write_json
from distill_app.store.runs import Run
from distill_app.students.locate import Located, locate

VERSION = 2
"""1 (distill-app before reproducing) held fingerprints, the Python and eight packages: to be read, not to be run by."""
REPORT = "report"
"""The last stage. It makes no result: its options hold names and labels, and a folder's name for a student."""
ENVIRONMENT = ("distill_app", "code", "python", "packages", "hardware")


def record(plan: Plan) -> dict[str, Any]:
    """The lock of a plan on this machine, without the id of a run.

    Looks models and data up as the plan did; loads none. What only a run can tell (`computed`, and the template of a
    student that is not here yet) is filled in by `complete`.
    """
    recipe = plan.arm.recipe
    found = lookup.everything(plan.arm)
    contents = dict(_contents(found))
    told = of_recipe(plan, contents)
    return {
        "version": VERSION,
        "plan": plan.fingerprint,
        "recipe": recipe.name,
        "label": plan.arm.label,
        "selector": recipe.selector.key,
        "seed": recipe.seed,
        "file": os.path.basename(plan.arm.file),
        "stages": [
            {
                "name": stage.name,
                "kind": stage.kind,
                "version": stage.version,
                "fingerprint": stage.fingerprint,
                "options": {} if stage.kind == REPORT else _plain(stage.options),
                "inputs": {role: list(prints) for role, prints in stage.inputs.items()},
            }
            for stage in plan.stages
        ],
        "resolved": told.recipe,
        "contents": {
            path: {"name": _named(told.recipe, path), "content": content} for path, content in contents.items()
        },
        "template": template_hash(found.student),
        "seeds": {path: value for path, value in flat(told.recipe) if path.rpartition(".")[2] == "seed"},
        **environment(plan.arm.resolved),
    }


def environment(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a lock that is this machine's: `ENVIRONMENT`, for what this recipe uses."""
    import platform

    code = machine.code()
    return {
        "distill_app": code.pop("version"),
        "code": code,
        "python": platform.python_version(),
        "packages": machine.packages(value for path, value in flat(resolved) if path.rpartition(".")[2] == "backend"),
        "hardware": machine.hardware(),
    }


def of_recipe(plan: Plan, contents: Mapping[str, str]) -> Portable:
    """The plan's recipe as it holds on other machines."""
    arm = plan.arm
    return portable(arm.root, arm.resolved, os.path.dirname(os.path.abspath(arm.file)), contents)


def complete(run: Run, plan: Plan, store: Store) -> None:
    """Write into a finished run's lock what was not known before: the student's template, where each model computed."""
    lock = run.lock_record()
    if lock.get("version") != VERSION or "computed" in lock:
        return
    if lock["template"] is None:
        lock["template"] = template_hash(locate(plan.arm.recipe.student.model, plan.arm.recipe.student.revision))
    computed = {}
    for stage in plan.stages:
        facts = (store.manifest(stage.kind, stage.fingerprint) or {}).get("facts", {})
        if "device" in facts:
            computed[stage.name] = {"device": facts["device"], "dtype": facts.get("dtype")}
    write_json(run.folder / "lock.json", {**lock, "computed": computed})


def resumed(run: Run, plan: Plan) -> None:
    """Note in the lock of an unfinished run that it goes on with another environment than it had last, if it does."""
    lock = run.lock_record()
    if lock.get("version") != VERSION or run.result() is not None:
        return
    now = environment(plan.arm.resolved)
    before = lock["continued"][-1] if lock.get("continued") else {name: lock[name] for name in ENVIRONMENT}
    if _essence(now) != _essence(before):
        write_json(run.folder / "lock.json", {**lock, "continued": [*lock.get("continued", []), now]})


def _essence(environment: Mapping[str, Any]) -> dict[str, Any]:
    """An environment without what may differ where the code is the same: version, commit, uncommitted changes."""
    return {
        "source": environment["code"]["source"],
        **{name: environment[name] for name in ("python", "packages", "hardware")},
    }


def template_hash(student: Located) -> str | None:
    """SHA-256 of the student's chat template as its folder holds it; None where it is not here or has none."""
    if student.folder is None:
        return None
    text = _template(student.folder)
    return None if text is None else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _template(folder: Path) -> str | None:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    config = folder / "tokenizer_config.json"
    said = json.loads(config.read_text(encoding="utf-8")).get("chat_template") if config.is_file() else None
    return said if isinstance(said, str) or said is None else json.dumps(said, sort_keys=True)


def _contents(found: lookup.Found) -> Iterator[tuple[str, str]]:
    """The content of all that a recipe names, by the dotted path of the value that names it."""
    yield "student.model", found.student.content_id
    yield "pool.problems.dataset", found.pool
    for place, teacher in enumerate(found.teachers):
        yield from _of_teacher(f"teacher.{place}", teacher)
    for place, content in enumerate(found.benchmarks):
        yield f"evaluation.benchmarks.{place}.dataset", content
    yield from _of_teacher("quality", found.quality)
    asked = found.quality.options.get("teacher")
    if isinstance(asked, Mapping) and "model_content" in asked:
        yield "quality.teacher.model", asked["model_content"]
    yield "skills.tree", found.tree
    if found.skills_teacher is not None:
        yield from _of_teacher("skills.teacher", found.skills_teacher)
    if found.table is not None:
        yield "capability.table", found.table
    if found.labels is not None:
        yield "training.skills.labels", found.labels


def _of_teacher(path: str, teacher: lookup.Teacher) -> Iterator[tuple[str, str]]:
    options = teacher.options
    if "model_content" in options:
        yield f"{path}.model", options["model_content"]
    if "content" in options:
        yield f"{path}.{'dataset' if teacher.choice.options.get('dataset') else 'path'}", options["content"]


def _named(recipe: Mapping[str, Any], path: str) -> Any:
    """What the recipe says at a path of `contents`."""
    found: Any = recipe
    for part in path.split("."):
        found = found[int(part)] if isinstance(found, list) else found[part]
    return found


def _plain(value: Any) -> Any:
    """Options as JSON has them: tuples as lists, so that a lock reads back as it was written."""
    return json.loads(json.dumps(value))


def text(arms: Sequence[Arm]) -> str:
    """The lock of a recipe that makes one run, as JSON text, without running it. Raises `UsageError` for several."""
    if len(arms) != 1:
        raise UsageError(
            f"The recipe makes {len(arms)} runs, and a lock is of one.",
            "Take one with --set, or lock the resolved.yaml of a run.",
        )
    return json.dumps(record(graph.build(arms[0])), indent=2, ensure_ascii=False) + "\n"


def write(lock: str, target: Path) -> None:
    """Write a lock's text to a file that is not there yet. Raises `UsageError` where it cannot be written."""
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(lock)
    except FileExistsError:
        raise UsageError(f"{target} is already there.", "Take another name with --to, or move it away.") from None
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror}.", "Take another place with --to.") from error
