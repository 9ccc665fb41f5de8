"""What an assistant may ask of indexes, and the short texts that it gets: paths, lines, and the lines themselves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modernbert.core.errors import UserError
from modernbert.retrieval.doors.arguments import Argument, checked
from modernbert.retrieval.doors.reading import paths_in, read_lines
from modernbert.retrieval.doors.repository import Repository
from modernbert.retrieval.searcher import Found

CHARACTERS = 3
"""Of a token, for the room of an answer: fewer than English and code have, for nobody knows the assistant's tokenizer."""
_LAST = 10**9
_INDEX = Argument(about="Name of one index, from list_indexes; needed where there are several and this must be one.")


@dataclass(frozen=True, slots=True)
class Tool:
    """One thing to ask for."""

    about: str
    arguments: Mapping[str, Argument]
    is_read_only: bool
    answer: Callable[..., list[str]]


class Tools:
    """The tools over some open indexes."""

    def __init__(self, repositories: Sequence[Repository], *, room: int = 2000) -> None:
        """Answers take at most so many tokens; `context` has a budget of its own."""
        self._repositories = repositories
        self._room = room * CHARACTERS
        self.by_name = {
            "search": Tool(
                "Find passages of the user's documents or code by meaning and by words. Gives path:first-last line and the"
                " lines that matched. A query may hold plain words, \"literals\" and /patterns/ that must stand there, and"
                " names of code.",
                {
                    "query": Argument(about="What to look for.", is_required=True),
                    "top_k": Argument(about="Most passages.", default=5, least=1, most=50),
                    "where": Argument(
                        about="Filters that all have to hold, such as path=src/* or language=python.", many=True
                    ),
                    "mode": Argument(
                        about="Compare words (lexical), meaning (dense), or both.", default="hybrid",
                        choices=("hybrid", "dense", "lexical"),
                    ),
                    "index": Argument(about="Name of one index to search; absent: all."),
                },
                True,
                self._search,
            ),
            "context": Tool(
                "The best passages for a question as one text within a budget of tokens, each with a citation such as"
                " [1] path:12-40.",
                {
                    "query": Argument(about="The question.", is_required=True),
                    "budget": Argument(about="Most tokens of the text.", default=2000, least=1),
                    "index": _INDEX,
                },
                True,
                self._context,
            ),
            "read": Tool(
                "Lines of one file of an index.",
                {
                    "path": Argument(about="A path as search gives it, or as seen from the index's root.", is_required=True),
                    "first_line": Argument(about="From 1.", default=1, least=1),
                    "last_line": Argument(about="Inclusive; absent: as far as the answer may go.", default=_LAST, least=1),
                    "index": _INDEX,
                },
                True,
                self._read,
            ),
            "refresh": Tool(
                "Read what changed in the files now, and say what that was. The other tools do so before they answer.",
                {"index": Argument(about="Name of one index; absent: all.")},
                False,
                self._refresh,
            ),
            "list_indexes": Tool("What can be searched: names, sizes and paths.", {}, True, self._list),
        }  # fmt: skip

    def answer(self, name: str, arguments: Mapping[str, Any]) -> list[str]:
        """The answer of a tool: a text, and notes on what it rests on.

        Raises:
            UserError: no such tool, arguments that cannot be meant, or what the index says.
        """
        tool = self.by_name.get(name)
        if tool is None:
            raise UserError(f"{name!r}: no such tool, expected one of {', '.join(self.by_name)}")
        return tool.answer(**checked(name, tool.arguments, arguments))

    def _search(self, *, query: str, top_k: int, where: Any, mode: Any, index: str | None) -> list[str]:
        asked = self._chosen(index)
        notes = _renewed(asked)
        found = [
            (rank, place, repository, one)
            for place, repository in enumerate(asked)
            for rank, one in enumerate(repository.searcher.search(query, top_k=top_k, where=where, mode=mode))
        ]  # ranks, for the scores of two indexes cannot be compared
        ordered = sorted(found, key=lambda one: one[:2])[:top_k]
        entries = [self._entry(repository, one) for _, _, repository, one in ordered]
        return [*(self._fitting(entries) or [f"found nothing for {query!r}"]), *notes]

    def _context(self, *, query: str, budget: int, index: str | None) -> list[str]:
        repository = self._one(index)
        notes = _renewed([repository])
        context = repository.searcher.context(query, budget=budget)
        if context.text:
            return [context.text, *notes]
        if context.num_left_out:
            raise UserError(f"budget: nothing fits into {budget:,} tokens, expected more")
        return [f"found nothing for {query!r}", *notes]

    def _read(self, *, path: str, first_line: int, last_line: int, index: str | None) -> list[str]:
        asked = self._chosen(index)
        _renewed(asked)
        places = {place: one for one in asked for place in paths_in(one.searcher, path)}
        if not places:
            raise UserError(f"{path}: no index has such a file, expected a path as search gives it: search first")
        if len(places) > 1:
            raise UserError(f"{path}: found {len(places)} files of this name, expected one of {', '.join(places)}")
        (place,) = places
        lines = read_lines(place, first_line, last_line, room=self._room)
        last = first_line + len(lines.lines) - 1
        head = f"{place}:{first_line}-{last} of {lines.num_lines:,} lines"
        return ["\n".join([head, *(f"{number}  {row}" for number, row in enumerate(lines.lines, start=first_line))])]

    def _refresh(self, *, index: str | None) -> list[str]:
        return [one.renew() for one in self._chosen(index)]

    def _list(self) -> list[str]:
        return [one.describe() for one in self._repositories]

    def _entry(self, repository: Repository, one: Found) -> str:
        shown = one.snippet()
        name = f"[{repository.name}] " if len(self._repositories) > 1 else ""
        what = f"  {one.kind} {one.symbol}".rstrip() if one.symbol else ""
        head = f"{name}{one.path}:{one.first_line}-{one.last_line}{what}"
        return "\n".join([head, shown.to_text(color=False), *(["…"] if shown.is_cut else [])])

    def _fitting(self, entries: Sequence[str]) -> list[str]:
        """As many as there is room for, the first one always; what is left out is said."""
        shown, room = list[str](), self._room
        for entry in entries:
            room -= len(entry) + 2
            if room < 0 and shown:
                break
            shown.append(entry)
        if left_out := len(entries) - len(shown):
            shown.append(f"{left_out} more did not fit: narrow the query, or search with where")
        return shown

    def _chosen(self, index: str | None) -> Sequence[Repository]:
        if index is None:
            return self._repositories
        chosen = [one for one in self._repositories if one.name == index]
        if not chosen:
            raise UserError(f"index: found {index!r}, expected {self._names()}")
        return chosen

    def _one(self, index: str | None) -> Repository:
        chosen = self._chosen(index)
        if len(chosen) > 1:
            raise UserError(f"index: found none of {len(chosen)}, expected {self._names()}: name the one to ask")
        return chosen[0]

    def _names(self) -> str:
        return " or ".join(one.name for one in self._repositories)


def _renewed(repositories: Sequence[Repository]) -> list[str]:
    """Bring them up to date; notes on those that could not be."""
    notes = []
    for one in repositories:
        try:
            report = one.renew()
        except UserError as error:
            notes.append(f"{one.name}: as it was, for it could not be refreshed: {error}")
            continue
        if one.owner is not None:
            notes.append(report)
    return notes
