"""What the model card and the dataset card share: front matter, fences, the licences, the recipe, what is inferred."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from distill_app.export import inferred, private
from distill_app.export.finished import Finished
from distill_app.export.licences import UNKNOWN, Ingredient
from distill_app.recipe import save
from distill_app.reports.markdown import Teacher, escape
from distill_app.students import builtin

if TYPE_CHECKING:
    from huggingface_hub import CardData


@dataclass(frozen=True, slots=True)
class Repos:
    """Where the export is going to be pushed: hub ids, None for what stays here."""

    model: str | None = None
    data: str | None = None


def card(data: CardData, sections: Sequence[str]) -> str:
    """A whole README.md: `data` as YAML front matter, then the sections that are not empty."""
    return "\n\n".join([f"---\n{data.to_yaml()}\n---", *(part for part in sections if part)]) + "\n"


def fenced(text: str, language: str = "") -> str:
    """`text` as a code block that nothing in it can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def title(finished: Finished) -> str:
    """ "quickstart: Quality, seed 0", escaped."""
    result = finished.result
    return f"{escape(result['recipe'])}: {escape(result['label'])}, seed {result['seed']}"


def tags(finished: Finished, *more: str) -> list[str]:
    """Words to find the card by: this program's, the selector's and the recipe's own."""
    return [
        "distill-app",
        "reasoning",
        "distillation",
        *more,
        str(finished.result["selector"]),
        *finished.recipe["tags"],
    ]


def base_model(finished: Finished) -> str | None:
    """The hub id of the student, or of what a built-in one was made from; None where it was a folder."""
    model: str = finished.recipe["student"]["model"]
    if model.startswith(builtin.PREFIX):
        return builtin.find(model).made_from
    return model if student_content(finished).startswith("hub:") else None


def student_content(finished: Finished) -> str:
    """What identifies the student's weights, tokenizer and template."""
    return str(finished.manifest("train")["options"]["student"]["content"])


def hub_dataset(dataset: str) -> str | None:
    """A data set's hub id; None for a file and for the built-in problems."""
    return dataset if re.fullmatch(r"[\w.-]+/[\w.-]+", dataset) else None


def teachers(finished: Finished) -> list[Teacher]:
    """The teachers as reports name them."""
    return [
        Teacher(
            entry["name"],
            f"backend {entry['backend']}" + (f", {private.name(entry['model'])}" if entry.get("model") else ""),
            program=getattr(importlib.import_module(f"distill_app.teachers.{entry['backend']}"), "PROGRAM", False),
        )
        for entry in finished.recipe["teacher"]
    ]


def made_from(finished: Finished) -> list[str]:
    """Lines of a list: student, teachers, selector and run."""
    student = escape(finished.recipe["student"]["model"])
    lines = [f"- Student: {student} (content `{student_content(finished)}`)"]
    for teacher in teachers(finished):
        kind = "a program that writes worked solutions, not a language model; " if teacher.program else ""
        lines.append(f"- Teacher: {escape(teacher.name)} ({kind}{escape(teacher.description)})")
    lines.append(f"- Selector: {escape(finished.result['label'])}")
    version = finished.manifest("train").get("made_by", "distill-app")
    return [*lines, f"- Run: `{finished.run}` of {escape(version)}"]


def licences(ingredients: Sequence[Ingredient]) -> str:
    """What went in, with the licence on record of each, or that there is none."""
    lines = ["| what went in | name | licence | where it is stated, or where to look |", "|---|---|---|---|"]
    for each in ingredients:
        cells = (each.part, each.name, each.licence or f"{UNKNOWN}", each.where)
        lines.append("| " + " | ".join(map(escape, cells)) + " |")
    said = "Whoever shares this has to keep all of them."
    if any(each.licence is None for each in ingredients):
        said = f"Where a licence is unknown it was nowhere on record, and none is guessed. {said}"
    return "\n".join([*lines, "", said])


def inferred_forms(finished: Finished) -> str:
    """What of the method is inferred, with the schemas' own words; a sentence where nothing is."""
    found = inferred.statements(finished)
    if not found:
        return "Nothing in the selector, the quality score and the augmentations used is marked as inferred."
    said = (
        "What the papers do not say was filled in, and is marked so: scores of such a form do not compare with the "
        "papers' own numbers."
    )
    return "\n".join([said, "", *(f"- {escape(what)}: {escape(text)}" for what, text in found)])


def recipe(finished: Finished) -> str:
    """The resolved recipe, every value explicit, paths cut to their last part."""
    said = "Every value as it was used, defaults too; of paths the last part alone."
    return f"{said}\n\n{fenced(save.dump(finished.recipe), 'yaml')}"


def versions(finished: Finished) -> str:
    """What lock.json records of the program, its packages and the machine, and the chat template by its hash."""
    lock = finished.lock
    packages: Mapping[str, Any] = lock.get("packages", {})
    hardware: Mapping[str, Any] = lock.get("hardware", {})
    named = [f"Python {lock.get('python', '?')}", *(f"{name} {version}" for name, version in packages.items())]
    machine = [hardware.get("system"), hardware.get("cpu"), *hardware.get("gpus", [])]
    lines = [
        f"- {escape(finished.manifest('train').get('made_by', 'distill-app'))}",
        f"- {escape(', '.join(named))}",
        f"- Chat template and prompt: `{finished.manifest('train')['facts']['template']}`",
    ]
    if commit := lock.get("code", {}).get("commit"):
        lines.insert(1, f"- Its commit: `{commit}`")
    if any(machine):
        lines.append(f"- Machine: {escape(', '.join(str(part) for part in machine if part))}")
    return "\n".join(lines)
