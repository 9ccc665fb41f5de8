"""Texts to vectors, with sentence-transformers' verbs.

Shapes:  N texts   D width
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import numpy as np
from jaxtyping import Float
from torch import Tensor

from modernbert.infer.engine import Engine, Room, TooLong, longest_text
from modernbert.model.encoder import Encoder
from modernbert.model.hub import folder_of, tokenizer_folder
from modernbert.model.pool import Pooling, pool
from modernbert.model.store import Dtype, load
from modernbert.ops.packed import Packed
from modernbert.text.tokenizer import Tokenizer


class Embedder:
    """An encoder and its tokenizer, giving one vector a text."""

    def __init__(self, encoder: Encoder, tokenizer: Tokenizer, *, pooling: Pooling, too_long: TooLong) -> None:
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.pooling: Pooling = pooling
        longest = longest_text(encoder.config, tokenizer)
        self.engine = Engine(encoder, tokenizer, Room(longest=longest, too_long=too_long))

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        pooling: Pooling | None = None,
        too_long: TooLong = "truncate",
        dtype: Dtype = "auto",
        device: str = "cpu",
    ) -> Self:
        """From a packaged model ("nano"), a folder or a Hub id; any task's checkpoint gives its encoder.

        Args:
            source: the bare name of a packaged model means its `embedding` head, where it has one.
            pooling: absent: what the model's config says.
        """
        folder = folder_of(source, head="embedding")
        encoder = load(folder, Encoder, dtype=dtype, device=device)
        return cls(
            encoder,
            Tokenizer.load(tokenizer_folder(folder)),
            pooling=pooling or encoder.config.classifier_pooling,
            too_long=too_long,
        )

    def encode(
        self, texts: Iterable[str], *, normalize_embeddings: bool = False, show_progress_bar: bool = False
    ) -> Float[np.ndarray, "N D"]:
        """One float32 row a text, in order. An empty text is [CLS][SEP] and gets a vector like any other."""
        if isinstance(texts, str):
            raise TypeError("encode takes a list of texts: found one string, write encode([text])")
        rows = list(self.engine.run(texts, self._read, show_progress=show_progress_bar))
        if not rows:
            return np.zeros((0, self.encoder.config.hidden_size), dtype=np.float32)
        vectors_ND = np.stack(rows)
        return _unit(vectors_ND) if normalize_embeddings else vectors_ND

    def encode_query(self, texts: Iterable[str]) -> Float[np.ndarray, "N D"]:
        """Vectors of questions; the same as `encode` for a model without prompts."""
        return self.encode(texts)

    def encode_document(self, texts: Iterable[str]) -> Float[np.ndarray, "N D"]:
        """Vectors of documents; the same as `encode` for a model without prompts."""
        return self.encode(texts)

    def embed(self, packed: Packed) -> Float[Tensor, "N D"]:
        """The same for who already has tokens: a tensor, with gradients if they are on."""
        return pool(self.encoder(packed), packed, self.pooling)

    @staticmethod
    def similarity(queries: Float[np.ndarray, "Q D"], documents: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "Q N"]:
        """Cosines."""
        return _unit(queries) @ _unit(documents).T

    def _read(self, packed: Packed) -> Sequence[np.ndarray]:
        return list(self.embed(packed).float().cpu().numpy())


def _unit(vectors: Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-12)
