"""The model hub: which commit a name means, and its files on this machine. Asked only where nothing local knows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from distill_app.errors import StageError, UsageError
from distill_app.students import builtin, quiet

ANSWER_SECONDS = 10.0
"""How long the hub may take to say which commit a name means."""

_COMMIT = re.compile(r"[0-9a-f]{40}")
_FILES = ("*.json", "*.safetensors", "*.jinja", "tokenizer.model", "merges.txt", "LICENSE*", "README.md")


def serves(model: str) -> str:
    """What a user without the hub can do instead of naming `model`."""
    return (
        f"What would serve: a folder that holds the model, {builtin.PREFIX}{next(iter(builtin.BUILTINS))}, or "
        f"`hf download {model}` on a machine with network and its hub cache copied here (HF_HOME)."
    )


def resolve(model: str, revision: str | None) -> tuple[str, int | None]:
    """The commit `revision` (None: the main branch) of `model` stands for, and its parameters where the hub says.

    A full commit stands for itself; else the local hub cache is looked in, then the hub is asked. `UsageError`
    where the hub does not know the model or the revision, or cannot be reached.
    """
    if revision is not None and _COMMIT.fullmatch(revision):
        return revision, None
    ref = _repository(model) / "refs" / (revision or "main")
    if ref.is_file():
        return ref.read_text().strip(), None
    return _ask(model, revision)


def snapshot(model: str, commit: str) -> Path:
    """Where the local hub cache keeps that commit, whether it is there or not."""
    return _repository(model) / "snapshots" / commit


def _repository(model: str) -> Path:
    quiet.environment()
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}"


def _ask(model: str, revision: str | None) -> tuple[str, int | None]:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError, RepositoryNotFoundError, RevisionNotFoundError  # type: ignore[attr-defined]

    try:
        info = HfApi().model_info(model, revision=revision, timeout=ANSWER_SECONDS)
    except RevisionNotFoundError as error:
        raise UsageError(f"The hub's {model} has no revision {revision!r}.", "Give a commit, tag or branch.") from error
    except RepositoryNotFoundError as error:
        raise UsageError(
            f"The hub has no model {model}, or it is private or gated and you are not logged in.",
            "Check the name; `hf auth login` gives access to models you may see.",
        ) from error
    except (HTTPError, OSError) as error:
        raise UsageError(
            f"{model} is no folder here, and which commit it stands for could not be asked of the hub "
            f"({type(error).__name__}: {_first_line(error)}).",
            serves(model),
        ) from error
    return str(info.sha), info.safetensors.total if info.safetensors is not None else None


def download(model: str, commit: str, parameters: int | None, say: Callable[[str], None]) -> Path:
    """Bring what loading needs of that commit into the local hub cache; `StageError` where that fails."""
    quiet.environment()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HTTPError  # type: ignore[attr-defined]
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    disable_progress_bars()
    about = f", {parameters / 1e9:.1f} B parameters" if parameters else ""
    say(f"Downloading {model} (commit {commit[:8]}{about}) from the hub.")
    try:
        return Path(snapshot_download(model, revision=commit, allow_patterns=list(_FILES)))
    except GatedRepoError as error:
        raise StageError(
            f"{model} is gated: the hub wants you to accept its terms first.",
            "Accept them on the model's page, then run `hf auth login` and this command again.",
        ) from error
    except (HTTPError, OSError) as error:
        raise StageError(
            f"{model} could not be downloaded ({type(error).__name__}: {_first_line(error)}).", serves(model)
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
