"""The one loop under embedding, filling masks, classifying: texts in, one result a text out, in the caller's order.

Texts are read in large windows, sorted by length inside a window, and packed to a budget of tokens, so that no
batch is padded and none outgrows memory.

Shapes:  T tokens   D width
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeVar

import torch
from torch import nn

from modernbert.core.errors import UserError
from modernbert.core.log import progress, say
from modernbert.model.config import ModelConfig
from modernbert.ops.packed import Packed
from modernbert.text.tokenizer import Tokenizer

Result = TypeVar("Result")

TooLong = Literal["truncate", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much text goes through at once."""

    longest: int
    """Tokens a text may have, [CLS] and [SEP] included."""
    too_long: TooLong = "truncate"
    """What happens to a longer one: its end is cut off and the count is said, or the whole call is refused."""
    budget: int = 16_384
    """Tokens of a batch; a single text may be longer. Below that a CPU waits for Python, above it only memory grows."""
    window: int = 16_384
    """Texts read ahead and sorted by length together."""


def longest_text(config: ModelConfig, tokenizer: Tokenizer) -> int:
    """Tokens that the model was trained for and the tokenizer's files allow."""
    return min(config.max_position_embeddings, tokenizer.longest or config.max_position_embeddings)


class Engine:
    """Runs a model over any number of texts."""

    def __init__(self, model: nn.Module, tokenizer: Tokenizer, room: Room) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.room = room
        self._device = next(model.parameters()).device

    def run(
        self,
        texts: Iterable[str],
        read: Callable[[Packed], Sequence[Result]],
        *,
        show_progress: bool = False,
    ) -> Iterator[Result]:
        """One result a text, streaming, in order. `read` makes a batch's results, one a document.

        Raises:
            UserError: a text is not valid Unicode, or too long where that is refused.
        """
        texts = iter(texts)
        num_cut_texts = num_cut_tokens = num_read = 0
        with progress("speed") as bar:
            task = bar.add_task("texts", total=None) if show_progress else None
            while window := list(islice(texts, self.room.window)):
                documents, num_cut = self._tokenize(window, first=num_read)
                num_read += len(window)
                num_cut_texts += sum(cut > 0 for cut in num_cut)
                num_cut_tokens += sum(num_cut)
                results: list[Result | None] = [None] * len(documents)
                for members in batches([len(document) for document in documents], self.room.budget):
                    packed = Packed.from_lists([documents[i] for i in members], device=self._device)
                    with torch.inference_mode():
                        for i, result in zip(members, read(packed), strict=True):
                            results[i] = result
                    if task is not None:
                        bar.update(task, advance=len(members))
                yield from results  # type: ignore[misc]
        if num_cut_texts:
            say(
                f"{num_cut_texts} of {num_read} texts were longer than {self.room.longest:,} tokens: "
                f"{num_cut_tokens:,} tokens at their ends were not read"
            )

    def _tokenize(self, texts: list[str], *, first: int) -> tuple[list[list[int]], Sequence[int]]:
        encoded = self.tokenizer.encode(texts, longest=self.room.longest)
        if self.room.too_long == "refuse":
            for number, cut in enumerate(encoded.num_cut):
                if cut:
                    raise UserError(
                        f"text {first + number} has {self.room.longest + cut:,} tokens, expected {self.room.longest:,} "
                        "or fewer: split it, or let its end be cut off with too_long='truncate'"
                    )
        return encoded.ids, encoded.num_cut


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices of documents, longest first, in groups of at most `budget` tokens; one longer document goes alone.

    >>> list(batches([3, 9, 2, 4], budget=7))
    [[1], [3, 0], [2]]
    """
    group: list[int] = []
    tokens = 0
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if group and tokens + lengths[i] > budget:
            yield group
            group, tokens = [], 0
        group.append(i)
        tokens += lengths[i]
    if group:
        yield group
