"""Models to the Hugging Face Hub: one branch each, as Pythia's steps are, and the last one as main too."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from modernbert.core.errors import UserError
from modernbert.model.card import card
from modernbert.model.revisions import Revision

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@runtime_checkable  # the tests check every annotation
class Hub(Protocol):
    """What publishing needs of `huggingface_hub.HfApi`."""

    def create_repo(self, repo_id: str, *, private: bool | None, exist_ok: bool) -> object:  # noqa: D102
        ...

    def create_branch(self, repo_id: str, *, branch: str, exist_ok: bool) -> object:  # noqa: D102
        ...

    def create_commit(  # noqa: D102
        self, repo_id: str, operations: Iterable, *, commit_message: str, revision: str
    ) -> object: ...


def publish(
    series: Sequence[Revision], repo: str, hub: Hub, *, private: bool = False, license_id: str | None = None
) -> None:
    """Make the repository and the branches where they are missing, and one commit a branch, main last.

    Again after a failure it goes on where it was: the Hub skips files that it has.

    Raises:
        UserError: `repo` is not owner/name, or the Hub refused or could not be reached.
    """
    from huggingface_hub import CommitOperationAdd
    from huggingface_hub.errors import HTTPError  # pyright: ignore[reportPrivateImportUsage]  (of the httpx it is built on)

    check_repo(repo)
    try:
        hub.create_repo(repo, private=private, exist_ok=True)
        for one, branch in (*((one, one.name) for one in series), (series[-1], "main")):
            if branch != "main":
                hub.create_branch(repo, branch=branch, exist_ok=True)
            text = card(one, series, repo, is_main=branch == "main", license_id=license_id)
            operations = [CommitOperationAdd(path.relative_to(one.folder).as_posix(), path) for path in one.files]
            operations.append(CommitOperationAdd("README.md", text.encode()))
            hub.create_commit(repo, operations, commit_message=f"Publish {one.name}", revision=branch)
    except (HTTPError, OSError) as error:
        raise _refused(repo, error) from error


def publish_folder(folder: Path, repo: str, hub: Hub, *, private: bool = False) -> None:
    """One model with the card that lies in its folder, as main; again after a failure it goes on where it was.

    Raises:
        UserError: `repo` is not owner/name, the folder is empty, or the Hub refused or could not be reached.
    """
    from huggingface_hub import CommitOperationAdd
    from huggingface_hub.errors import HTTPError  # pyright: ignore[reportPrivateImportUsage]

    check_repo(repo)
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    if not files:
        raise UserError(f"{folder}: found no file to upload, expected a model's folder: train first")
    try:
        hub.create_repo(repo, private=private, exist_ok=True)
        operations = [CommitOperationAdd(path.relative_to(folder).as_posix(), path) for path in files]
        hub.create_commit(repo, operations, commit_message=f"Upload {folder.name}", revision="main")
    except (HTTPError, OSError) as error:
        raise _refused(repo, error) from error


def _refused(repo: str, error: Exception) -> UserError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return UserError(
        f"the Hub did not take {repo} ({reason}): check the connection, the name, and that `hf auth login` was done "
        "with a token that may write; the same command goes on where it stopped"
    )


def check_repo(repo: str) -> None:
    """Stop before the first upload.

    Raises:
        UserError: `repo` is not owner/name.
    """
    if _REPO.fullmatch(repo) is None:
        raise UserError(f"found {repo!r}, expected the Hub's owner/name, such as our-team/our-model: give both")
