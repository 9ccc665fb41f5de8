"""What reading, masking and measuring need to know of a tokenizer; small enough to be stored beside the tokens."""

from dataclasses import dataclass
from typing import Self

from modernbert.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Ids by their part in a batch."""

    size: int
    """All ids together, unused ones included: the rows of the embedding."""
    num_ordinary: int
    """Ids below this are ordinary or special tokens in use; those from here on are unused."""
    cls_id: int
    sep_id: int
    pad_id: int
    mask_id: int
    special_ids: frozenset[int]
    """Never hidden, never a replacement: [CLS], [SEP] and the like, [MASK] included."""

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Self:
        """The vocabulary of a tokenizer."""
        return cls(
            size=tokenizer.vocab_size,
            num_ordinary=tokenizer.vocab_size - tokenizer.num_unused,
            cls_id=tokenizer.cls_id,
            sep_id=tokenizer.sep_id,
            pad_id=tokenizer.pad_id,
            mask_id=tokenizer.mask_id,
            special_ids=tokenizer.special_ids,
        )
