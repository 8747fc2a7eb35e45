"""A teacher whose traces are written already: read from files and matched to the pool's problems.

A row belongs to a problem by the problem's id where `fields.problem_id` names a column, else by the question's
text (letter case and white space aside). Sample i of a problem takes its i-th row, files in order of name, rows in
order of line.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from distill_app.errors import StageError
from distill_app.problems._rows import BadRow, file_hash, read_rows, refused, text_of
from distill_app.records import Completion, Problem, Request

VERSION = 1
MODEL = False
BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    reasoning: str
    problem_id: str | None
    question: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    path: str | tuple[str, ...]
    fields: Fields
    bad_rows: Literal["stop", "skip"]


@dataclass(frozen=True, slots=True)
class Released:
    """The traces of all files: `texts` by problem key, and each row left out: file, line number, why."""

    texts: Mapping[str, tuple[str, ...]]
    skipped: tuple[tuple[str, int, str], ...]

    @property
    def rows(self) -> int:
        """Usable rows."""
        return sum(map(len, self.texts.values()))


def complete(
    requests: Sequence[Request],
    options: Options,
    **context: Any,  # noqa: ARG001
) -> Iterator[list[Completion]]:
    """A completion for each request, in order, in batches; `finish_reason` is "missing" where no row is left."""
    released = read(options)
    for start in range(0, len(requests), BATCH):
        yield [_complete(request, released, options) for request in requests[start : start + BATCH]]


def survey(problems: Sequence[Problem], options: Options) -> dict[str, int]:
    """How the files meet the problems: rows in all, rows that belong to none, bad rows, problems without a trace."""
    released = read(options)
    keys = {_problem_key(problem, options) for problem in problems}
    matched = sum(len(texts) for key, texts in released.texts.items() if key in keys)
    return {
        "rows in files": released.rows,
        "rows of no problem": released.rows - matched,
        "bad rows skipped": len(released.skipped),
        "problems without a trace": sum(_problem_key(problem, options) not in released.texts for problem in problems),
    }


def read(options: Options) -> Released:
    """All traces of the files. Raises `StageError` where there is no file, no trace, or (stop) a bad row."""
    texts: dict[str, list[str]] = {}
    skipped: list[tuple[str, int, str]] = []
    for file in files(options):
        for number, row in read_rows(file):
            try:
                if isinstance(row, BadRow):
                    raise row
                text = text_of(row, options.fields.reasoning)
                if options.fields.problem_id is None:
                    key = _fold(text_of(row, options.fields.question))
                else:
                    key = text_of(row, options.fields.problem_id, numbers=True)
            except BadRow as fault:
                if options.bad_rows == "stop":
                    raise refused(f"{file}, line {number}", fault) from None
                skipped.append((str(file), number, str(fault)))
                continue
            texts.setdefault(key, []).append(text)
    if not texts:
        raise StageError(
            f"The teacher's files hold no usable trace ({len(skipped)} bad rows).", "Check path and fields."
        )
    return Released({key: tuple(found) for key, found in texts.items()}, tuple(skipped))


def files(options: Options) -> list[Path]:
    """The files that `path` names, each once, in order of name. Raises `StageError` for one that names none."""
    found: set[Path] = set()
    for pattern in (options.path,) if isinstance(options.path, str) else options.path:
        if Path(pattern).is_file():
            matches = [pattern]
        else:
            matches = [name for name in glob.glob(pattern, recursive=True) if Path(name).is_file()]
        if not matches:
            raise StageError(f"No file matches {pattern}.", "A path in a recipe is relative to the recipe's folder.")
        found.update(map(Path, matches))
    return sorted(found, key=lambda file: (file.name, str(file)))


def content_id(options: Options) -> str:
    """What tells the files' content from every other: their SHA-256 in order of name. Folders do not enter."""
    return "sha256:" + "+".join(file_hash(file) for file in files(options))


def _complete(request: Request, released: Released, options: Options) -> Completion:
    texts = released.texts.get(_problem_key(request.problem, options), ())
    if request.sample >= len(texts):
        return Completion(request.id, "", "missing")
    return Completion(request.id, texts[request.sample], "stop")


def _problem_key(problem: Problem, options: Options) -> str:
    return _fold(problem.question) if options.fields.problem_id is None else problem.id


def _fold(question: str) -> str:
    return " ".join(question.casefold().split())
