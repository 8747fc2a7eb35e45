"""Data sets of a hub: which commit a name means, and their rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distill_app.errors import StageError
from distill_app.students import quiet

ANSWER_SECONDS = 10.0
"""How long the hub may take to say which commit a name means."""

FORMS = frozenset({"parquet", "json", "cache"})
"""Readers of the `datasets` library that are used; `cache` is what one of the others left on this machine."""


def rows(
    dataset: str, config: str | None, split: str, revision: str | None, *, serves: str, stream: bool = False
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of one split in order, each with its number from 1.

    Parquet and JSON files of the hub are read, and nothing else: other forms can hold pickles, and a data set's card
    can name files anywhere. `stream` reads them as they come and keeps none on disk, for data sets that are read once
    and may be huge; a hub that is switched off (HF_HUB_OFFLINE) serves from its cache, which a stream cannot. Raises
    `StageError` where the hub, the data set, its config or its split is not to be had; `serves` says what would do
    instead.
    """
    quiet.environment()
    import datasets
    from huggingface_hub import constants

    # The hub client's own name for its HTTP library's error: the library differs by version.
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    datasets.disable_progress_bars()
    try:
        builder = datasets.load_dataset_builder(dataset, config, revision=revision)
        _check(builder, dataset)
        if stream and not constants.HF_HUB_OFFLINE:
            data = builder.as_streaming_dataset(split=split)
        else:
            builder.download_and_prepare()
            data = builder.as_dataset(split=split)
        yield from enumerate(data, start=1)
    except (OSError, ValueError, RuntimeError, HTTPError, datasets.exceptions.DatasetsError) as error:
        # RuntimeError: a data set that is a program, which the library has ceased to run.
        raise _unreachable(dataset, config, split, error, serves) from error


def _check(builder: Any, dataset: str) -> None:
    """Raise `StageError` unless the data set is of a form that holds data alone, in files of the hub's (or, of a folder
    in a hub data set's place, in its own).
    """
    form = type(builder).__module__.rpartition(".")[2]
    if form not in FORMS:
        raise StageError(
            f"The data set {dataset!r} is of the form {form!r}; of a hub's, those in Parquet and JSON are read.",
            "The hub has most data sets as Parquet too: write revision: refs/convert/parquet.",
        )
    files = [str(file) for split in (builder.config.data_files or {}).values() for file in split]
    if strange := [file for file in files if not file.startswith(("hf://datasets/", f"{dataset}/"))]:
        raise StageError(
            f"The data set {dataset!r} names a file that is not the hub's: {strange[0]}.",
            "Take another data set, or a copy of this one that you have looked at, as jsonl:PATH or parquet:PATH.",
        )


def commit(dataset: str, config: str | None, split: str, revision: str | None, *, serves: str) -> str:
    """`DATASET@COMMIT`: the commit that `revision` (None: the newest) stands for.

    A full commit stands for itself; else the hub is asked, else the local cache's. Raises `StageError` where
    neither knows.
    """
    revision = revision or "main"
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return f"{dataset}@{revision}"
    quiet.environment()
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    try:
        found = HfApi().dataset_info(dataset, revision=revision, timeout=ANSWER_SECONDS).sha
    except (OSError, ValueError, HTTPError) as error:
        ref = Path(HF_HUB_CACHE) / f"datasets--{dataset.replace('/', '--')}" / "refs" / revision
        if not ref.is_file():
            raise _unreachable(dataset, config, split, error, serves) from error
        found = ref.read_text().strip()
    return f"{dataset}@{found}"


def _unreachable(dataset: str, config: str | None, split: str, error: Exception, serves: str) -> StageError:
    reason = " ".join(str(error).split())
    return StageError(
        f"The data set {dataset!r} could not be read from the hub ({type(error).__name__}: {reason[:300]}).",
        f"Check its name, config ({config}), split ({split}) and the network (HF_HUB_OFFLINE); or give a local copy:"
        f" {serves}.",
    )
