"""The key of a server: out of the environment, to the server, and nowhere else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import quote

from distill_app.errors import StageError

if TYPE_CHECKING:
    from distill_app.teachers.openai import Options


def key_of(options: Options) -> str | None:
    """The key out of the environment; None where the server needs none. Raises `StageError` where it is not there."""
    name = options.api_key_env
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key:
        raise StageError(
            f"The environment variable {name}, which is to hold the key of {options.base_url}, is not set.",
            f"Run `export {name}=...` first, or write api_key_env: null for a server without keys.",
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise StageError(
            f"The environment variable {name} does not hold a key: there are spaces or other characters in it that no "
            "key has.",
            f"Set {name} again.",
        )
    return key


def without_key(text: str, key: str | None) -> str:
    """`text` with three asterisks for the key, as it stands or as in an address, wherever it is quoted."""
    if not key:
        return text
    return text.replace(key, "***").replace(quote(key, safe=""), "***")
