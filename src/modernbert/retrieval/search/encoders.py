"""The model of an index: a vector a text, and a vector a token where the folder is one of late interaction.

Shapes:  N texts   D width of a text's vector   T tokens of a text   P width of a token's vector
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from jaxtyping import Float

from modernbert.core.files import content_hash
from modernbert.core.packaged import HEADS
from modernbert.retrieval.index.manifest import Settings

if TYPE_CHECKING:  # torch takes seconds to import, and a search by words alone needs none
    from modernbert.retrieval.embedder import Embedder
    from modernbert.retrieval.late import LateInteraction
    from modernbert.text.tokenizer import Span, Tokenizer

Vectors = tuple[Float[np.ndarray, "D"], Float[np.ndarray, "T P"] | None]
"""Of one text: its own, and its tokens'."""


class Encoders:
    """What turns chunks and questions into vectors."""

    def __init__(self, model: "Embedder | LateInteraction", settings: Settings) -> None:
        self.model = model
        self.settings = settings
        """What an index of these vectors is made with."""

    @classmethod
    def open(cls, source: str | Path) -> Self:
        """A packaged model (its `embedding` head, unless the name says another), a folder or a Hub id.

        Raises:
            CheckpointError: there is no such model.
        """
        from modernbert.model.hub import folder_of
        from modernbert.retrieval.embedder import Embedder
        from modernbert.retrieval.late import LateInteraction
        from modernbert.retrieval.late_folder import is_late

        folder = folder_of(source, head="embedding")
        fingerprint = fingerprint_of(folder)
        if is_late(folder):
            late = LateInteraction.from_pretrained(folder)
            size = late.width
            return cls(
                late, Settings(model=str(source), model_hash=fingerprint, vector_size=size, tokens_size=size)
            )  # fmt: skip
        embedder = Embedder.from_pretrained(folder)
        width = embedder.truncate_dim or embedder.width
        similarity = "dot" if embedder.similarity_fn_name == "dot" else "cosine"
        return cls(
            embedder, Settings(model=str(source), model_hash=fingerprint, vector_size=width, similarity=similarity)
        )  # fmt: skip

    @property
    def tokenizer(self) -> "Tokenizer":
        """To count with."""
        return self.model.tokenizer

    def documents(self, texts: Sequence[str]) -> list[Vectors]:
        """Of chunks, in order."""
        from modernbert.retrieval.late import LateInteraction

        if isinstance(self.model, LateInteraction):
            return [self._with_mean(tokens) for tokens in self.model.encode_document(texts)]
        return [(vector, None) for vector in self.model.encode_document(texts)]

    def query(self, text: str) -> Vectors:
        """Of a question."""
        from modernbert.retrieval.late import LateInteraction

        if isinstance(self.model, LateInteraction):
            return self._with_mean(self.model.encode_query([text])[0])
        return self.model.encode_query([text])[0], None

    def token_spans(self, texts: Sequence[str]) -> "list[list[Span]] | None":
        """Where the token of each row of `documents` stands in its text; none where rows are no single tokens."""
        from modernbert.retrieval.late import LateInteraction

        if not isinstance(self.model, LateInteraction) or self.model.settings.pool_factor > 1:
            return None
        return self.model.document_spans(texts)

    def _with_mean(self, tokens: Float[np.ndarray, "T P"]) -> Vectors:
        """Late interaction has no vector a text: the mean of its tokens' finds candidates, MaxSim then orders them."""
        if not len(tokens):
            return np.zeros(self.settings.vector_size, dtype=np.float32), None
        return tokens.astype(np.float64).mean(axis=0).astype(np.float32), tokens


def fingerprint_of(source: str | Path) -> str:
    """A hash of all that decides what a model's vectors are: weights, settings and tokenizer, those below an adapter too."""
    from modernbert.model.adapter_config import base_of, is_adapter
    from modernbert.model.hub import folder_of

    folder = folder_of(source, head="embedding")
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".safetensors", ".metadata")):
        inside = path.relative_to(folder)
        if inside.parts[0] != HEADS:
            whole.update(f"{inside.as_posix()}\n{content_hash(path)}\n".encode())
    if is_adapter(folder):
        whole.update(fingerprint_of(base_of(folder)).encode())
    return whole.hexdigest()
