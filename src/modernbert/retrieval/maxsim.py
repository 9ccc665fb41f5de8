"""MaxSim, the score of late interaction (ColBERT, arXiv 2004.12832): for each query token the best document token, added up.

A document without tokens scores minus infinity: nothing in it matches, and it never wins over one that matches badly.

Shapes:  Q queries   N documents   A tokens of a query   B tokens of a document   P width   S tokens of all together
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from modernbert.core.errors import UserError

Vectors = Float[np.ndarray, "tokens P"]

_AT_ONCE = 16_000_000
"""Similarities of tokens that are in memory together: 64 MB."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a document scores what it scores."""

    best: Int[np.ndarray, "A"]
    """For each query token the place of the document token that matches best, the first of equal ones; -1 if there is none."""
    scores: Float[np.ndarray, "A"]
    """How well it matches; their sum is the document's score."""


def maxsim(queries: Sequence[Vectors], documents: Sequence[Vectors]) -> Float[np.ndarray, "Q N"]:
    """The score of every document for every query, in float32.

    Raises:
        UserError: vectors have different widths.
    """
    scores_QN = np.full((len(queries), len(documents)), -np.inf, dtype=np.float32)
    filled = [number for number, document in enumerate(documents) if len(document)]
    if not len(queries) or not filled:
        return scores_QN
    _check(queries, documents)
    query_SP = np.concatenate([np.asarray(query, dtype=np.float32) for query in queries])
    lengths_Q = np.array([len(query) for query in queries])
    asking = np.flatnonzero(lengths_Q)
    scores_QN[np.ix_(lengths_Q == 0, np.array(filled))] = 0
    query_starts = np.cumsum(lengths_Q[asking]) - lengths_Q[asking]
    for some in _groups([len(documents[number]) for number in filled], max(1, _AT_ONCE // max(1, len(query_SP)))):
        members = [filled[place] for place in some]
        lengths = [len(documents[number]) for number in members]
        document_SP = np.concatenate([np.asarray(documents[number], dtype=np.float32) for number in members])
        similar_SS = query_SP @ document_SP.T
        best_SN = np.maximum.reduceat(similar_SS, np.cumsum([0, *lengths[:-1]]), axis=1)
        if len(asking):
            scores_QN[np.ix_(asking, np.array(members))] = np.add.reduceat(
                best_SN, query_starts, axis=0, dtype=np.float64
            )
    for query, scores_N in zip(queries, scores_QN, strict=True):
        _settle(scores_N, query, documents)
    return scores_QN


def maxsim_joined(
    query_AP: Float[np.ndarray, "A P"], documents_SP: Float[np.ndarray, "S P"], lengths: Sequence[int]
) -> Float[np.ndarray, "N"]:
    """The score of documents whose tokens lie one after the other, for one query; each has a token at least.

    For a hundred candidates of an index: torch makes float32 of float16 six times faster than NumPy.
    """
    import torch

    query, documents = (torch.from_numpy(np.asarray(each)).float() for each in (query_AP, documents_SP))
    best_AN = np.maximum.reduceat((query @ documents.T).numpy(), np.cumsum([0, *lengths[:-1]]), axis=1)
    return best_AN.sum(axis=0, dtype=np.float64).astype(np.float32)


def maxsim_slowly(queries: Sequence[Vectors], documents: Sequence[Vectors]) -> Float[np.ndarray, "Q N"]:
    """The same as the formula says it, pair by pair in float64: the slow twin."""
    scores_QN = np.full((len(queries), len(documents)), -np.inf)
    for row, query in enumerate(queries):
        for column, document in enumerate(documents):
            if len(document):
                similar_AB = query.astype(np.float64) @ document.astype(np.float64).T
                scores_QN[row, column] = similar_AB.max(axis=1).sum()
    return scores_QN


def maxsim_evidence(query: Vectors, document: Vectors) -> Evidence:
    """Which document token each query token found, and how well it matches.

    Raises:
        UserError: vectors have different widths.
    """
    _check([query], [document])
    if len(document) == 0:
        return Evidence(np.full(len(query), -1), np.full(len(query), -np.inf, dtype=np.float32))
    similar_AB = _alike(query, document)
    best_A = similar_AB.argmax(axis=1)
    return Evidence(best_A, np.take_along_axis(similar_AB, best_A[:, None], axis=1)[:, 0])


def _settle(scores: Float[np.ndarray, "N"], query: Vectors, documents: Sequence[Vectors]) -> None:
    """Compute near ties again, each alone: equal documents then score equal, wherever they stood in the large product.

    A matrix product's last bits depend on the column (BLAS has other kernels for edges).
    """
    finite = np.flatnonzero(np.isfinite(scores))
    order = finite[np.argsort(scores[finite], kind="stable")]
    is_near = np.diff(scores[order]) <= 1e-6 * max(1, len(query))
    for number in order[np.append(is_near, False) | np.insert(is_near, 0, False)] if len(order) > 1 else ():
        scores[number] = _alike(query, documents[number]).max(axis=1).sum(dtype=np.float64)


def _alike(query: Vectors, document: Vectors) -> Float[np.ndarray, "A B"]:
    """Rounded from float64, so that equal tokens are equally alike."""
    return (np.asarray(query, dtype=np.float64) @ np.asarray(document, dtype=np.float64).T).astype(np.float32)


def _check(queries: Sequence[Vectors], documents: Sequence[Vectors]) -> None:
    widths = {np.shape(each)[-1] if np.ndim(each) == 2 else None for each in (*queries, *documents)}
    if len(widths) > 1 or None in widths:
        shapes = sorted({np.shape(each)[1:] for each in (*queries, *documents)})
        raise UserError(
            f"found token vectors of the shapes (tokens, *{shapes}), expected one array (tokens, width) a text, all of one "
            "width: encode both sides with one model"
        )


def _groups(lengths: Sequence[int], budget: int) -> list[range]:
    """Neighbours that fit into a budget of tokens together, or one alone."""
    groups: list[range] = []
    start = total = 0
    for place, length in enumerate(lengths):
        if place > start and total + length > budget:
            groups.append(range(start, place))
            start, total = place, 0
        total += length
    return [*groups, range(start, len(lengths))]
