"""How the pages' listeners are attached: to no queue, without a spinner, and in no programmatic interface."""

from __future__ import annotations

from typing import Any

QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
LATEST: dict[str, Any] = {**QUIET, "trigger_mode": "always_last"}
"""For what a person types or picks: Gradio would drop it while the one before is still at work, instead of doing the
newest next."""
