"""What a model says of a document, as columns: one vector, a label, a number, or tags.

A head reads hidden states, so that several heads on one trunk share its pass.

Shapes:  T tokens   D width   C labels   N documents
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
from jaxtyping import Float
from torch import Tensor, nn

from modernbert.bulk.config import Long
from modernbert.bulk.cutting import Cut, Cutter, TextCutter, WordCutter
from modernbert.core.errors import CheckpointError
from modernbert.infer.exported import refuse_exported
from modernbert.model.encoder import Encoder
from modernbert.model.hf_config import from_file
from modernbert.model.hub import folder_of
from modernbert.model.pool import pool
from modernbert.model.store import Dtype
from modernbert.ops.packed import Packed
from modernbert.retrieval.dense import Normalize
from modernbert.retrieval.embedder import Embedder
from modernbert.retrieval.folder import describe
from modernbert.retrieval.late_folder import is_late
from modernbert.retrieval.similarity import unit
from modernbert.tasks.classify import TextClassifier
from modernbert.tasks.tag import Tagged, Tagger
from modernbert.text.tokenizer import Tokenizer


class Head(Protocol):
    """The part of a model behind its trunk."""

    @property
    def model(self) -> nn.Module:
        """All that has weights."""
        ...

    @property
    def encoder(self) -> Encoder:
        """Its trunk."""
        ...

    @property
    def tokenizer(self) -> Tokenizer:
        """Of the model's folder."""
        ...

    @property
    def cutter(self) -> Cutter:
        """Makes ids of texts."""
        ...

    @property
    def key(self) -> tuple[object, ...]:
        """Heads of one trunk, one tokenizer and one key are given the same ids."""
        ...

    def read(self, hidden: Float[Tensor, "T D"], packed: Packed) -> list[np.ndarray]:
        """One result a piece, on the CPU."""
        ...

    def columns(self, cuts: Sequence[Cut], results: Sequence[Sequence[np.ndarray]], long: Long) -> dict[str, pa.Array]:
        """Columns of one row a document, from the results of its pieces."""
        ...


def open_head(source: str, *, dtype: Dtype, device: str) -> Head:
    """The head of a folder, a Hub id or a packaged model; a masked language model or an encoder gives vectors.

    Raises:
        CheckpointError: it is a model of a kind that says nothing of a single document.
        UnsupportedError: it is an exported graph.
    """
    refuse_exported(source, "annotating")
    folder = folder_of(source, head="embedding")
    architecture = None
    if not is_late(folder):
        said = describe(folder)
        _, architecture = from_file(said.model_folder / "config.json")
        if said.steps or architecture in ("ModernBertModel", "ModernBertForMaskedLM"):
            return Vectors(Embedder.from_pretrained(folder, dtype=dtype, device=device))
    match architecture:
        case "ModernBertForSequenceClassification":
            return Labels(TextClassifier.from_pretrained(folder, dtype=dtype, device=device))
        case "ModernBertForTokenClassification":
            return Tags(Tagger.from_pretrained(folder, dtype=dtype, device=device))
    raise CheckpointError(
        f"{folder}: found {architecture or 'a late-interaction model'}, expected an embedder, or a classifier of texts or "
        "words: others say nothing of a document by itself"
    )


class Vectors:
    """`embedding`: as `Embedder.encode_document` gives it."""

    def __init__(self, embedder: Embedder) -> None:
        self.model = nn.ModuleList([embedder.encoder, embedder.behind])
        self.encoder = embedder.encoder
        self.tokenizer = embedder.tokenizer
        prompt = embedder.prompts.choose(embedder.prompts.for_documents, None)
        longest = embedder.engine.room.longest
        self.cutter: Cutter = TextCutter(embedder.tokenizer, longest=longest, prompt=prompt)
        self.key = ("text", longest, prompt)
        self._prompt_length = embedder.prompt_length(prompt)
        self._embedder = embedder
        self._size = embedder.truncate_dim or embedder.width
        self._is_unit = any(isinstance(layer, Normalize) for layer in embedder.behind)

    def read(self, hidden: Float[Tensor, "T D"], packed: Packed) -> list[np.ndarray]:
        """One vector a piece."""
        pooled = self._embedder.pool(hidden, packed, self._prompt_length)
        return list(self._embedder.project(pooled).float().cpu().numpy())

    def columns(self, cuts: Sequence[Cut], results: Sequence[Sequence[np.ndarray]], long: Long) -> dict[str, pa.Array]:
        """Joined vectors are brought to length 1 again where the model's are."""
        rows = []
        for cut, pieces in zip(cuts, results, strict=True):
            row = _joined(pieces, cut.weights, long)[: self._size]
            rows.append(unit(row[None])[0] if len(pieces) > 1 and self._is_unit else row)
        flat = np.concatenate(rows).astype(np.float32) if rows else np.zeros(0, dtype=np.float32)
        return {"embedding": pa.FixedSizeListArray.from_arrays(pa.array(flat), self._size)}


