"""Why a chunk was found: the words of the query in it, and the tokens that MaxSim matched.

Shapes:  A tokens of the query   B tokens of the chunk   P width
"""

from collections.abc import Sequence

from modernbert.retrieval.documents.document import Chunk
from modernbert.retrieval.documents.query import Query
from modernbert.retrieval.maxsim import Vectors, maxsim_evidence
from modernbert.retrieval.search.found import Evidence
from modernbert.text.tokenizer import Span


def words(query: Query, text: str) -> list[Evidence]:
    """Where literals, patterns and words of the query stand, each with the weight 1."""
    return [(start, end, 1.0) for start, end in query.spans(text)]


def tokens(query: Vectors, chunk_tokens: Vectors, spans: Sequence[Span], chunk: Chunk) -> list[Evidence]:
    """What the query's tokens matched best, weighed by how well: the best match weighs 1.

    Args:
        spans: where each of the chunk's tokens stands in `chunk.with_header`; what stands in the header is left out.
    """
    found = maxsim_evidence(query, chunk_tokens)
    weights: dict[Span, float] = {}
    before = _before(chunk)
    for best, score in zip(found.best.tolist(), found.scores.tolist(), strict=True):
        start, end = spans[best][0] - before, spans[best][1] - before
        if best >= 0 and 0 <= start < end and score > 0:
            weights[start, end] = max(weights.get((start, end), 0.0), score)
    most = max(weights.values(), default=1.0)
    return [(start, end, weight / most) for (start, end), weight in sorted(weights.items())]


def _before(chunk: Chunk) -> int:
    """Characters of `with_header` before character 0 of the text; negative where empty lines were left out."""
    left_out = len(chunk.text) - len(chunk.text.lstrip("\n"))
    return (len(chunk.header) + 2 if chunk.header else 0) - left_out
