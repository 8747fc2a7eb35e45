"""A teacher whose traces are written already: read from files or a hub data set, matched to the pool's problems.

A row belongs to a problem by the problem's id where `fields.problem_id` names a column, else by the question's
text (letter case and white space aside). Sample i of a problem takes its i-th row, files in order of name, rows in
order of line. A column can lie inside another (`message.content`). Rows of no problem are counted and not kept, so
that a data set of millions of rows takes the room of the pool.

The traces are what they are whatever was asked: a prompt's wording does not enter. So with several augmentations each
of them would get the same traces of a problem.

A row's numbers go with its trace, by column: those at the top (`correct`) and those inside an object there
(`quality.rm_score`), true and false as 1 and 0. Digits in a text are no number: they are as likely an answer.
"""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from distill_app.errors import StageError
from distill_app.problems import _hub
from distill_app.problems._rows import BadRow, Row, file_hash, read_rows, refused, text_of
from distill_app.records import Completion, Problem, Request

VERSION = 2
MODEL = False
FOLLOWS = "nothing"
LOCAL = frozenset({"path", "dataset", "revision"})
BATCH = 256
LISTED = 100
"""Bad rows of which the line and the reason are kept; all are counted."""
TOLD_ROWS = 250_000
"""How often a long reading is heard of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    reasoning: str
    problem_id: str | None
    question: str
    group: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Mirrors schemas/teachers/traces.json. One of `path` and `dataset` is given, the other null."""

    path: str | tuple[str, ...] | None
    dataset: str | None
    config: str | None
    split: str
    revision: str | None
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
    """The traces of the problems asked for: `written` by problem key; how many usable rows there were in all; bad rows
    by kind, and of the first `LISTED` of them where and why.
    """

    written: Mapping[str, tuple[Written, ...]]
    rows: int
    bad: Mapping[str, int]
    skipped: tuple[tuple[str, int, str], ...]


def check(options: Options) -> Iterator[tuple[str, str, str]]:
    """What the schema cannot say: the option, what is wrong with it, and what to do."""
    if options.path is None and options.dataset is None:
        yield "path", "it names no traces.", "Give path: files of traces, or dataset: a hub data set."
    elif options.path is not None and options.dataset is not None:
        yield "dataset", "the traces come from path already.", "Delete this line, or path."
    elif options.path is not None:
        for option in ("config", "revision"):
            if getattr(options, option) is not None:
                yield option, f"files have no {option}; it belongs to dataset.", "Delete this line."


def complete(
    requests: Sequence[Request],
    options: Options,
    *,
    problems: Sequence[Problem] | None = None,
    done: AbstractSet[str] = frozenset(),
    say: Callable[[str], None] | None = None,
    **_unused: Any,
) -> Iterator[list[Completion]]:
    """A completion for each request not in `done`, in order, in batches; "missing" where no row is left."""
    asked = [*(problems or ()), *(request.problem for request in requests)]
    released = _read_once(options, frozenset(_problem_key(problem, options) for problem in asked), say)
    open_requests = [request for request in requests if request.id not in done]
    for start in range(0, len(open_requests), BATCH):
        yield [_complete(request, released, options) for request in open_requests[start : start + BATCH]]


def survey(problems: Sequence[Problem], options: Options) -> dict[str, int]:
    """How the rows meet the problems: rows in all, rows that belong to none, bad rows in all and by their reason,
    problems without a trace.
    """
    keys = frozenset(_problem_key(problem, options) for problem in problems)
    released = _read_once(options, keys, None)
    return {
        "rows in files": released.rows,
        "rows of no problem": released.rows - sum(len(released.written.get(key, ())) for key in keys),
        "bad rows skipped": sum(released.bad.values()),
        **{f"bad rows: {kind}": count for kind, count in sorted(released.bad.items())},
        "problems without a trace": sum(_problem_key(problem, options) not in released.written for problem in problems),
    }


