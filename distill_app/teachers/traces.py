"""A teacher whose traces are written already: read from files and matched to the pool's problems.

A row belongs to a problem by the problem's id where `fields.problem_id` names a column, else by the question's
text (letter case and white space aside). Sample i of a problem takes its i-th row, files in order of name, rows in
order of line.

The traces are what they are whatever was asked: a prompt's wording does not enter. So with several augmentations each
of them gets the same traces of a problem, which would then stand in the pool several times over.

A row's numbers go with its trace, by column: those at the top (`correct`) and those inside an object there
(`quality.rm_score`), true and false as 1 and 0. Digits in a text are no number: they are as likely an answer.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from distill_app.errors import StageError
from distill_app.problems._rows import BadRow, Row, file_hash, read_rows, refused, text_of
from distill_app.records import Completion, Problem, Request

VERSION = 2
MODEL = False
BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    reasoning: str
    problem_id: str | None
    question: str
    group: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    path: str | tuple[str, ...]
    fields: Fields
    bad_rows: Literal["stop", "skip"]


@dataclass(frozen=True, slots=True)
class Written:
    """One row: its trace, its group, and the numbers it holds, in order of column."""

    text: str
    group: str | None
    numbers: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Released:
    """The traces of all files: `written` by problem key, and each row left out: file, line number, why."""

    written: Mapping[str, tuple[Written, ...]]
    skipped: tuple[tuple[str, int, str], ...]

    @property
    def rows(self) -> int:
        """Usable rows."""
        return sum(map(len, self.written.values()))


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
    matched = sum(len(written) for key, written in released.written.items() if key in keys)
    return {
        "rows in files": released.rows,
        "rows of no problem": released.rows - matched,
        "bad rows skipped": len(released.skipped),
        "problems without a trace": sum(_problem_key(problem, options) not in released.written for problem in problems),
    }


def read(options: Options) -> Released:
    """All traces of the files. Raises `StageError` where there is no file, no trace, or (stop) a bad row."""
    written: dict[str, list[Written]] = {}
    skipped: list[tuple[str, int, str]] = []
    for file in files(options):
        for number, row in read_rows(file):
            try:
                if isinstance(row, BadRow):
                    raise row
                text = text_of(row, options.fields.reasoning)
                group = None if options.fields.group is None else text_of(row, options.fields.group, numbers=True)
                if options.fields.problem_id is None:
                    key = _fold(text_of(row, options.fields.question))
                else:
                    key = text_of(row, options.fields.problem_id, numbers=True)
            except BadRow as fault:
                if options.bad_rows == "stop":
                    raise refused(f"{file}, line {number}", fault) from None
                skipped.append((str(file), number, str(fault)))
                continue
            written.setdefault(key, []).append(Written(text, group, numbers_of(row)))
    if not written:
        raise StageError(
            f"The teacher's files hold no usable trace ({len(skipped)} bad rows).", "Check path and fields."
        )
    return Released({key: tuple(found) for key, found in written.items()}, tuple(skipped))


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


def numbers_of(row: Row) -> tuple[tuple[str, float], ...]:
    """The numbers of a row by column, in order of column: at the top, and as `outer.inner` one level down."""
    found: dict[str, float] = {}
    for outer, value in row.items():
        inside = value.items() if isinstance(value, Mapping) else ()
        for column, item in ((outer, value), *((f"{outer}.{inner}", item) for inner, item in inside)):
            number = _number(item)
            if number is not None:
                found[str(column)] = number
    return tuple(sorted(found.items()))


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number too long for a float is an answer, not a measure
        return None


def _complete(request: Request, released: Released, options: Options) -> Completion:
    written = released.written.get(_problem_key(request.problem, options), ())
    if request.sample >= len(written):
        return Completion(request.id, "", "missing")
    row = written[request.sample]
    return Completion(request.id, row.text, "stop", numbers=row.numbers, group=row.group)


def _problem_key(problem: Problem, options: Options) -> str:
    return _fold(problem.question) if options.fields.problem_id is None else problem.id


def _fold(question: str) -> str:
    return " ".join(question.casefold().split())
