"""A Hub in memory: repositories are branches, branches are files, every commit adds to one."""

from collections.abc import Iterable
from pathlib import Path

from huggingface_hub import CommitOperationAdd


class MemoryHub:
    """Keeps what `huggingface_hub.HfApi` would upload; as strict about branches that are not there."""

    def __init__(self, *, fails_at: str = "") -> None:
        self.branches: dict[str, dict[str, bytes]] = {}
        self.commits: list[tuple[str, str]] = []
        self.is_private: bool | None = None
        self.fails_at = fails_at

    def create_repo(self, repo_id: str, *, private: bool | None, exist_ok: bool) -> object:
        assert exist_ok
        if not self.branches:
            self.branches["main"] = {".gitattributes": b""}
            self.is_private = private
        return repo_id

    def create_branch(self, repo_id: str, *, branch: str, exist_ok: bool) -> object:
        assert exist_ok
        self.branches.setdefault(branch, dict(self.branches["main"]))
        return repo_id

    def create_commit(
        self, repo_id: str, operations: Iterable[CommitOperationAdd], *, commit_message: str, revision: str
    ) -> object:
        if revision == self.fails_at:
            raise ConnectionError("connection reset by peer\nand much more")
        for operation in operations:
            source = operation.path_or_fileobj
            assert isinstance(source, bytes | str | Path)
            content = source if isinstance(source, bytes) else Path(source).read_bytes()
            self.branches[revision][operation.path_in_repo] = content
        self.commits.append((revision, commit_message))
        return repo_id
