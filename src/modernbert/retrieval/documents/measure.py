"""How large a part of a text is: in characters, or in tokens when somebody can count them."""

from collections.abc import Callable, Sequence

Count = Callable[[Sequence[str]], Sequence[int]]
"""The sizes of several texts at once, which is how tokenizers are fast."""

Part = tuple[int, int]
"""From a character to before another."""


class Measure:
    """Sizes of parts of one text. The size of several parts is taken as the sum: a tokenizer that joins over their border
    gives fewer."""

    def __init__(self, text: str, count: Count | None) -> None:
        self.text = text
        self._count = count

    def __call__(self, parts: Sequence[Part]) -> list[int]:
        """One size a part."""
        if self._count is None:
            return [end - start for start, end in parts]
        return list(self._count([self.text[start:end] for start, end in parts])) if parts else []