def content(options: Options) -> dict[str, str]:
    """The rows by content: the SHA-256 of the files in order of name, or the data set and its commit.

    Folders and file names do not enter. Raises `StageError` where there is no such file or data set.
    """
    _check(options)
    if options.dataset is not None:
        name = _hub.commit(options.dataset, options.config, options.split, options.revision, serves=_SERVES)
        return {"content": f"hub:{name}"}
    return {"content": "sha256:" + "+".join(file_hash(file) for file in files(options))}


def read(options: Options, wanted: AbstractSet[str], say: Callable[[str], None] | None = None) -> Released:
    """The traces of the problems whose keys are `wanted`.

    Raises `StageError` where there is no file or data set, no trace of any problem at all, or (stop) a bad row.
    """
    written: dict[str, list[Written]] = {}
    bad: Counter[str] = Counter()
    skipped: list[tuple[str, int, str]] = []
    rows = 0
    for count, (place, number, row) in enumerate(_rows(options), start=1):
        try:
            if isinstance(row, BadRow):
                raise row
            key, found = _written(row, options.fields)
        except BadRow as fault:
            if options.bad_rows == "stop":
                raise refused(f"{place}, line {number}", fault) from None
            bad[fault.kind] += 1
            if len(skipped) < LISTED:
                skipped.append((place, number, str(fault)))
            continue
        rows += 1
        if key in wanted:
            written.setdefault(key, []).append(found)
        if say is not None and count % TOLD_ROWS == 0:
            say(f"{count} rows read; {sum(map(len, written.values()))} of them are traces of the pool's problems.")
    if not rows:
        kinds = "; ".join(f"{kind}: {count}" for kind, count in bad.most_common(3))
        raise StageError(
            f"The teacher's rows hold no usable trace ({bad.total()} bad rows{f', {kinds}' if kinds else ''}).",
            "Check path or dataset, and fields.",
        )
    return Released({key: tuple(found) for key, found in written.items()}, rows, dict(bad), tuple(skipped))


_SERVES = "path: FILE.jsonl (or .parquet) in place of dataset, with its columns under fields"
_last: dict[Any, Released] = {}


def _read_once(options: Options, wanted: frozenset[str], say: Callable[[str], None] | None) -> Released:
    """`read`, its last result kept: a stage completes, then surveys, and rows can be millions. Files that have changed
    since are read again.
    """
    _check(options)
    stats = [] if options.path is None else [(str(file), file.stat()) for file in files(options)]
    key = (options, wanted, tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats))
    if key not in _last:
        _last.clear()
        _last[key] = read(options, wanted, say)
    return _last[key]


def _check(options: Options) -> None:
    for _, what, remedy in check(options):
        raise StageError(f"The traces teacher: {what}", remedy)


def _rows(options: Options) -> Iterator[tuple[str, int, Row | BadRow]]:
    if options.dataset is not None:
        place = f"{options.dataset} ({options.split})"
        for number, row in _hub.rows(
            options.dataset, options.config, options.split, options.revision, serves=_SERVES, stream=True
        ):
            yield place, number, row
        return
    for file in files(options):
        for number, read_row in read_rows(file):
            yield str(file), number, read_row


def _written(row: Row, fields: Fields) -> tuple[str, Written]:
    text = text_of(row, fields.reasoning)
    group = None if fields.group is None else text_of(row, fields.group, numbers=True)
    if fields.problem_id is None:
        key = _fold(text_of(row, fields.question))
    else:
        key = text_of(row, fields.problem_id, numbers=True)
    return key, Written(text, group, numbers_of(row))


def files(options: Options) -> list[Path]:
    """The files that `path` names, each once, in order of name. Raises `StageError` for one that names none."""
    found: set[Path] = set()
    for pattern in (options.path,) if isinstance(options.path, str) else options.path or ():
        if Path(pattern).is_file():
            matches = [pattern]
        else:
            matches = [name for name in glob.glob(pattern, recursive=True) if Path(name).is_file()]
        if not matches:
            raise StageError(f"No file matches {pattern}.", "A path in a recipe is relative to the recipe's folder.")
        found.update(map(Path, matches))
    return sorted(found, key=lambda file: (file.name, str(file)))


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
