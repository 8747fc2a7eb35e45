"""Problems from where the recipe says: the built-in generator, a file, or a hub data set."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from distill_app.errors import StageError
from distill_app.problems import _choices, _golds, _hub, benchmarks, word_problems
from distill_app.problems._rows import BadRow, Row, file_hash, lines_of, read_rows, refused, text_of, value_of
from distill_app.recipe.model import ProblemSource
from distill_app.records import Problem

BUILTIN = "builtin:word_problems"
BUILTIN_VERSION = "word_problems:v1"
"""Raised when the generator would make other problems from the same options."""


@dataclass(frozen=True, slots=True)
class ReadResult:
    """The problems in file order, each bad row (its line number, or its problem's id, and why), and how many rows
    `where` left out."""

    problems: list[Problem]
    skipped: list[tuple[int | str, str]]
    left_out: int = 0


def read(source: ProblemSource, path: Path | None = None) -> ReadResult:
    """The problems of `source`, at most `source.limit` good ones.

    `path` is where the file lies on this machine, for `jsonl:` and `parquet:` sources; null takes the path that
    `source.dataset` names. Rows without an id column are numbered by their line (`row-000001`). A column can lie
    inside another (`choices.text`). What a question and a gold answer are read as depends on `source.kind`: see
    `_golds` and `_choices`. Rows that `source.where` does not ask for are left out before anything else is read of
    them. Raises `StageError` where a row is bad and `source.bad_rows` is "stop", where nothing is left, and where the
    file or data set cannot be had.
    """
    if source.dataset.startswith("builtin:"):
        _only_word_problems(source)
        problems = word_problems.generate(
            source.split, source.limit, source.families, source.mix, source.difficulty, source.seed
        )
        return ReadResult(problems, [])
    if source.fields.choices is not None and source.kind not in ("auto", "choice"):
        raise StageError(
            f"fields.choices names the options of a multiple-choice question, and kind is {source.kind!r}.",
            "Write kind: choice, or delete fields.choices.",
        )
    file = _file(source, path)
    if file is None:
        rows = _hub.rows(source.dataset, source.config, source.split, source.revision, serves=_serves(source))
        return _collect(source, rows, f"{source.dataset} ({source.split})", "row")
    return _collect(source, read_rows(file), str(file), "row" if file.name.endswith(".parquet") else "line")


def content_id(source: ProblemSource, path: Path | None = None) -> str:
    """What tells the content of `source` from every other: it enters the fingerprint, paths do not.

    The generator's version, the SHA-256 of a file, or the commit of a hub data set (the given one, else asked of
    the hub, else the local cache's). Raises `StageError` where none can be found out.
    """
    if source.dataset.startswith("builtin:"):
        _only_word_problems(source)
        return BUILTIN_VERSION
    file = _file(source, path)
    if file is not None:
        return f"sha256:{file_hash(file)}"
    commit = _hub.commit(source.dataset, source.config, source.split, source.revision, serves=_serves(source))
    return f"hub:{commit}"


def rows_at_most(source: ProblemSource, path: Path | None = None) -> int | None:
    """How many problems `source` can give at most, as far as a plan can know without reading them; None: unknown."""
    file = None if source.dataset.startswith("builtin:") else _file(source, path)
    if file is None or file.name.endswith(".parquet"):
        name = benchmarks.of(source)
        known = None if name is None else benchmarks.about(name)["problems"]
        return min((rows for rows in (source.limit, known) if rows is not None), default=None)
    return sum(1 for _ in islice(lines_of(file), source.limit))


def _only_word_problems(source: ProblemSource) -> None:
    if source.dataset != BUILTIN:
        raise StageError(f"There is no built-in data set {source.dataset!r}.", f"There is {BUILTIN}.")


def _file(source: ProblemSource, path: Path | None) -> Path | None:
    """The file of a `jsonl:` or `parquet:` source, None for a hub id. Wrong endings are refused."""
    kind, colon, name = source.dataset.partition(":")
    if not colon:
        return None
    if kind not in ("jsonl", "parquet"):
        raise StageError(
            f"{source.dataset!r} names no known kind of data set.",
            f"Write {BUILTIN}, jsonl:PATH, parquet:PATH, or a hub id such as openai/gsm8k.",
        )
    file = path or Path(name)
    if (kind == "parquet") != file.name.endswith(".parquet"):
        raise StageError(
            f"{source.dataset!r} is announced as {kind}, which {file.name} is not, going by its ending.",
            "Parquet files end in .parquet; JSON Lines files in .jsonl or .jsonl.gz.",
        )
    return file


def _collect(source: ProblemSource, rows: Iterable[tuple[int, Row | BadRow]], where: str, unit: str) -> ReadResult:
    problems: list[Problem] = []
    skipped: list[tuple[int | str, str]] = []
    seen: dict[str, int] = {}
    left_out = 0
    for number, row in rows:
        if source.limit is not None and len(problems) == source.limit:
            break
        try:
            if isinstance(row, BadRow):
                raise row
            if not _wanted(source, row):
                left_out += 1
                continue
            problem = _problem(source, row, number)
            if problem.id in seen:
                raise BadRow(f"the id {problem.id!r} is that of {unit} {seen[problem.id]} already", "an id twice")
        except BadRow as fault:
            if source.bad_rows == "stop":
                raise refused(f"{where}, {unit} {number}", fault) from None
            skipped.append((number, str(fault)))
            continue
        seen[problem.id] = number
        problems.append(problem)
    if not problems:
        why = f"; {len(skipped)} were bad, the first ({unit} {skipped[0][0]}): {skipped[0][1]}" if skipped else ""
        why += f"; where left out {left_out}" if left_out else ""
        raise StageError(f"{where} holds no usable problem{why}.", "Check the data set and the names under fields.")
    return ReadResult(problems, skipped, left_out)


def _wanted(source: ProblemSource, row: Row) -> bool:
    """Whether every column that `where` names holds the value, or one of the values, asked for."""
    return all(
        any(_same(value_of(row, column), wanted) for wanted in (asked if isinstance(asked, list | tuple) else [asked]))
        for column, asked in source.where.items()
    )


def _same(value: Any, wanted: Any) -> bool:
    """Equal; a number or true and false are also equal to their text, as data sets differ in how they write them."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return str(value).casefold() == str(wanted).casefold()
    return bool(value == wanted) or (value is not None and wanted is not None and str(value) == str(wanted))


def _problem(source: ProblemSource, row: Row, number: int) -> Problem:
    fields = source.fields
    question = text_of(row, fields.question)
    answer = _golds.gold(row, fields.answer, source.kind, source.answer_after)
    kind = source.kind
    if kind == "choice" or fields.choices is not None:
        kind = "choice"
        question, answer = _choices.asked(row, question, answer, fields.choices, fields.labels)
    tolerance = None if fields.tolerance is None else _golds.tolerance(row, fields.tolerance)
    if tolerance is not None and kind == "auto" and _golds.is_number(answer):
        kind = "number"
    cluster = None if fields.cluster is None else text_of(row, fields.cluster, numbers=True)
    return Problem(
        id=f"row-{number:06d}" if fields.id is None else text_of(row, fields.id, numbers=True),
        question=question,
        answer=answer,
        source=source.dataset if ":" not in source.dataset else source.dataset.split(":", 1)[0],
        solution=None if fields.solution is None else text_of(row, fields.solution),
        kind=kind,
        cluster=cluster,
        tolerance=tolerance,
    )


def _serves(source: ProblemSource) -> str:
    """What file would do instead of the hub's data set."""
    return benchmarks.serves(source) or "dataset: jsonl:PATH or parquet:PATH, with its columns under fields"
