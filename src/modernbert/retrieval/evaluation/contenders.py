"""From words to rankers: `bm25`, and `dense`, `late`, `hybrid`, `rerank` of a model.

A model is a packaged one, a folder or a Hub id, opened by this package; with `st:` before it, by sentence-transformers, which
opens encoders of other families, too, and is the oracle for ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from modernbert.core.errors import UserError, require
from modernbert.core.files import content_hash
from modernbert.retrieval.evaluation.rankers import Bm25, Facts, Hybrid, Ranker, Reranked
from modernbert.retrieval.evaluation.vectors import Dense, Encodings, Late

Kind = Literal["bm25", "dense", "late", "rerank", "hybrid"]
STOCK = "st:"
_MODEL = "model"
"""Where a run of training puts what it made: runs/NAME/model is called NAME."""
_OURS = {
    "dense": ("embedder", "Embedder", "embedding"),
    "late": ("late", "LateInteraction", "late"),
    "rerank": ("reranker", "Reranker", "reranker"),
}
"""File and class, and the head that a packaged model's bare name means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """What is to be measured."""

    kind: Kind
    model: str | None
    """None: BM25."""


def contenders(words: Sequence[str], models: Sequence[str]) -> list[Contender]:
    """Each word with each model; `KIND=MODEL` is for that model alone, `bm25` needs none.

    Raises:
        UserError: a kind is unknown, has no model, or there is nothing to do.
    """
    kinds = get_args(Kind)
    found: list[Contender] = []
    for word in words:
        kind, _, model = word.partition("=")
        if kind not in kinds:
            raise UserError(f"--rankers: found {word!r}, expected some of {', '.join(kinds)}, or such as dense=FOLDER")
        chosen = [None] if kind == "bm25" else [model] if model else models
        if not chosen:
            raise UserError(f"--rankers {word}: needs a model: write {word}=MODEL, or name some with --models")
        found += [Contender(kind=cast("Kind", kind), model=one) for one in chosen]
    if not found:
        raise UserError(f"--rankers: found none, expected some of {', '.join(kinds)}")
    return found


def rankers(
    wanted: Sequence[Contender], *, words: Bm25, depth: int = 100, cache: Path | None = None
) -> Callable[[], list[Ranker]]:
    """Models are opened once; their vectors of a collection are kept as long as one list of rankers is in use.

    Args:
        words: how BM25 reads, alone, in hybrids, and before a reranker.
        depth: documents that a reranker reads, and places that count in a hybrid.
        cache: a folder that keeps documents' vectors.
    """
    opened: dict[tuple[str, str], tuple[Any, Facts]] = {}

    def model(kind: str, source: str) -> tuple[Any, Facts]:
        if (kind, source) not in opened:
            opened[kind, source] = open_model(kind, source)
        return opened[kind, source]

    def of(one: Contender, kept: dict[tuple[str, str], Encodings]) -> Ranker:
        if one.model is None:
            return words
        name = f"{one.kind} {_short(one.model, [other.model for other in wanted if other.kind == one.kind])}"
        if one.kind == "rerank":
            reranker, facts = model("rerank", one.model)
            return Reranked(model=reranker, first=words, name=name, depth=depth, model_facts=facts)
        kind = "late" if one.kind == "late" else "dense"
        encoder, facts = model(kind, one.model)
        encodings = kept.setdefault((kind, one.model), Encodings(encoder, facts=facts, cache=cache))
        if kind == "late":
            return Late(encodings=encodings, name=name)
        dense = Dense(encodings=encodings, name=name)
        return dense if one.kind == "dense" else Hybrid(words=words, dense=dense, name=name, depth=depth)

    def fresh() -> list[Ranker]:
        kept: dict[tuple[str, str], Encodings] = {}
        return [of(one, kept) for one in wanted]

    return fresh


def open_model(kind: str, source: str) -> tuple[Any, Facts]:
    """A model for dense, late or rerank, and what it is.

    Raises:
        UserError: it cannot be opened.
    """
    if source.startswith(STOCK):
        return _stock(kind, source.removeprefix(STOCK))
    from modernbert.model.hub import folder_of

    file, made, head = _OURS[kind]
    folder = folder_of(source, head=head)
    model = getattr(require(f"modernbert.retrieval.{file}"), made).from_pretrained(source)
    return model, {"by": f"modernbert {made}", "content": _content(folder)}


def _stock(kind: str, source: str) -> tuple[Any, Facts]:
    stock: Any = require("sentence_transformers", extra="retrieval")
    made = {"dense": "SentenceTransformer", "late": "MultiVectorEncoder", "rerank": "CrossEncoder"}[kind]
    try:
        model = getattr(stock, made)(source)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise UserError(
            f"sentence-transformers cannot open {source!r} as a {made} ({reason}): check the path or the id"
        ) from error
    content = content_hash(source) if Path(source).is_dir() else source
    return model, {"by": f"sentence-transformers {made}", "content": content}


def _content(folder: Path) -> str:
    """Of an adapter with the model below it."""
    from modernbert.model.adapter_config import base_of, is_adapter
    from modernbert.model.hub import folder_of

    below = f" on {content_hash(folder_of(base_of(folder)))}" if is_adapter(folder) else ""
    return content_hash(folder) + below


def _short(source: str, others: Sequence[str | None]) -> str:
    """The last part of a path that says anything, where no other ends so."""
    end = _end(source)
    return end if [_end(other) for other in others if other is not None].count(end) == 1 else source


def _end(source: str) -> str:
    path = Path(source.removeprefix(STOCK))
    return path.parent.name if path.name == _MODEL and path.parent.name else path.name
