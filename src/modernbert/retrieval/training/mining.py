"""Hard negatives: documents that a model takes for right and that are not, for rows of query and positive.

Which candidates count is stated in full by `Mining`; with as many positives a query the result is that of sentence-transformers'
`mine_hard_negatives`. Encodings are kept in pieces in a folder, so that a stopped run goes on.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modernbert.core.errors import UserError
from modernbert.core.files import write_atomically
from modernbert.core.log import say
from modernbert.core.seeds import Seeds
from modernbert.retrieval.evaluation.vectors import Encodes, Encodings
from modernbert.retrieval.similarity import unit
from modernbert.retrieval.training.config import Mining
from modernbert.retrieval.training.examples import Example

_PIECE = 8192
"""Documents encoded, and kept, at once."""
_BLOCK = 2**26


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """Rows with negatives, and why others have none."""

    rows: list[dict[str, object]]
    """query, positive, negative_1, ...; scores: of the positive, then of each negative."""
    num_too_few: int
    """Rows left out because fewer than `num_negatives` documents passed."""
    num_filtered: int
    """Candidates that a filter took away."""


def mine(
    examples: Sequence[Example],
    model: Encodes,
    settings: Mining,
    *,
    corpus: Sequence[str] = (),
    facts: Mapping[str, object] | None = None,
    cache: Path | None = None,
) -> Mined:
    """Negatives for every row, out of all positives and the corpus, each text once.

    Args:
        model: gives one vector a text; scores are cosines.
        corpus: further documents.
        facts: what the model is, by content; with `cache`, the folder that keeps encodings.
    """
    positives: dict[str, list[str]] = {}
    for one in examples:
        right = positives.setdefault(one.query, [])
        if one.documents[0] not in right:
            right.append(one.documents[0])
    documents = list(dict.fromkeys([*corpus, *(text for right in positives.values() for text in right)]))
    number = {text: i for i, text in enumerate(documents)}
    encodings = Encodings(model, facts=dict(facts or {}), cache=cache)
    pieces = [documents[i : i + _PIECE] for i in range(0, len(documents), _PIECE)]
    rows_ND = unit(np.concatenate([encodings.documents(piece).rows for piece in pieces]))
    queries = list(positives)
    rows_QD = unit(encodings.queries(queries).rows)
    found, num_too_few, num_filtered = [], 0, 0
    size = max(1, _BLOCK // len(documents))
    for first in range(0, len(queries), size):
        for query, scores_N in zip(queries[first:], rows_QD[first : first + size] @ rows_ND.T, strict=False):
            right = np.array([number[text] for text in positives[query]])
            chosen, lost = _negatives(scores_N, right, settings, query)
            num_filtered += lost
            if len(chosen) < settings.num_negatives:
                num_too_few += len(right)
                continue
            for positive in right:
                row: dict[str, object] = {"query": query, "positive": documents[positive]}
                row |= {f"negative_{place}": documents[i] for place, i in enumerate(chosen, start=1)}
                row["scores"] = [float(scores_N[positive]), *(float(scores_N[i]) for i in chosen)]
                found.append(row)
    return Mined(rows=found, num_too_few=num_too_few, num_filtered=num_filtered)


def write_mined(mined: Mined, path: Path) -> None:
    """As JSON Lines, whole or not at all; what was left out is said.

    Raises:
        UserError: nothing passed.
    """
    if not mined.rows:
        raise UserError(
            f"no row has enough negatives: {mined.num_filtered:,} candidates were filtered away; raise range_max, or lower the "
            "margins or num_negatives"
        )
    if mined.num_too_few:
        say(
            f"{mined.num_too_few:,} of {mined.num_too_few + len(mined.rows):,} rows have too few negatives and are left out"
        )
    with write_atomically(path, "w") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in mined.rows)


def _negatives(scores_N: np.ndarray, right: np.ndarray, settings: Mining, query: str) -> tuple[np.ndarray, int]:
    """Numbers of the negatives, best first, and how many the filters took."""
    most = min(len(scores_N), settings.range_max + len(right))
    best = np.argpartition(-scores_N, most - 1)[:most] if most < len(scores_N) else np.arange(len(scores_N))
    best = best[np.lexsort((best, -scores_N[best]))]
    best = best[~np.isin(best, right)]
    passed = np.ones(len(best), dtype=bool)
    worst = scores_N[right].min()
    if settings.absolute_margin is not None:
        passed &= scores_N[best] + settings.absolute_margin <= worst
    if settings.relative_margin is not None:
        passed &= scores_N[best] <= worst - abs(worst) * settings.relative_margin
    if settings.max_score is not None:
        passed &= scores_N[best] <= settings.max_score
    if settings.min_score is not None:
        passed &= scores_N[best] >= settings.min_score
    left = best[passed][settings.range_min : settings.range_max]
    if settings.sampling == "random" and len(left) > settings.num_negatives:
        chance = Seeds(settings.seed).numpy("mine", query)
        left = left[np.sort(chance.choice(len(left), settings.num_negatives, replace=False))]
    return left[: settings.num_negatives], int((~passed).sum())
