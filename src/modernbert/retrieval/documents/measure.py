"""How large a part of a text is: in characters, or in tokens when somebody can count them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modernbert.text.tokenizer import Tokenizer

Count = Callable[[Sequence[str]], Sequence[int]]
"""The sizes of several texts at once, which is how tokenizers are fast."""

Part = tuple[int, int]
"""From a character to before another."""


def tokens_of(tokenizer: "Tokenizer") -> Count:
    """Sizes in tokens, the special ones around a text not counted."""

    def count(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in tokenizer.encode(texts, special=False, literal=True).ids]

    return count


class Measure:
    """Sizes of parts of one text. Those of several parts are added up, which is close but not exact for tokens."""

    def __init__(self, text: str, count: Count | None) -> None:
        self.text = text
        self._count = count

    @property
    def is_exact(self) -> bool:
        """Whether sizes add up."""
        return self._count is None

    def __call__(self, parts: Sequence[Part]) -> list[int]:
        """One size a part."""
        if self._count is None:
            return [end - start for start, end in parts]
        return list(self._count([self.text[start:end] for start, end in parts])) if parts else []
