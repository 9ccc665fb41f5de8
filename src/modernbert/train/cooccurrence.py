"""First token embeddings from counting which tokens stand near which, before the first step of training.

A token's row is its positive pointwise mutual information with the frequent tokens around it, and its embedding that row
along the matrix's largest singular directions (Levy, Goldberg and Dagan 2015, with their smoothing of contexts). It takes
seconds, and a model with a small budget then need not learn from scratch which words are alike; what a run of trillions
of tokens would learn anyhow it only learns sooner.

Shapes:  V vocabulary   C contexts   D width   T tokens
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modernbert.data.config import Source
from modernbert.data.pieces import Documents

NEAR = 5
"""Tokens to each side that count, each by one over its distance."""

MOST_CONTEXTS = 8_192
"""The most frequent tokens are the contexts: they carry nearly all counts, and V x V would not fit for every V."""

MOST_TOKENS = 100_000_000
"""Read of all sources together; rows change little after."""

SMOOTHING = 0.75
"""Power of the contexts' counts: rare ones would else have the largest information."""

_SPARE, _ROUNDS = 24, 3  # of the randomized SVD (Halko et al. 2011)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What counting found."""

    embeddings: Float[Tensor, "V D"]
    """Rows of root mean square 1; rows of tokens that never occurred are 0."""
    shares: Float[Tensor, "V"]
    """How often each token occurs, as a share; never 0."""

    @property
    def occurs(self) -> Tensor:
        """Which tokens occurred."""
        return self.embeddings.any(1)


def count(sources: Mapping[str, tuple[Source, Documents]], width: int, *, seed: int) -> Counts:
    """Count in every source, weighed as the mixture weighs it.

    Args:
        width: numbers of an embedding, D.
        seed: of the randomized SVD.
    """
    size = next(iter(sources.values()))[1].vocabulary.size
    whole = sum(source.weight for source, _ in sources.values())
    samples = {
        name: _sample(documents, most=int(MOST_TOKENS * source.weight / whole))
        for name, (source, documents) in sources.items()
    }
    shares_V = torch.zeros(size, dtype=torch.float64)
    for name, (source, _) in sources.items():
        ids_T, _ = samples[name]
        shares_V += torch.bincount(ids_T, minlength=size) * (source.weight / whole / max(1, len(ids_T)))
    contexts_C = shares_V.argsort(descending=True, stable=True)[: min(MOST_CONTEXTS, size)]
    near_VC = torch.zeros(size, len(contexts_C))
    for name, (source, _) in sources.items():
        ids_T, documents_T = samples[name]
        _add_neighbours(near_VC, ids_T, documents_T, contexts_C, scale=source.weight / whole / max(1, len(ids_T)))
    embeddings_VD = _directions(_information(near_VC), width, seed)
    rest = 1e-9  # a token that never occurred may still be asked for
    return Counts(embeddings=embeddings_VD, shares=((shares_V + rest) / (shares_V + rest).sum()).float())


def _sample(documents: Documents, *, most: int) -> tuple[Tensor, Tensor]:
    """The first `most` tokens, and which document each is of."""
    parts, read = [], 0
    for document in range(len(documents)):
        if read >= most:
            break
        parts.append(documents.tokens(document)[: most - read])
        read += len(parts[-1])
    ids_T = np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, dtype=np.int64)
    documents_T = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return torch.from_numpy(ids_T), torch.from_numpy(documents_T)


def _add_neighbours(near_VC: Tensor, ids_T: Tensor, documents_T: Tensor, contexts_C: Tensor, *, scale: float) -> None:
    """Add one over the distance for each pair of neighbours, seen from both sides."""
    size, num_contexts = near_VC.shape
    place_V = torch.full((size,), -1)
    place_V[contexts_C] = torch.arange(num_contexts)
    for distance in range(1, NEAR + 1):
        is_one_T = documents_T[distance:] == documents_T[:-distance]
        left, right = ids_T[:-distance][is_one_T], ids_T[distance:][is_one_T]
        for token, context in ((left, right), (right, left)):
            place = place_V[context]
            cells = token[place >= 0] * num_contexts + place[place >= 0]
            near_VC.view(-1).scatter_add_(0, cells, torch.full((len(cells),), scale / distance))


def _information(near_VC: Tensor) -> Float[Tensor, "V C"]:
    """max(0, log(p(token, context) / p(token) p(context))), with the contexts smoothed; in the counts' own memory."""
    tokens_V1 = near_VC.sum(1, keepdim=True).clamp_(min=1e-30)
    contexts_C = near_VC.sum(0) ** SMOOTHING
    near_VC /= tokens_V1
    near_VC /= (contexts_C / contexts_C.sum()).clamp_(min=1e-30)
    return near_VC.clamp_(min=1.0).log_()


def _directions(information_VC: Tensor, width: int, seed: int) -> Float[Tensor, "V D"]:
    """Rows along the largest singular directions, each as long as sqrt(D)."""
    num = min(width, *information_VC.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        left_VQ, values_Q, _ = torch.svd_lowrank(
            information_VC, q=min(num + _SPARE, *information_VC.shape), niter=_ROUNDS
        )
    rows_VD = torch.zeros(information_VC.shape[0], width)
    rows_VD[:, :num] = (left_VQ * values_Q.sqrt())[:, :num]
    occurs_V1 = information_VC.any(1, keepdim=True)
    lengths_V1 = rows_VD.norm(dim=1, keepdim=True).clamp_(min=1e-12)
    return torch.where(occurs_V1, rows_VD / lengths_V1 * width**0.5, 0.0)
