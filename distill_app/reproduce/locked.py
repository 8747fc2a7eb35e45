"""`run --locked`: the same run or none. What would make it another run refuses it; what cannot be changed is said.

Refuse: recipe, seeds, contents of models and data, chat template, stages, packages, Python's minor version, the
program's source. Warn: hardware, `runtime` (threads, devices, batches: part of no fingerprint), Python's last number,
and a run that went on in another environment than it began in. The last digits of a score can depend on these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_app.errors import UsageError
from distill_app.plan import graph
from distill_app.recipe.paths import FILE_KINDS
from distill_app.recipe.resolve import Arm
from distill_app.reproduce import differences, lock, opened
from distill_app.reproduce.differences import Difference, shown


@dataclass(frozen=True, slots=True)
class Held:
    """A difference from the lock, whether it refuses the run, and what to do about it."""

    difference: Difference
    refuses: bool
    todo: str

    def as_json(self) -> dict[str, Any]:
        """An entry of `run --locked --json` where it refuses (`schemas/diff.schema.json`, `held`)."""
        return {**self.difference.as_json(), "refuses": self.refuses, "todo": self.todo}

    def __str__(self) -> str:
        one = self.difference
        text = f"{_words(one)}: locked {shown(one.first, 100)}, here {shown(one.second, 100)}."
        return " ".join([text, *(f"({'; '.join(one.why)})." for _ in one.why[:1]), self.todo]).strip()


class LockError(UsageError):
    """What is here is not what the lock says. `held` lists every difference, those that only warn included."""

    def __init__(self, name: str, held: Sequence[Held]) -> None:
        self.held = tuple(held)
        refusing = [one for one in held if one.refuses]
        count = "1 thing differs" if len(refusing) == 1 else f"{len(refusing)} things differ"
        lines = [f"{count} here from what {name} says; nothing was run."]
        lines += [f"  {one}" for one in refusing]
        lines += [f"  (no reason to refuse) {one}" for one in held if not one.refuses]
        super().__init__("\n".join([*lines, *_together(refusing)]))


def chosen(root: Path, recipe: str | None, file: str | None, sets: Sequence[str]) -> tuple[list[Arm], list[Held]]:
    """The arms that `run` is to run, and of `run --locked file` what differs without refusing it."""
    if file is not None:
        return arms(root, file, recipe, sets)
    if recipe is None:
        raise UsageError("There is no recipe to run.", "Name one, as in `distill-app run quickstart`, or a lock.")
    return opened.load_arms(recipe, sets), []


def arms(root: Path, file: str, recipe: str | None, sets: Sequence[str]) -> tuple[list[Arm], list[Held]]:
    """The one arm that `run --locked file` is to run, and what differs without refusing it.

    It is the lock's own recipe, or `recipe` where one is named, with `sets` applied. `file` is a lock, a bundle or a
    run of the workspace. Raises `LockError` with every difference where one refuses, `UsageError` where the lock is of
    a version that nothing can be held to, `RecipeError` for a recipe that is not valid here.
    """
    held_to = opened.open_(root, file)
    record = held_to.lock
    if record["version"] != lock.VERSION:
        raise UsageError(
            f"{file} is a lock of version {record['version']}, which holds too little to be held to.",
            "Write a new one: distill-app lock RECIPE.",
        )
    found = opened.arms(held_to, sets) if recipe is None else opened.load_arms(recipe, sets)
    arm = _one(found, record, recipe or file)
    held = against(record, lock.record(graph.build(arm)), file)
    if any(one.refuses for one in held):
        raise LockError(file, held)
    return [arm], held


def against(locked: Mapping[str, Any], here: Mapping[str, Any], file: str) -> list[Held]:
    """Every difference of this machine and recipe from a lock, those that refuse first."""
    found = differences.between(locked, here)
    held = [Held(one, *_judged(one, locked, file, first=one is differences.first_stage(found))) for one in found]
    for later in locked.get("continued", []):
        began = {name: locked[name] for name in lock.ENVIRONMENT}
        for one in differences.between({**locked, **began}, {**locked, **later}):
            todo = "The locked run itself went on with another than it began with."
            held.append(Held(one, False, todo))
    return sorted(held, key=lambda one: not one.refuses)


def _one(found: Sequence[Arm], record: Mapping[str, Any], name: str) -> Arm:
    """The arm that the lock is of."""
    if len(found) == 1:
        return found[0]
    same = [arm for arm in found if arm.label == record["label"]]
    if len(same) == 1:
        return same[0]
    raise UsageError(
        f"{name} makes {len(found)} runs, and none of them is called {record['label']!r}, as the locked one is.",
        "Leave the recipe out: the lock holds its own.",
    )


def _judged(one: Difference, locked: Mapping[str, Any], file: str, *, first: bool) -> tuple[bool, str]:
    """Whether a difference refuses, and what to do about it."""
    if one.part in ("hardware", "computed"):
        return False, "Last digits can differ."
    if one.part == "runtime":
        return False, "Part of no fingerprint; last digits can differ."
    if one.part == "python":
        if _minor(one.first) == _minor(one.second):
            return False, "The same minor version."
        return True, f"Make an environment with Python {_minor(one.first)}."
    if one.part == "package":
        return True, f"pip uninstall {one.name}" if one.first is None else f"pip install '{one.name}=={one.first}'"
    if one.part == "code":
        return True, _other_code(locked)
    if one.part in ("recipe", "seed"):
        return True, f"Take the lock's own recipe: distill-app run --locked {file}"
    if one.part == "content":
        return True, _other_content(one, locked)
    if one.part == "template":
        return True, "Take the student's tokenizer and template as they were."
    return True, "This is the first stage that differs; later ones follow from it." if first else ""


def _other_code(locked: Mapping[str, Any]) -> str:
    code = locked["code"]
    if code["commit"] and not code["changed"]:
        return f"In a checkout: git checkout {code['commit']}"
    if code["commit"]:
        return f"It ran on changes to commit {code['commit']} that were not committed: ask whoever wrote the lock."
    return f"pip install 'distill-app=={locked['distill_app']}'"


def _other_content(one: Difference, locked: Mapping[str, Any]) -> str:
    entry = locked["contents"].get(one.name)
    if entry is None:
        return "The lock's recipe names no such thing."
    content = str(entry["content"])
    if content.startswith("hub:"):
        revision = f"{one.name.rpartition('.')[0]}.revision"
        return f"Take the same commit: --set {revision}={content.rpartition('@')[2]}"
    if content.startswith("sha256:") and not str(entry["name"]).startswith("builtin:"):
        kind = next((kind for kind in FILE_KINDS if str(entry["name"]).startswith(kind)), "")
        return f"Name the same content: --set {one.name}={kind}PATH"
    return f"It comes with distill-app {locked['distill_app']}."


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _words(one: Difference) -> str:
    return {
        "recipe": f"recipe, {one.name}",
        "runtime": f"recipe, {one.name}",
        "seed": f"seed, {one.name}",
        "content": f"content of {one.name}",
        "stage": f"stage {one.name}",
        "package": f"package {one.name}",
        "hardware": f"hardware, {one.name}",
        "computed": f"computed by {one.name}",
    }.get(one.part, one.name)


def _together(refusing: Sequence[Held]) -> list[str]:
    """One command for all the packages."""
    pins = [
        f"'{one.difference.name}=={one.difference.first}'"
        for one in refusing
        if one.difference.part == "package" and one.difference.first is not None
    ]
    lines = [f"All packages at once: pip install {' '.join(pins)}"] if len(pins) > 1 else []
    return [*lines, "Without --locked the same recipe runs with what is here, and its result stands for itself."]


def outcome(root: Path, file: str, result: Mapping[str, Any]) -> str:
    """Whether a locked run came to the scores of the run that `file` is of, in a sentence; "" where that has none."""
    before = opened.open_(root, file).result
    if before is None:
        return ""
    differing, total = 0, 0
    for benchmark, column in before["per_problem"].items():
        now = result["per_problem"].get(benchmark, {"problems": [], "trained": []})
        scores = dict(zip(now["problems"], now["trained"], strict=True))
        total += len(column["problems"])
        pairs = zip(column["problems"], column["trained"], strict=True)
        differing += sum(scores.get(problem) != score for problem, score in pairs)
    if not differing:
        return f"The same score at each of {total} problems as the locked run."
    return f"Another score at {differing} of {total} problems than the locked run: distill-app compare {file} latest"
