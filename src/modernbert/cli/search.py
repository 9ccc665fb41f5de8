"""`modernbert search`: a question to lines of files."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

if TYPE_CHECKING:
    from modernbert.retrieval.searcher import Found, Searcher

_WAIT_S = 2.0
"""For whoever writes the index and may be done soon; afterwards its last commit is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Find what answers a question in files that `modernbert index` has read; those that changed since are read first."""

    query: tyro.conf.Positional[str]
    """Words, "literals" and /patterns/ that must be there, names of code; all in one."""
    folder: Annotated[Path | None, tyro.conf.arg(name="in")] = None
    """The folder of the index; absent: .modernbert-index here, or in the nearest folder above."""
    top_k: int = 10
    """Most chunks that are shown."""
    where: tuple[str, ...] = ()
    """Filters that all have to hold, such as path=src/* language=python year>=2020."""
    mode: Literal["hybrid", "dense", "lexical"] = "hybrid"
    """Compare vectors, or words, or both; words alone need no model."""
    context: int | None = None
    """Print one text of so many tokens for a language model instead, with citations."""
    no_refresh: bool = False
    """Ask the index as it is."""
    json: bool = False
    """Print one JSON object a chunk."""
    verbose: Annotated[bool, tyro.conf.arg(aliases=["-v"])] = False
    """Print scores."""

    def run(self) -> None:
        """Refresh, search and print."""
        from modernbert.core.errors import UserError
        from modernbert.core.log import say
        from modernbert.retrieval.documents.query import parse_query
        from modernbert.retrieval.doors.repository import Repository, folders_of
        from modernbert.retrieval.searcher import Searcher

        if self.context is not None and (self.where or self.mode != "hybrid"):
            raise UserError("--context: takes no --where and no --mode, expected the query alone: drop them")
        parse_query(self.query)  # a mistake is told before files are read
        name, folder = folders_of([self.folder] if self.folder else []).popitem()
        if self.no_refresh:
            with Searcher.open(folder, read_only=True) as searcher:
                self._answer(searcher)
            return
        with Repository(name, folder, wait_s=_WAIT_S) as repository:
            say(repository.renew())
            self._answer(repository.searcher)

    def _answer(self, searcher: "Searcher") -> None:
        from modernbert.core.log import say

        if self.context is not None:
            self._put_context(searcher)
            return
        found = searcher.search(self.query, top_k=self.top_k, where=self.where or None, mode=self.mode)
        if not found:
            say(f"found nothing for {self.query!r}")
        for number, one in enumerate(found):
            self._put(one, number)

    def _put_context(self, searcher: "Searcher") -> None:
        import json

        assert self.context is not None
        context = searcher.context(self.query, budget=self.context)
        if not self.json:
            print(context.text)
            return
        whole = {
            "text": context.text, "citations": [one.to_json() for one in context.citations], "size": context.size,
            "num_left_out": context.num_left_out,
        }  # fmt: skip
        print(json.dumps(whole, ensure_ascii=False))

    def _put(self, one: "Found", number: int) -> None:
        import json

        if self.json:
            print(json.dumps({**one.to_json(), "snippet": one.snippet().to_json()}, ensure_ascii=False))
            return
        color = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        if number:
            print()
        print(_heading(one, color=color, scores=self.verbose))
        print(one.snippet().to_text(color=color))


def _heading(one: "Found", *, color: bool, scores: bool) -> str:
    place = f"{_path(one.path)}:{one.first_line}"
    if color:
        place = f"\033[1m{place}\033[0m"
    legs = ", ".join(f"{name} {score:.4f}" for name, score in one.legs.items())
    return place + (f"  {one.symbol}" if one.symbol else "") + (f"  {one.score:.4f} ({legs})" if scores else "")


def _path(path: str) -> str:
    """As seen from here, where it is below."""
    here = os.getcwd()
    return os.path.relpath(path, here) if Path(path).is_relative_to(here) else path
