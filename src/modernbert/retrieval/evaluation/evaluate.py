"""Every ranker on every collection, each a JSON that is written once.

out/
  COLLECTION/RANKER.json      scores a query, what it cost, and what it was measured on and with
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modernbert.core.errors import UserError
from modernbert.core.files import write_atomically
from modernbert.core.log import say
from modernbert.retrieval.evaluation.collection import Collection
from modernbert.retrieval.evaluation.measures import MEASURES, PerQuery, judge, means
from modernbert.retrieval.evaluation.rankers import Ranker
from modernbert.retrieval.evaluation.ranking import MOST, rank

_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one ranker reached on one collection."""

    collection: str
    ranker: str
    kind: str
    """bm25, dense, late, rerank or hybrid."""
    scores: PerQuery
    build_seconds: float
    num_bytes: int
    seconds_p50: float
    seconds_p95: float
    num_documents: int

    def means(self) -> dict[str, float]:
        """By measure."""
        return means(self.scores)


def evaluate(
    collections: Iterable[Collection], rankers: Callable[[], Sequence[Ranker]], out: Path, *, most: int = MOST
) -> list[Result]:
    """Measure what is not there, and return everything in order. A result of other settings or texts is measured again.

    Args:
        rankers: called once a collection, so that what one kept of the last collection is let go.

    Raises:
        UserError: two rankers, or two collections, have the same name.
    """
    results: list[Result] = []
    met: set[str] = set()
    for collection in collections:
        if collection.name in met:
            raise UserError(
                f"two collections are called {collection.name!r}, expected different names: rename a folder"
            )
        met.add(collection.name)
        named: set[str] = set()
        for ranker in rankers():
            if ranker.name in named:
                raise UserError(
                    f"two rankers are called {ranker.name!r}, expected different names: name the models apart"
                )
            named.add(ranker.name)
            results.append(_result(collection, ranker, out, most))
    return results


def _result(collection: Collection, ranker: Ranker, out: Path, most: int) -> Result:
    facts = {
        "format": _FORMAT,
        "collection": collection.fingerprint(),
        "ranker": ranker.facts,
        "most": most,
        "measures": list(MEASURES),
    }
    key = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    path = out / collection.name / f"{_safe(ranker.name)}.json"
    if (kept := _kept(path, key)) is not None:
        return kept
    say(
        f"{collection.name}: {ranker.name} on {len(collection.documents):,} documents, {len(collection.queries):,} queries"
    )
    ranking = rank(ranker, collection, most=most)
    result = Result(
        collection=collection.name,
        ranker=ranker.name,
        kind=ranker.facts["kind"],
        scores=judge(collection.relevant, ranking.run),
        build_seconds=ranking.build_seconds,
        num_bytes=ranking.num_bytes,
        seconds_p50=ranking.seconds_p50,
        seconds_p95=ranking.seconds_p95,
        num_documents=len(collection.documents),
    )
    with write_atomically(path, "w") as file:
        json.dump({"key": key, "measured": facts, "result": asdict(result), "means": result.means()}, file, indent=1)
    return result


def _kept(path: Path, key: str) -> Result | None:
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["key"] != key:
            say(f"{path}: was measured with other settings or texts, and is measured again")
            return None
        return Result(**found["result"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: is no result of this command ({error}): move it away") from None


def _safe(name: str) -> str:
    """As a file's name."""
    return re.sub(r"[^\w.+-]+", "_", name)
