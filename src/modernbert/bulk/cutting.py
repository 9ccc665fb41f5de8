"""Documents to ids: whole where they fit, else by the job's policy for long ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from modernbert.bulk.config import Long
from modernbert.tasks.tag import Tagger
from modernbert.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One document, ready to be run."""

    pieces: list[list[int]]
    """Ids with special tokens; one, unless the document is longer than the model takes."""
    num_tokens: int
    """Of the whole document, special tokens left out."""
    weights: list[int]
    """How much each piece counts in a mean: its tokens, special ones and prompt left out."""
    num_unread: int = 0
    """Of its tokens, how many are in no piece."""
    meant: object = None
    """What a head needs to read the results, such as the places of words."""


class Cutter(Protocol):
    """Equal cutters give equal ids, so that heads which have one can share a pass."""

    def cut(self, texts: Sequence[str], long: Long) -> list[Cut]:
        """One a text, in order."""
        ...


class TextCutter:
    """Of text as it is, behind a prompt if there is one."""

    def __init__(self, tokenizer: Tokenizer, *, longest: int, prompt: str = "") -> None:
        """Take a tokenizer.

        Args:
            longest: tokens of a piece, special ones and prompt included.
        """
        self.longest = longest
        self.prompt = prompt
        self._tokenizer = tokenizer
        self._before = tokenizer.encode([prompt], special=False).ids[0] if prompt else []
        self._room = longest - len(tokenizer.enclose([]))

    def cut(self, texts: Sequence[str], long: Long) -> list[Cut]:
        """A document that fits is what the predictors make of it, prompt and text encoded as one."""
        whole = self._tokenizer.encode([self.prompt + text for text in texts], special=False).ids
        return [self._cut(text, ids, long) for text, ids in zip(texts, whole, strict=True)]

    def _cut(self, text: str, ids: list[int], long: Long) -> Cut:
        num_tokens = max(0, len(ids) - len(self._before))
        if len(ids) <= self._room:
            return Cut(pieces=[self._tokenizer.enclose(ids)], num_tokens=num_tokens, weights=[1])
        if long == "head":
            return Cut(
                pieces=[self._tokenizer.enclose(ids[: self._room])],
                num_tokens=num_tokens,
                weights=[1],
                num_unread=len(ids) - self._room,
            )
        own = self._tokenizer.encode([text], special=False).ids[0] if self._before else ids
        room = self._room - len(self._before)
        size = -(-len(own) // -(-len(own) // room))  # pieces of one size: a short rest would say little
        parts = [own[i : i + size] for i in range(0, len(own), size)]
        return Cut(
            pieces=[self._tokenizer.enclose([*self._before, *part]) for part in parts],
            num_tokens=len(own),
            weights=[len(part) for part in parts],
        )


class WordCutter:
    """Of words, cut between them: a tag belongs to one word, so pieces need no policy but for being left out."""

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger

    def cut(self, texts: Sequence[str], long: Long) -> list[Cut]:
        """The words of each text and where they stand go along."""
        special = len(self._tagger.tokenizer.enclose([]))
        found = []
        for (words, parts), pieces in self._tagger.cut(texts):
            kept = 1 if long == "head" else len(parts)
            tokens = [len(piece) - special for piece in pieces]
            found.append(
                Cut(
                    pieces=pieces[:kept],
                    num_tokens=sum(tokens),
                    weights=tokens[:kept],
                    num_unread=sum(tokens[kept:]),
                    meant=(words, parts[:kept]),
                )
            )
        return found
