"""A small model for a few texts, run by NumPy in a process that has not imported torch, and need not: the import alone takes
longer than the answer. Measured in docs/decisions/024.

Only where it is faster, and everything about the folder is as expected; all else is left to torch, and so are its errors.
"""

import logging
import sys
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Literal

import numpy as np

from modernbert.infer.few import Given, are_few
from modernbert.infer.light import Head, Light
from modernbert.model.arrays import Weights, read_weights
from modernbert.model.config import ModelConfig
from modernbert.model.counts import forward_flops, num_parameters
from modernbert.model.hf_config import from_file
from modernbert.model.hub import tokenizer_folder
from modernbert.model.in_numpy import classify, decode, encode, pool
from modernbert.text.tokenizer import Tokenizer

MOST_WORK = 20_000_000_000
"""Floating-point operations of an answer: below a second on a core on which torch takes more than two to be imported, to load
and to warm up."""

READING = 200
"""Operations that take as long as to read one parameter."""

_ARCHITECTURES: dict[Head, str] = {
    "fill-mask": "ModernBertForMaskedLM",
    "text-classification": "ModernBertForSequenceClassification",
    "token-classification": "ModernBertForTokenClassification",
    "embedding": "ModernBertModel",
}

_log = logging.getLogger(__name__)


def open_instant(
    folder: Path, head: Head, texts: Sequence[Given], *, pooling: Literal["cls", "mean"] | None = None
) -> "Instant | None":
    """A folder of weights that gives this, for these texts; none where torch is here already, or is the faster way.

    Args:
        pooling: of embeddings; absent: what the config says.
    """
    if "torch" in sys.modules or not are_few(texts) or not (folder / "model.safetensors").is_file():
        return None
    config, architecture = from_file(folder / "config.json")
    if architecture != _ARCHITECTURES.get(head) or READING * num_parameters(config) > MOST_WORK:
        return None
    tokenizer = Tokenizer.load(tokenizer_folder(folder))
    if (work := _work(config, tokenizer, head, texts)) > MOST_WORK:
        return None
    if (weights := read_weights(folder, config, architecture)) is None:
        return None
    _log.info("%s: NumPy in float32, because %.2g operations are done before torch is imported", folder, work)
    return Instant(folder, config, tokenizer, weights, head=head, pooling=pooling or config.classifier_pooling)


class Instant(Light):
    """A folder of weights in NumPy."""

    def __init__(
        self,
        folder: Path,
        config: ModelConfig,
        tokenizer: Tokenizer,
        weights: Weights,
        *,
        head: Head,
        pooling: Literal["cls", "mean"],
    ) -> None:
        """Put the parts together.

        Args:
            head: one of those that `open_instant` opens.
            pooling: of heads that give a row a document.
        """
        width = {"fill-mask": config.vocab_size, "embedding": config.hidden_size}.get(head, len(config.labels))
        super().__init__(folder, config, tokenizer, head=head, width=width)
        self._weights = weights
        self._pooling: Literal["cls", "mean"] = pooling

    def _rows(self, documents: Sequence[Sequence[int]]) -> list[np.ndarray]:
        lengths = list(map(len, documents))
        x_TD = encode(self._weights, self.config, documents)
        if self.head in ("embedding", "text-classification"):
            pooled_ND = pool(x_TD, lengths, self._pooling)
            is_vector = self.head == "embedding"
            return list(pooled_ND if is_vector else classify(self._weights, self.config, pooled_ND))
        return np.split(self._each(x_TD), list(accumulate(lengths))[:-1])

    def _rows_at(self, documents: Sequence[Sequence[int]], places: Sequence[tuple[int, int]]) -> np.ndarray:
        starts = list(accumulate(map(len, documents), initial=0))
        x_TD = encode(self._weights, self.config, documents)
        return self._each(x_TD[[starts[number] + place for number, place in places]])

    def _each(self, x_MD: np.ndarray) -> np.ndarray:
        """Logits of tokens."""
        return (decode if self.head == "fill-mask" else classify)(self._weights, self.config, x_MD)


def _work(config: ModelConfig, tokenizer: Tokenizer, head: Head, texts: Sequence[Given]) -> int:
    """Operations that the answer takes, with the reading of the weights, in those that take as long."""
    whole = (text if isinstance(text, str) else " ".join(text) for text in texts)
    plain = [text.encode(errors="replace").decode() for text in whole]  # a text that is none is told of when it is read
    ids = tokenizer.encode(plain, special=False).ids
    special = len(tokenizer.enclose([]))
    num_masks = sum(each.count(tokenizer.mask_id) for each in ids) if head == "fill-mask" else 0
    lengths = [min(len(each) + special, config.max_position_embeddings) for each in ids]
    return forward_flops(config, lengths, num_predicted=num_masks) + READING * num_parameters(config)
