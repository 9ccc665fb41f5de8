"""The indexes that a server may be asked: named when it starts, and never by a path of a request."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from modernbert.core.errors import UserError
from modernbert.infer.desk import Desk
from modernbert.retrieval.documents.find import roots_of
from modernbert.retrieval.documents.query import parse_query
from modernbert.retrieval.index.search import Mode
from modernbert.retrieval.search.choices import index_in
from modernbert.retrieval.searcher import Found, Searcher
from modernbert.serve.errors import ApiError
from modernbert.serve.opening import engines_of
from modernbert.serve.turn import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One open index; those who search it take turns."""

    name: str
    searcher: Searcher
    turn: Turn

    def search(self, query: str, *, top_k: int, where: Sequence[str], mode: Mode) -> list[Found]:
        """The best chunks, best first.

        Raises:
            UserError: the query is empty or has a pattern, or a filter cannot be read.
        """
        if parse_query(query).patterns:
            raise UserError(
                'query: found a /pattern/, expected words and "literals": a pattern may take for ever, so a server takes none'
            )
        with self.turn.taken():
            return self.searcher.search(query, top_k=top_k, where=list(where) or None, mode=mode)

    def place(self, path: str) -> str:
        """A file as it is called within its root, whose own place on this machine is nobody's business."""
        for root in roots_of(self.searcher.choices.paths):
            if Path(path).is_relative_to(root.path):
                return (Path(root.name) / Path(path).relative_to(root.path)).as_posix()
        return Path(path).name


class Indexes:
    """All that a server has, by name."""

    def __init__(self, served: Sequence[Served]) -> None:
        self._served = {each.name: each for each in served}

    @classmethod
    def open(cls, said: Sequence[str], desk: Desk) -> Self:
        """Open each for reading, as it is now, with its model.

        Args:
            said: NAME=FOLDER each; the folder of the index, or the one that holds `.modernbert-index`.
            desk: where questions become vectors.

        Raises:
            UserError: there is no index, or two have one name.
        """
        served: dict[str, Served] = {}
        for each in said:
            name, _, folder = each.partition("=")
            if name in served:
                raise UserError(f"--index: found {name!r} twice, expected a name each: rename one")
            searcher = Searcher.open(index_in(Path(folder)), read_only=True)
            for engine in engines_of(searcher.encoders().model):
                engine.share(desk)
            served[name] = Served(name=name, searcher=searcher, turn=Turn())
        return cls(list(served.values()))

    def all(self) -> list[Served]:
        """In the order they were given."""
        return list(self._served.values())

    def find(self, name: str | None) -> Served:
        """By name; absent: the first.

        Raises:
            ApiError: 404, there is none of this name.
        """
        if not self._served:
            raise ApiError(404, "this server has no index: start it with --index NAME=FOLDER", param="index")
        if name is None:
            return next(iter(self._served.values()))
        if name not in self._served:
            raise ApiError(
                404, f"index: found {name[:100]!r}, expected one of {', '.join(self._served)}", param="index"
            )
        return self._served[name]
