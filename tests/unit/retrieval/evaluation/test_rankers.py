import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from modernbert.core.errors import UserError
from modernbert.retrieval.evaluation.rankers import Bm25, Hybrid, Ids, Reranked

DOCUMENTS = {
    "a": "the keeper counted ships and ships",
    "b": "a sailor painted boats",
    "c": "ships were counted by nobody at all in winter when fog came",
    "d": "",
    "e": "of the and",
}


def test_the_best_come_first_and_ties_at_the_end_go_to_the_larger_id():
    ids = Ids(["a", "d", "b", "c"])
    assert list(ids.best(np.array([1.0, 1.0, 2.0, 1.0]), 2)) == ["b", "d"]
    assert list(ids.best(np.array([1.0, -np.inf, 2.0, 1.0]), 9)) == ["b", "c", "a"]
    with pytest.raises(UserError, match="a score is not a number"):
        ids.best(np.array([1.0, np.nan, 2.0, 1.0]), 2)


def _lucene(query: str, *, k1: float, b: float) -> dict[str, float]:
    """The formula, by counting."""
    stop = {"the", "and", "a", "by", "at", "in", "of"}
    bags = {id_: Counter(w for w in text.split() if len(w) > 1 and w not in stop) for id_, text in DOCUMENTS.items()}
    mean = sum(sum(bag.values()) for bag in bags.values()) / len(bags)
    scores: dict[str, float] = {}
    for word in query.split():
        holders = sum(word in bag for bag in bags.values())
        idf = math.log(1 + (len(bags) - holders + 0.5) / (holders + 0.5))
        for id_, bag in bags.items():
            if bag[word]:
                norm = k1 * (1 - b + b * sum(bag.values()) / mean)
                scores[id_] = scores.get(id_, 0) + idf * bag[word] / (bag[word] + norm)
    return scores


@pytest.mark.parametrize(("k1", "b"), [(1.2, 0.75), (0.9, 0.4)])
def test_bm25_is_lucenes_formula(k1, b):
    (found,) = Bm25(k1=k1, b=b, stemming=False).index(DOCUMENTS).search(["counted ships"], 10)
    assert found == pytest.approx(_lucene("counted ships", k1=k1, b=b), abs=1e-5)
    assert list(found) == ["a", "c"]


def test_bm25_finds_nothing_where_no_word_is_known():
    searcher = Bm25().index(DOCUMENTS)
    assert searcher.search(["the", "", "zebra", "!?"], 5) == [{}, {}, {}, {}]
    assert list(searcher.search(["zebra boats"], 5)[0]) == ["b"]
    assert searcher.num_bytes > 0
    assert Bm25().index({"x": "", "y": "the"}).search(["the ships"], 5) == [{}]
    assert Bm25().index({"x": "ships"}).search([], 5) == []


def test_stems_are_words_when_asked():
    query = ["counting a ship"]
    assert set(Bm25().index(DOCUMENTS).search(query, 5)[0]) == {"a", "c"}
    assert Bm25(stemming=False).index(DOCUMENTS).search(query, 5) == [{}]


def test_names_of_code_are_taken_apart_when_asked():
    code = {"x": "def count_ships(pageNumber): ...", "y": "def other(): ..."}
    assert Bm25().index(code).search(["ships page"], 5) == [{}]
    for query in ("ships page", "countShips", "HTTPPage"):
        assert set(Bm25(identifiers=True).index(code).search([query], 5)[0]) == {"x"}


def test_the_name_says_what_is_not_as_usual():
    assert [Bm25().name, Bm25(stemming=False, identifiers=True).name] == ["bm25", "bm25, unstemmed, identifiers"]


class Longest:
    """Finds the longest document best."""

    def rank(self, query, documents):
        assert query == "counted ships"
        return [{"corpus_id": i, "score": len(text)} for i, text in sorted(enumerate(documents), key=lambda x: -len(x[1]))]  # fmt: skip


def test_a_reranker_orders_what_the_first_found_and_nothing_else():
    reranked = Reranked(model=Longest(), first=Bm25(), name="longest")
    searcher = reranked.index(DOCUMENTS)
    assert searcher.search(["counted ships"], 5) == [{"c": len(DOCUMENTS["c"]), "a": len(DOCUMENTS["a"])}]
    assert list(searcher.search(["counted ships"], 1)[0]) == ["c"]
    shallow = Reranked(model=Longest(), first=Bm25(), name="longest", depth=1)
    assert list(shallow.index(DOCUMENTS).search(["counted ships"], 5)[0]) == ["a"]
    assert searcher.search(["zebra"], 5) == [{}]
    assert reranked.facts["first"]["kind"] == "bm25"


def test_a_reranker_may_answer_in_objects():
    class Objects(Longest):
        def rank(self, query, documents):
            return [SimpleNamespace(**row) for row in super().rank(query, documents)]

    searchers = [Reranked(model=model, first=Bm25(), name="r").index(DOCUMENTS) for model in (Longest(), Objects())]
    one, other = (searcher.search(["counted ships"], 5) for searcher in searchers)
    assert one == other != [{}]


def test_a_reranker_that_leaves_one_out_is_refused():
    class Lazy:
        def rank(self, query, documents):
            return [{"corpus_id": 0, "score": 1.0}]

    with pytest.raises(UserError, match="a score is not a number"):
        Reranked(model=Lazy(), first=Bm25(), name="lazy").index(DOCUMENTS).search(["counted ships"], 5)


def test_a_hybrid_asks_both_and_fuses_scores_or_places():
    words, other = Bm25(), Bm25(stemming=False)
    searcher = Hybrid(words=words, dense=other, name="both").index(DOCUMENTS)
    (found,) = searcher.search(["counting sailor"], 5)
    (alone,), (unstemmed,) = (part.index(DOCUMENTS).search(["counting sailor"], 100) for part in (words, other))
    best, last = max(unstemmed.values()), min(unstemmed.values())
    spread = {id_: (score - last) / (best - last) if best > last else 1.0 for id_, score in unstemmed.items()}
    shares = {id_: 0.7 * score / max(alone.values()) for id_, score in alone.items()}
    assert found == pytest.approx({id_: shares.get(id_, 0) + 0.3 * spread.get(id_, 0) for id_ in {*shares, *spread}})
    assert searcher.num_bytes == sum(part.index(DOCUMENTS).num_bytes for part in (words, other))
    assert searcher.search(["zebra"], 5) == [{}]
    placed = Hybrid(words=words, dense=other, name="both", fusion="ranks").index(DOCUMENTS)
    assert placed.search(["counting sailor"], 5)[0] == pytest.approx({"b": 2 / 61, "a": 1 / 62, "c": 1 / 63})
