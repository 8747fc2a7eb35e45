"""Pushing an exported folder to a model hub: only where the person says so, into a repository that is new or empty.

Everything that can be known before (is there a token, does the hub take it, is there something in the repository
already) is asked before the first byte of the export is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from distill_app.errors import StageError, UsageError
from distill_app.students import quiet

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Kind = Literal["model", "dataset"]
LOGIN = "`hf auth login` stores one, or set HF_TOKEN to one that may write. Without --push the export stays here."
_OWN = frozenset({".gitattributes"})
"""What the hub itself puts into a new repository."""


@dataclass(frozen=True, slots=True)
class Target:
    """A repository: its id (OWNER/NAME, or NAME under one's own account) and what it is to hold."""

    repo: str
    kind: Kind


def api() -> HfApi:
    """The hub as the environment names it (HF_ENDPOINT, HF_TOKEN or a stored login). `UsageError` without a token."""
    quiet.environment()
    from huggingface_hub import HfApi, get_token

    if get_token() is None:
        raise UsageError("Pushing needs a token of the model hub, and there is none.", LOGIN)
    return HfApi()


def check(hub: HfApi, target: Target, *, replace: bool) -> Target:
    """The target by its full id, after the hub has said that it knows the caller and that nothing would be covered.

    Raises `UsageError` for a name that no repository can have, a token the hub refuses, a hub that cannot be reached,
    and, unless `replace`, a repository that holds files.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(target.repo)
    except HFValidationError as error:
        raise UsageError(f"No repository can be called {target.repo!r}.", str(error).partition("\n")[0]) from error
    with _reached(hub):
        try:
            account = hub.whoami()["name"]
        except HfHubHTTPError as error:
            raise UsageError(f"The hub at {hub.endpoint} refuses the token ({_status(error)}).", LOGIN) from error
        repo = target.repo if "/" in target.repo else f"{account}/{target.repo}"
        try:
            files = set(hub.list_repo_files(repo, repo_type=target.kind)) - _OWN
        except RepositoryNotFoundError:
            files = set()
    if files and not replace:
        shown = ", ".join(sorted(files)[:3])
        raise UsageError(
            f"The {target.kind} repository {repo} holds {len(files)} files already ({shown}).",
            "Name a new one, or say --force to replace what it holds.",
        )
    return Target(repo, target.kind)


def push(
    hub: HfApi, folder: Path, target: Target, *, public: bool, replace: bool, message: str, say: Callable[[str], None]
) -> str:
    """Upload a whole folder and return the repository's address.

    A repository that is not there is made, private unless `public`; one that is keeps its visibility. With `replace`
    files that are not in the folder are deleted from it. `StageError` where the hub refuses or is lost on the way: the
    folder stays, and how to go on is said.
    """
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    disable_progress_bars()
    say(f"Pushing {folder} to the {target.kind} repository {target.repo}.")
    later = f"The export is whole in {folder}: `hf upload {target.repo} {folder} --repo-type {target.kind}` sends it."
    with _reached(hub, later):
        try:
            made = hub.create_repo(target.repo, repo_type=target.kind, private=not public, exist_ok=True)
            hub.upload_folder(
                repo_id=target.repo,
                repo_type=target.kind,
                folder_path=folder,
                commit_message=message,
                delete_patterns=["*"] if replace else None,
            )
        except HfHubHTTPError as error:
            raise StageError(f"The hub refused what was pushed to {target.repo} ({_status(error)}).", later) from error
    return str(made)


@contextmanager
def _reached(hub: HfApi, later: str | None = None) -> Iterator[None]:
    """What it means where the hub cannot be reached: a wrong call before anything was done (`later` None), else a
    failure to go on from."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]

    try:
        yield
    except HfHubHTTPError as error:
        raise UsageError(f"The hub at {hub.endpoint} refuses the request ({_status(error)}).", LOGIN) from error
    except (HTTPError, OSError) as error:
        said = f"The hub at {hub.endpoint} cannot be reached ({type(error).__name__}: {_first_line(error)})."
        if later is None:
            raise UsageError(said, "Nothing was exported. Without --push the export stays here.") from error
        raise StageError(said, later) from error


def _status(error: Exception) -> str:
    """The hub's answer in a line; never the request, which holds the token."""
    response = getattr(error, "response", None)
    return f"status {response.status_code}" if response is not None else _first_line(error)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
