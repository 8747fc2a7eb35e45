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


def rows(
    dataset: str, config: str | None, split: str, revision: str | None, *, serves: str, stream: bool = False
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The rows of one split in order, each with its number from 1.

    `stream` reads them as they come and keeps none on disk, for data sets that are read once and may be huge; a
    hub that is switched off (HF_HUB_OFFLINE) serves from its cache, which a stream cannot. Raises `StageError`
    where the hub, the data set, its config or its split is not to be had; `serves` says what would do instead.
    """
    quiet.environment()
    import datasets
    from huggingface_hub import constants

    # The hub client's own name for its HTTP library's error: the library differs by version.
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    datasets.disable_progress_bars()
    try:
        data = datasets.load_dataset(
            dataset, config, split=split, revision=revision, streaming=stream and not constants.HF_HUB_OFFLINE
        )
        yield from enumerate(data, start=1)
    except (OSError, ValueError, HTTPError, datasets.exceptions.DatasetsError) as error:
        raise _unreachable(dataset, config, split, error, serves) from error


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
