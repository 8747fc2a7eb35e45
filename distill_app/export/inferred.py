"""What of the method used is inferred, or our own choice, in the words of the schemas and modules that say so."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from distill_app import resources
from distill_app.export.finished import Finished
from distill_app.recipe import schema

_LABEL = re.compile(r"\binferred\b|\bour (own )?choice\b", re.IGNORECASE)


def statements(finished: Finished) -> list[tuple[str, str]]:
    """(what it is about, what is said of it) for the selector, scorer, augmentations and capability that a run used.

    Labels in the text are those of the schemas: [paper], [secondary source], [inferred].
    """
    recipe, result = finished.recipe, finished.result
    found = list(_member("selector", "selectors", recipe["selector"]["name"], recipe["selector"]))
    if result["selection"]["capability"] is not None:
        about = schema.installed().root["$defs"]["capability"]
        found += _schema("capability", about, recipe["capability"])
    if finished.scored:
        found += _member("quality", "quality", recipe["quality"]["scorer"], recipe["quality"])
    for name in [entry["name"] for entry in recipe["augmentation"]]:
        if name in result["counts"]["selected by augmentation"]:
            module = importlib.import_module(f"distill_app.augmentations.{name}")
            told = [part for part in (module.__doc__ or "").split("\n\n") if _LABEL.search(part)]
            found += [(f"augmentation {name}", " ".join(part.split())) for part in told]
    return found


def _member(part: str, folder: str, name: str, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    path = resources.folder("schemas") / folder / f"{name}.json"
    yield from _schema(f"{part} {name}", json.loads(path.read_text(encoding="utf-8")), options)


def _schema(what: str, about: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if _LABEL.search(about["title"]) or _LABEL.search(about["description"]):
        yield what, f"{about['title']}. {about['description']}"
    for key, described in about["properties"].items():
        if key in options and _LABEL.search(described.get("description", "")):
            yield f"{what}, option {key} (here {json.dumps(options[key])})", described["description"]
