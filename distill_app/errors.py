"""What went wrong, where, and what to do about it: the only exceptions a user is meant to meet.

`RecipeError` and `UsageError` end the command with exit code 2, `StageError` with 1. Anything else that
escapes is a bug in distill-app and is reported as one, with the traceback in a file, never on the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a recipe file. Lines and columns count from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a recipe: where, which key, what, and what to do (nearest valid value included)."""

    position: Position
    path: str
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        where = f"{self.position.file}:{self.position.line}:{self.position.column}"
        key = f" {self.path}:" if self.path else ""
        hint = f" {self.suggestion}" if self.suggestion else ""
        return f"{where}:{key} {self.message}{hint}"

    def as_json(self) -> dict[str, object]:
        """The shape `validate --json` prints."""
        return {
            "file": self.position.file,
            "line": self.position.line,
            "column": self.position.column,
            "path": self.path,
            "message": self.message,
            "suggestion": self.suggestion,
        }


class DistillError(Exception):
    """Base of the errors a user is meant to read. `hint` says what to do next."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class RecipeError(DistillError):
    """One or more faults in a recipe, all of them at once, in file order."""

    exit_code = 2

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda f: (f.position.file, f.position.line, f.position.column)))
        super().__init__("\n".join(str(fault) for fault in self.faults))


class UsageError(DistillError):
    """The call itself is wrong: an unknown run, a missing file, an option that does not fit."""

    exit_code = 2


class StageError(DistillError):
    """A stage could not do its work. What other stages finished is kept."""

    exit_code = 1


class MemoryStageError(StageError):
    """A stage's memory ran out: it is tried again with less at once, as long as there is less (see `engine.ladder`)."""
