"""A collection that a run is measured on while it trains."""

from dataclasses import dataclass
from typing import Any

from modernbert.retrieval.evaluation.collection import Collection
from modernbert.retrieval.evaluation.measures import judge, means
from modernbert.retrieval.evaluation.rankers import Bm25, Ranker, Reranked
from modernbert.retrieval.evaluation.ranking import rank
from modernbert.retrieval.evaluation.sources import open_collection
from modernbert.retrieval.evaluation.vectors import Dense, Encodings, Late
from modernbert.retrieval.training.config import Kind, TrainRetrieval

MAIN = "ndcg@10"
_CALLED = {"nDCG@10": MAIN, "RR@10": "mrr@10", "R@10": "recall@10", "R@100": "recall@100", "AP@100": "map@100"}


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What to rank, and as what."""

    collection: Collection
    kind: Kind

    @classmethod
    def of(cls, settings: TrainRetrieval) -> "HeldOut":
        """The collection that the settings name."""
        assert settings.held_out is not None
        return cls(open_collection(settings.held_out, split=settings.held_out_split), settings.kind)

    def measure(self, model: Any) -> dict[str, float]:
        """Means over queries, by sentence-transformers' names of the measures."""
        found = means(judge(self.collection.relevant, rank(self._ranker(model), self.collection, timed=1).run))
        return {_CALLED[name]: value for name, value in found.items()}

    def _ranker(self, model: Any) -> Ranker:
        if self.kind == "rerank":
            return Reranked(model=model, first=Bm25(), name="trained", depth=100)
        encodings = Encodings(model, facts={})
        return (Dense if self.kind == "dense" else Late)(encodings=encodings, name="trained")


def held_out_evaluator(held_out: HeldOut) -> Any:
    """The same as sentence-transformers' trainers ask it."""
    from sentence_transformers.base.evaluation import BaseEvaluator

    class Evaluator(BaseEvaluator):
        def __init__(self) -> None:
            super().__init__()
            self.primary_metric = MAIN

        def __call__(self, model: Any, *_: Any, **__: Any) -> dict[str, float]:
            return held_out.measure(model)

    return Evaluator()
