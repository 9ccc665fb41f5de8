from dataclasses import dataclass

from modernbert.retrieval.evaluation.collection import Collection
from modernbert.retrieval.evaluation.rankers import Bm25
from modernbert.retrieval.evaluation.ranking import rank
from support.beir import small_collection


@dataclass
class Counting:
    """BM25 that remembers how often it was asked how many."""

    asked: list[int]
    name: str = "counting"

    @property
    def facts(self):
        return {"kind": "bm25"}

    def index(self, documents):
        inner = Bm25().index(documents)

        @dataclass
        class Searcher:
            num_bytes: int = 7
            build_seconds: float = 3.0

            def search(_, queries, most):  # noqa: N805
                self.asked.append(len(queries))
                return inner.search(queries, most)

        return Searcher()


def test_every_query_is_asked_together_and_some_alone():
    collection = small_collection()
    ranker = Counting([])
    found = rank(ranker, collection, timed=5)
    assert ranker.asked == [12, 1, 1, 1, 1]
    assert list(found.run) == list(collection.queries)
    assert 0 < found.seconds_p50 <= found.seconds_p95
    assert (found.num_bytes, found.build_seconds) == (7, 3.0)


def test_no_more_than_asked_for_are_ranked():
    found = rank(Bm25(), small_collection(), most=3)
    assert {len(documents) for documents in found.run.values()} == {3}


def test_a_query_that_is_itself_a_document_does_not_find_itself():
    """Its own id and text; the same id with another text is another document."""
    collection = Collection(
        name="arguments",
        documents={"q": "Ships ships sail", "p": "ships sail far away from here", "r": "gulls"},
        queries={"q": "ships sail", "p": "far away", "r": "ships sail"},
        relevant={"q": {"p": 1}, "p": {"p": 1}, "r": {"q": 1}},
    )
    found = rank(Bm25(), collection, most=1).run
    assert {query: list(documents) for query, documents in found.items()} == {"q": ["p"], "p": ["p"], "r": ["q"]}