class Labels:
    """`label`, `score` and the `scores` of all labels; of a model with one output only `score`, a number."""

    def __init__(self, classifier: TextClassifier) -> None:
        self.model = classifier.model
        self.encoder = classifier.model.model
        self.tokenizer = classifier.tokenizer
        self.cutter: Cutter = TextCutter(classifier.tokenizer, longest=classifier.longest)
        self.key = ("text", classifier.longest, "")
        self._classifier = classifier
        self._config = classifier.model.config

    def read(self, hidden: Float[Tensor, "T D"], packed: Packed) -> list[np.ndarray]:
        """Logits of each piece."""
        logits_NC = self._classifier.model.classify(pool(hidden, packed, self._config.classifier_pooling))
        return list(logits_NC.float().cpu().numpy())

    def columns(self, cuts: Sequence[Cut], results: Sequence[Sequence[np.ndarray]], long: Long) -> dict[str, pa.Array]:
        """Means are of logits, as `TextClassifier` has them; the highest is of probabilities, which then add up to more than 1."""
        names = self._config.labels
        rows = [self._scores(pieces, cut.weights, long) for cut, pieces in zip(cuts, results, strict=True)]
        scores_NC = np.stack(rows) if rows else np.zeros((0, len(names)), dtype=np.float32)
        if len(names) == 1:
            return {"score": pa.array(scores_NC[:, 0])}
        best_N = scores_NC.argmax(1)
        columns: dict[str, pa.Array] = {
            "label": pa.array([names[best] for best in best_N], pa.string()),
            "score": pa.array(scores_NC.max(1)),
            "scores": pa.StructArray.from_arrays([pa.array(column) for column in scores_NC.T], names=list(names)),
        }
        if self._config.problem_type == "multi_label_classification":
            several = [[names[i] for i in np.flatnonzero(row > 0.5)] for row in scores_NC]
            columns["labels"] = pa.array(several, pa.list_(pa.string()))
        return columns

    def _scores(self, pieces: Sequence[np.ndarray], weights: Sequence[int], long: Long) -> np.ndarray:
        is_number = len(self._config.labels) == 1
        if is_number or long != "chunk-max":
            pieces = [_joined(pieces, weights, long)]
        logits_NC = np.stack(pieces)
        found_NC = logits_NC if is_number else self._classifier.probabilities(logits_NC)
        return found_NC.max(0).astype(np.float32)


class Tags:
    """`entities` with their places in characters where tags are BIO, else `tags`, one a word."""

    def __init__(self, tagger: Tagger) -> None:
        self.model = tagger.model
        self.encoder = tagger.model.model
        self.tokenizer = tagger.tokenizer
        self.cutter: Cutter = WordCutter(tagger)
        self.key = ("words", tagger.longest)
        self._tagger = tagger

    def read(self, hidden: Float[Tensor, "T D"], packed: Packed) -> list[np.ndarray]:
        """Logits of each piece's tokens."""
        logits_TC = self._tagger.model.classify(hidden).float().cpu().numpy()
        return np.split(logits_TC, np.cumsum(packed.lengths)[:-1])

    def columns(self, cuts: Sequence[Cut], results: Sequence[Sequence[np.ndarray]], long: Long) -> dict[str, pa.Array]:
        """A list a document."""
        found = [self._tagged(cut, pieces) for cut, pieces in zip(cuts, results, strict=True)]
        if self._tagger.is_bio:
            rows = [[(e.start, e.end, e.label, e.score) for e in each.entities] for each in found]
            return {"entities": pa.array([list(map(_span, row)) for row in rows], _SPANS)}
        rows = [[(*s, t, x) for s, t, x in zip(each.spans, each.tags, each.scores, strict=True)] for each in found]
        return {"tags": pa.array([list(map(_span, row)) for row in rows], _SPANS)}

    def _tagged(self, cut: Cut, pieces: Sequence[np.ndarray]) -> Tagged:
        words, parts = cut.meant  # type: ignore[misc]
        return self._tagger.read(words, parts, pieces)


_SPANS = pa.list_(
    pa.struct([("start", pa.int32()), ("end", pa.int32()), ("label", pa.string()), ("score", pa.float32())])
)


def _span(found: tuple[int, int, str, float]) -> dict[str, object]:
    start, end, label, score = found
    return {"start": start, "end": end, "label": label, "score": score}


def _joined(pieces: Sequence[np.ndarray], weights: Sequence[int], long: Long) -> np.ndarray:
    if len(pieces) == 1:
        return pieces[0]
    if long == "chunk-max":
        return np.max(np.stack(pieces), axis=0)
    return np.average(np.stack(pieces), axis=0, weights=weights).astype(np.float32)
