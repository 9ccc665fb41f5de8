"""Vectors in fewer bits, exactly as sentence-transformers' `quantize_embeddings` makes them.

Shapes:  N vectors   D width
"""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Shaped

from modernbert.core.errors import UserError

Precision = Literal["float32", "int8", "uint8", "binary", "ubinary"]


def ranges_of(vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "2 D"]:
    """Least and largest value of each dimension, from vectors like those to come: what int8 is calibrated with."""
    return np.stack((vectors.min(axis=0), vectors.max(axis=0))).astype(np.float32)


def to_precision(
    vectors: Float[np.ndarray, "N D"], precision: Precision, *, ranges: Float[np.ndarray, "2 D"] | None = None
) -> Shaped[np.ndarray, "N out"]:
    """Vectors in the precision asked for.

    int8 and uint8 divide the range of each dimension into 256 equal steps. binary and ubinary keep a sign, eight to a byte,
    so `out` is D / 8 rounded up.

    Args:
        ranges: of int8 and uint8; absent: those of these very vectors, which other calls will not share.

    Raises:
        UserError: there is no such precision, or a single vector has no range, or the ranges do not fit.
    """
    if precision not in get_args(Precision):
        raise UserError(f"precision: found {precision!r}, expected one of {', '.join(get_args(Precision))}")
    if precision == "float32":
        return vectors.astype(np.float32)
    if precision in ("binary", "ubinary"):
        bits = np.packbits(vectors > 0, axis=-1)
        return bits if precision == "ubinary" else (bits.astype(np.int16) - 128).astype(np.int8)
    dtype = np.int8 if precision == "int8" else np.uint8
    if len(vectors) == 0:
        return vectors.astype(dtype)
    if ranges is None:
        if len(vectors) == 1:
            raise UserError(
                f"precision={precision!r}: found one vector and no ranges, expected ranges to divide: give ranges=ranges_of("
                "vectors of many texts), or encode many at once"
            )
        ranges = ranges_of(vectors)
    if ranges.shape != (2, vectors.shape[1]):
        raise UserError(
            f"ranges: found the shape {ranges.shape}, expected {(2, vectors.shape[1])}: least and largest each"
        )
    starts_D, ends_D = ranges.astype(np.float32)
    steps_D = (ends_D - starts_D) / 255
    steps_D = np.where(steps_D == 0, 1, steps_D)
    levels_ND = np.clip(np.floor((vectors - starts_D) / steps_D), 0, 255)
    return (levels_ND - 128 if precision == "int8" else levels_ND).astype(dtype)
