"""Small corpora whose every token tells where it is from, and rows read back into their documents."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from modernbert.data.loader import MaskedBatch
from modernbert.data.masking import IGNORE
from modernbert.data.pieces import InMemory
from modernbert.data.vocabulary import Vocabulary

CLS, SEP, MASK = 1, 2, 3
FIRST = 10
"""The first ordinary id; those between the special ones and it are special, too."""

VOCABULARY = Vocabulary(
    size=400_000,
    num_ordinary=399_990,
    cls_id=CLS,
    sep_id=SEP,
    pad_id=0,
    mask_id=MASK,
    special_ids=frozenset(range(FIRST)),
)


def documents_of(lengths: Sequence[int], *, source: int = 0) -> InMemory:
    """Every token of every document and source is another one: FIRST, FIRST + 1, ... in order."""
    ends = FIRST + source * 100_000 + np.cumsum([0, *lengths])
    return InMemory([range(start, end) for start, end in pairwise(ends.tolist())], VOCABULARY)


def truth(row: MaskedBatch) -> list[list[int]]:
    """The documents of a row before masking, [CLS] and [SEP] included."""
    ids = row.packed.ids.where(row.labels == IGNORE, row.labels)
    return [document.tolist() for document in row.packed.split(ids)]


def shown(rows: Iterable[MaskedBatch]) -> list[tuple[int, list[int], list[int], tuple[int, ...]]]:
    """All that a row is, to compare streams."""
    return [(row.row, row.packed.ids.tolist(), row.labels.tolist(), row.packed.offsets) for row in rows]
