"""Problems from where the recipe says: the built-in generator, a file, or a hub data set."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from distill_app.errors import StageError
from distill_app.problems import word_problems
from distill_app.problems._rows import BadRow, Row, file_hash, lines_of, read_rows, refused, text_of
from distill_app.recipe.model import ProblemSource
from distill_app.records import Problem

BUILTIN = "builtin:word_problems"
BUILTIN_VERSION = "word_problems:v1"
"""Raised when the generator would make other problems from the same options."""


@dataclass(frozen=True, slots=True)
class ReadResult:
    """The problems in file order, and each row left out: its line number and why."""

    problems: list[Problem]
    skipped: list[tuple[int, str]]


def read(source: ProblemSource, path: Path | None = None) -> ReadResult:
    """The problems of `source`, at most `source.limit` good ones.

    `path` is where the file lies on this machine, for `jsonl:` and `parquet:` sources; null takes the path that
    `source.dataset` names. Rows without an id column are numbered by their line (`row-000001`). Raises
    `StageError` where a row is bad and `source.bad_rows` is "stop", where nothing is left, and where the file or
    data set cannot be had.
    """
    if source.dataset.startswith("builtin:"):
        _only_word_problems(source)
        problems = word_problems.generate(
            source.split, source.limit, source.families, source.mix, source.difficulty, source.seed
        )
        return ReadResult(problems, [])
    file = _file(source, path)
    if file is None:
        return _collect(source, _hub_rows(source), f"{source.dataset} ({source.split})", "row")
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
    return f"hub:{_hub_commit(source)}" if file is None else f"sha256:{file_hash(file)}"


def rows_at_most(source: ProblemSource, path: Path | None = None) -> int | None:
    """How many problems `source` can give at most, as far as a plan can know without reading them; None: unknown."""
    file = None if source.dataset.startswith("builtin:") else _file(source, path)
    if file is None or file.name.endswith(".parquet"):
        return source.limit
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
    skipped: list[tuple[int, str]] = []
    seen: dict[str, int] = {}
    for number, row in rows:
        if source.limit is not None and len(problems) == source.limit:
            break
        try:
            if isinstance(row, BadRow):
                raise row
            problem = _problem(source, row, number)
            if problem.id in seen:
                raise BadRow(f"the id {problem.id!r} is that of {unit} {seen[problem.id]} already")
        except BadRow as fault:
            if source.bad_rows == "stop":
                raise refused(f"{where}, {unit} {number}", fault) from None
            skipped.append((number, str(fault)))
            continue
        seen[problem.id] = number
        problems.append(problem)
    if not problems:
        why = f"; all {len(skipped)} were bad, the first ({unit} {skipped[0][0]}): {skipped[0][1]}" if skipped else ""
        raise StageError(f"{where} holds no usable problem{why}.", "Check the data set and the names under fields.")
    return ReadResult(problems, skipped)


def _problem(source: ProblemSource, row: Row, number: int) -> Problem:
    fields = source.fields
    answer = text_of(row, fields.answer, numbers=True)
    if source.answer_after is not None:
        _, mark, answer = answer.rpartition(source.answer_after)
        answer = answer.strip()
        if not mark:
            raise BadRow(f"column {fields.answer!r} does not hold the mark {source.answer_after!r} of answer_after")
        if not answer:
            raise BadRow(f"nothing follows the mark {source.answer_after!r} in column {fields.answer!r}")
    return Problem(
        id=f"row-{number:06d}" if fields.id is None else text_of(row, fields.id, numbers=True),
        question=text_of(row, fields.question),
        answer=answer,
        source=source.dataset if ":" not in source.dataset else source.dataset.split(":", 1)[0],
        solution=None if fields.solution is None else text_of(row, fields.solution),
    )


def _hub_rows(source: ProblemSource) -> Iterable[tuple[int, Row]]:
    import datasets

    # The hub client's own name for its HTTP library's error: the library differs by version.
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    try:
        data = datasets.load_dataset(source.dataset, source.config, split=source.split, revision=source.revision)
    except (OSError, ValueError, HTTPError, datasets.exceptions.DatasetsError) as error:
        raise _unreachable(source, error) from error
    return enumerate(data, start=1)


def _hub_commit(source: ProblemSource) -> str:
    revision = source.revision or "main"
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return f"{source.dataset}@{revision}"
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    try:
        commit = HfApi().dataset_info(source.dataset, revision=revision).sha
    except (OSError, ValueError, HTTPError) as error:
        folder = "datasets--" + source.dataset.replace("/", "--")
        ref = Path(HF_HUB_CACHE) / folder / "refs" / revision
        if not ref.is_file():
            raise _unreachable(source, error) from error
        commit = ref.read_text().strip()
    return f"{source.dataset}@{commit}"


def _unreachable(source: ProblemSource, error: Exception) -> StageError:
    reason = " ".join(str(error).split())
    return StageError(
        f"The data set {source.dataset!r} could not be read from the hub ({type(error).__name__}: {reason[:300]}).",
        f"Check its name, config ({source.config}), split ({source.split}) and the network (HF_HUB_OFFLINE);"
        " or give a local copy: dataset: jsonl:PATH or parquet:PATH, with its columns under fields.",
    )
