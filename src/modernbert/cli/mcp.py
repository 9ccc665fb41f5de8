"""`modernbert mcp`: indexes as tools of an assistant."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True, slots=True, kw_only=True)
class Mcp:
    """Let an assistant search: a server of the Model Context Protocol on stdin and stdout, which the assistant starts."""

    folders: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Folders that `modernbert index` made, or those that hold one; absent: the nearest, here or above."""
    room: int = 2000
    """Most tokens of an answer, at three characters each."""

    def run(self) -> None:
        """Open and serve until stdin ends."""
        from contextlib import ExitStack

        from modernbert.core.errors import UserError, require
        from modernbert.core.log import say

        if self.room < 100:
            raise UserError(f"--room {self.room}: expected 100 tokens or more")
        require("mcp", extra="mcp")

        from modernbert.retrieval.doors.mcp import serve
        from modernbert.retrieval.doors.repository import Repository, folders_of

        with ExitStack() as opened:
            repositories = [
                opened.enter_context(Repository(name, folder)) for name, folder in folders_of(self.folders).items()
            ]
            for one in repositories:
                say(one.describe())
            serve(repositories, room=self.room)
