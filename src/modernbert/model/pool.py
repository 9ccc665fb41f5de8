"""From one vector a token to one a document.

Shapes:  T tokens   N documents   D width
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from modernbert.ops.packed import Packed

Pooling = Literal["cls", "mean"]


def pool(hidden: Float[Tensor, "T D"], packed: Packed, how: Pooling) -> Float[Tensor, "N D"]:
    """The first token of each document, or the mean over its tokens (sums in float32 or better).

    The first *real* token: a left-padded batch gives the same vectors as a right-padded one, which stock
    transformers does not.

    Raises:
        ValueError: a document has no token, so there is nothing to pool.
    """
    if 0 in packed.lengths:
        raise ValueError(
            f"document {packed.lengths.index(0)} is empty: found no token to pool, expected one or more; drop it, "
            "or give it a [CLS]"
        )
    if how == "cls":
        return hidden.index_select(0, packed.offsets_on_device[:-1])
    exact = torch.promote_types(hidden.dtype, torch.float32)
    sums_ND = hidden.new_zeros((packed.num_documents, hidden.shape[1]), dtype=exact)
    sums_ND = sums_ND.index_add(0, packed.documents, hidden.to(exact))
    counts_N1 = torch.tensor(packed.lengths, device=hidden.device)[:, None]
    return (sums_ND / counts_N1).to(hidden.dtype)
