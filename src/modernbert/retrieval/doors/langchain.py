"""A searcher as a retriever of LangChain: `pip install 'modernbert[langchain]'`."""

from typing import TYPE_CHECKING, Any

from modernbert.core.errors import require
from modernbert.retrieval.doors.passages import Asking
from modernbert.retrieval.index.filter_text import Where
from modernbert.retrieval.searcher import Searcher

if TYPE_CHECKING:
    from langchain_core.retrievers import BaseRetriever


def retriever(
    searcher: Searcher, *, top_k: int = 10, where: Where = None, budget: int | None = None
) -> "BaseRetriever":
    """Its documents have `page_content`, and in `metadata` path, lines, score and citation.

    Args:
        where: as `Searcher.search`.
        budget: tokens of the model for all documents with their citations; neighbours are joined then, and have no score.

    Raises:
        MissingExtraError: langchain-core is not installed.
        UserError: `top_k` or `budget` is not positive.
    """
    require("langchain_core", extra="langchain")
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever

    asking = Asking(top_k=top_k, where=where, budget=budget)

    class ModernBertRetriever(BaseRetriever):
        """Asks a `Searcher`."""

        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
            return [
                Document(id=one.id, page_content=one.text, metadata=one.metadata) for one in asking(searcher, query)
            ]

    return ModernBertRetriever()
