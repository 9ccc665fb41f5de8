"""A searcher as a retriever of LlamaIndex: `pip install 'modernbert[llamaindex]'`."""

from typing import TYPE_CHECKING

from modernbert.core.errors import require
from modernbert.retrieval.doors.passages import Asking
from modernbert.retrieval.index.filter_text import Where
from modernbert.retrieval.searcher import Searcher

if TYPE_CHECKING:
    from llama_index.core.retrievers import BaseRetriever


def retriever(
    searcher: Searcher, *, top_k: int = 10, where: Where = None, budget: int | None = None
) -> "BaseRetriever":
    """Its nodes have their text, a score, and in `metadata` path, lines and citation, of which a model is shown the citation only.

    Args:
        where: as `Searcher.search`.
        budget: tokens of the model for all nodes with their citations; neighbours are joined then, and have no score.

    Raises:
        MissingExtraError: llama-index-core is not installed.
        UserError: `top_k` or `budget` is not positive.
    """
    require("llama_index.core", extra="llamaindex")
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    asking = Asking(top_k=top_k, where=where, budget=budget)

    class ModernBertRetriever(BaseRetriever):
        """Asks a `Searcher`."""

        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            nodes = []
            for one in asking(searcher, query_bundle.query_str):
                unseen = [name for name in one.metadata if name != "citation"]
                node = TextNode(
                    id_=one.id, text=one.text, metadata=one.metadata, excluded_llm_metadata_keys=unseen,
                    excluded_embed_metadata_keys=list(one.metadata),
                )  # fmt: skip
                nodes.append(NodeWithScore(node=node, score=one.score))
            return nodes

    return ModernBertRetriever()
