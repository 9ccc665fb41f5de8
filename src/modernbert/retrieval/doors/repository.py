"""An index folder as a server keeps it: owned and always fresh, or seen beside its owner."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from modernbert.core.errors import UserError
from modernbert.core.lock import InUseError
from modernbert.retrieval.documents.find import roots_of
from modernbert.retrieval.index.manifest import read_manifest
from modernbert.retrieval.search.choices import FOLDER, INDEX, index_in, nearest
from modernbert.retrieval.searcher import Searcher


class Repository:
    """One index. While another process owns it, this is a view of that one's last commit."""

    def __init__(self, name: str, folder: Path, *, wait_s: float = 0.0) -> None:
        """Open it.

        Args:
            wait_s: how long to wait for an owner that may be done soon, before it is only seen.

        Raises:
            UserError: there is no index, or it is damaged.
        """
        self.name, self.folder = name, folder
        self.owner: str | None = None
        """The sentence that says who else owns it; None when it is ours."""
        self._seen = -1
        self.searcher = self._open(wait_s)

    def renew(self) -> str:
        """Be as new as can be, and say in one line what that took or why it cannot be."""
        if self.owner is not None:
            self._take_over()
        if self.owner is not None:
            return f"{self.name}: read-only, as of the last commit; {self.owner}"
        done = self.searcher.refresh()
        return f"{self.name}: {done.report}; {done.chunks_encoded:,} chunks encoded"

    def describe(self) -> str:
        """One line: what it holds."""
        choices = self.searcher.choices
        kind = "code" if choices.code else "documents"
        state = "" if self.owner is None else f"; read-only, as of the last commit; {self.owner}"
        return f"{self.name}: {len(self.searcher):,} chunks of {kind} in {', '.join(choices.paths)}{state}"

    def close(self) -> None:
        """Let go of the folder."""
        self.searcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, wait_s: float) -> Searcher:
        manifest = read_manifest(self.folder / INDEX)
        self._seen = -1 if manifest is None else manifest.commit
        try:
            searcher = Searcher.open(self.folder, wait_s=wait_s)
        except InUseError as in_use:
            self.owner = f"it is in use by {in_use.holder}"
            return Searcher.open(self.folder, read_only=True)
        self.owner = None
        return searcher

    def _take_over(self) -> None:
        """Own it if its owner is gone; else see what that one has committed since."""
        try:
            owned = Searcher.open(self.folder)
        except InUseError as in_use:
            self.owner = f"it is in use by {in_use.holder}"
            manifest = read_manifest(self.folder / INDEX)
            if manifest is None or manifest.commit == self._seen:
                return
            self._seen = manifest.commit
            owned = Searcher.open(self.folder, read_only=True)
        else:
            self.owner = None
        self.searcher.close()
        self.searcher = owned


def folders_of(words: Sequence[str | Path]) -> dict[str, Path]:
    """The index folders meant, by name: that of the folder which holds `.modernbert-index`, or the index's own.

    None named: the nearest one, here or above.

    Raises:
        UserError: a folder holds no index, or one is named twice.
    """
    if not words:
        words = [nearest(Path.cwd())]
    folders = [index_in(Path(word)) for word in words]
    for folder in folders:
        if folders.count(folder) > 1:
            raise UserError(f"{folder}: found twice, expected every index once: name it once")
    homes = [folder.parent if folder.name == FOLDER else folder for folder in folders]
    return dict(zip((root.name for root in roots_of(homes)), folders, strict=True))
