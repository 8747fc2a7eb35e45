"""A recipe's `runtime` for tests that call a stage's parts themselves."""

from __future__ import annotations

from typing import Any

from distill_app.recipe import defaults, schema
from distill_app.recipe.model import Runtime, build


def runtime(**changed: Any) -> Runtime:
    """The schema's defaults on one thread of the CPU, with what is given."""
    return build(Runtime, {**defaults.of_part(schema.installed(), "runtime"), "device": "cpu", "threads": 1, **changed})
