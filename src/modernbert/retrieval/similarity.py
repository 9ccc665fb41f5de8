"""How alike vectors are: what a folder's `similarity_fn_name` means.

Shapes:  Q queries   N documents   D width
"""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from modernbert.core.errors import UserError

Similarity = Literal["cosine", "dot", "euclidean", "manhattan"]


def similarity_named(name: object, where: object) -> Similarity:
    """A folder's word for it; absent means cosine.

    Raises:
        UserError: there is no such similarity of single vectors.
    """
    if name is None:
        return "cosine"
    if name not in get_args(Similarity):
        raise UserError(
            f"{where}: similarity_fn_name: found {name!r}, expected one of {', '.join(get_args(Similarity))}"
        )
    return name  # type: ignore[return-value]


def similar(
    queries: Float[np.ndarray, "Q D"], documents: Float[np.ndarray, "N D"], how: Similarity = "cosine"
) -> Float[np.ndarray, "Q N"]:
    """Higher is more alike: distances are negative. Vectors of whole numbers are compared as floats."""
    queries, documents = (np.asarray(each, dtype=np.float32) for each in (queries, documents))
    if how == "cosine":
        return unit(queries) @ unit(documents).T
    if how == "dot":
        return queries @ documents.T
    if how == "manhattan":
        return _each(queries, documents, lambda apart_ND: np.abs(apart_ND).sum(axis=1))
    return _each(queries, documents, lambda apart_ND: np.sqrt((apart_ND**2).sum(axis=1)))


def _each(
    queries: Float[np.ndarray, "Q D"], documents: Float[np.ndarray, "N D"], distance: Callable[[np.ndarray], np.ndarray]
) -> Float[np.ndarray, "Q N"]:
    """One query after the other: of differences, never of squares that cancel."""
    found_QN = np.empty((len(queries), len(documents)), dtype=np.float32)
    for row, query_D in enumerate(queries):
        found_QN[row] = -distance(documents - query_D)
    return found_QN


def unit(vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    """Each at length 1; one of zeros stays zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-12)
