"""Fewer vectors a document: neighbours in meaning become their mean (Clavié et al. 2024, arXiv 2409.14683).

PyLate's way, and sentence-transformers': Ward's clustering of cosine distances, behind a few first tokens that are kept.

Shapes:  T tokens   P width
"""

import numpy as np
from jaxtyping import Float

from modernbert.core.errors import UserError, require


def pool_tokens(
    vectors: Float[np.ndarray, "T P"], factor: float, *, num_protected: int = 1, normalize: bool = True
) -> Float[np.ndarray, "left P"]:
    """About one vector for every `factor` tokens.

    Args:
        vectors: of length 1.
        factor: 1 keeps all.
        num_protected: first tokens that stay as they are, [CLS].
        normalize: bring all vectors to length 1 again, as sentence-transformers does; PyLate leaves the means as they are.

    Raises:
        UserError: the factor is below 1, or the number of protected tokens below 0.
        MissingExtraError: scipy is not installed.
    """
    if not factor >= 1 or num_protected < 0:
        raise UserError(
            f"found the factor {factor} and {num_protected} protected tokens, expected 1 or more and 0 or more"
        )
    kept, rest_TP = vectors[:num_protected], vectors[num_protected:].astype(np.float32)
    num_clusters = max(int(len(rest_TP) // factor), 1)
    if num_clusters < len(rest_TP):
        hierarchy = require("scipy.cluster.hierarchy", extra="retrieval")
        distance = require("scipy.spatial.distance", extra="retrieval")
        apart_TT = np.clip(1 - rest_TP @ rest_TP.T, 0, 2)
        tree = hierarchy.linkage(distance.squareform(apart_TT, checks=False), method="ward")
        cluster_T = np.unique(hierarchy.fcluster(tree, t=num_clusters, criterion="maxclust"), return_inverse=True)[1]
        sums = np.zeros((int(cluster_T.max()) + 1, rest_TP.shape[1]), dtype=np.float32)
        np.add.at(sums, cluster_T, rest_TP)
        rest_TP = sums / np.bincount(cluster_T)[:, None]
    pooled = np.concatenate([kept, rest_TP]).astype(np.float32)
    if not normalize:
        return pooled
    return pooled / np.maximum(np.linalg.norm(pooled, axis=1, keepdims=True), 1e-12)
