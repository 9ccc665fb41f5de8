"""Documents as a rectangle, for runtimes that know no other form."""

from collections.abc import Sequence

import numpy as np


def padded(documents: Sequence[Sequence[int]], pad_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids and mask, [documents, longest] in int64, padded on the right."""
    longest = max(map(len, documents))
    ids = np.full((len(documents), longest), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, document in enumerate(documents):
        ids[row, : len(document)] = document
        mask[row, : len(document)] = 1
    return ids, mask
