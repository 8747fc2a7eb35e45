"""Which runs the report calls one arm, and which it calls comparable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distill_app.stages import Context
from distill_app.stages.report import arm_and_setting

FOLDERS = {name: Path(name) for name in ("selection", "train", "base", "base_verdicts")}


def keys(
    *,
    recipe: str = "r",
    seed: int = 0,
    selector: str = "quality",
    select: Any = None,
    train: Any = None,
    pool: str = "p",
) -> tuple[str, str]:
    """Arm and setting of a run that differs from another in what is given."""
    options = {
        "selector": selector,
        "selector_options": {"top": 12, "per_problem": None, "unit": "row", "dynamic": False, **(select or {})},
        "seed": seed,
    }
    inputs = {
        "traces": [pool],
        "verdicts": ["v"],
        "hygiene": ["h"],
        **({"quality": ["q"]} if selector == "quality" else {}),
    }
    manifests = {
        FOLDERS["selection"]: {"version": 2, "options": options, "inputs": inputs},
        FOLDERS["train"]: {"version": 2, "options": {"epochs": 2, "seed": seed, **(train or {})}, "inputs": {}},
        FOLDERS["base"]: {"fingerprint": "b"},
        FOLDERS["base_verdicts"]: {"fingerprint": "bv"},
    }
    stage = Context(
        "report",
        {"recipe": recipe, "evaluation": {"samples": 4}},
        {role: (folder,) for role, folder in FOLDERS.items()},
        {},
        None,  # type: ignore[arg-type]
        Path("report"),
        lambda kind, values: None,  # noqa: ARG005
    )
    return arm_and_setting(stage, manifests)


def test_runs_that_differ_in_seed_alone_are_one_arm() -> None:
    assert keys(seed=0) == keys(seed=1)


@pytest.mark.parametrize(
    ("change", "comparable"),
    [
        ({"selector": "random"}, True),
        ({"select": {"dynamic": True}}, True),
        ({"select": {"beta": 3.0}}, True),
        ({"select": {"top": 24}}, False),
        ({"select": {"per_problem": 1}}, False),
        ({"train": {"epochs": 3}}, False),
        ({"pool": "other"}, False),
        ({"recipe": "other"}, False),
    ],
)
def test_other_arms_compare_where_selection_alone_differs(change: dict[str, Any], comparable: bool) -> None:
    arm, setting = keys()
    other_arm, other_setting = keys(**change)
    assert other_arm != arm
    assert (other_setting == setting) is comparable
