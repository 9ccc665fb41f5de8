"""Encoders with a task on top; module names are the stock checkpoints', so loading is identity both ways.

Shapes:  T tokens   N documents   M tokens predicted   D width   V vocabulary   C classes
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from modernbert.model.config import ModelConfig
from modernbert.model.encoder import Encoder
from modernbert.model.layers import layer_norm
from modernbert.model.pool import pool
from modernbert.ops.attention import Backend
from modernbert.ops.geglu import ACTIVATIONS
from modernbert.ops.loss import IGNORE, Prediction, masked_cross_entropy
from modernbert.ops.packed import Packed


class MaskedLM(nn.Module):
    """Predicts masked tokens; the decoder shares the embedding's weight when the config ties them."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Encoder(config)
        self.head = PredictionHead(config)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size, bias=config.decoder_bias)
        self.tie()

    def tie(self) -> None:
        """Make the decoder read the embedding's weight again, after either was replaced."""
        if self.config.tie_word_embeddings:
            self.decoder.weight = self.model.embeddings.tok_embeddings.weight

    def forward(
        self, packed: Packed, at: Int[Tensor, "M"] | None = None, *, backend: Backend = "auto"
    ) -> Float[Tensor, "M V"]:
        """Logits of the tokens `at` these places in the stream; without `at`, of all T (mind the memory)."""
        hidden_TD = self.model(packed, backend=backend)
        return self.decoder(self.head(hidden_TD if at is None else hidden_TD[at]))

    def loss(
        self, packed: Packed, labels: Int[Tensor, "T"], *, z_loss: float = 0.0, backend: Backend = "auto"
    ) -> Prediction:
        """Cross-entropy where `labels` is not -100; only those tokens pass the head, and never all logits at once."""
        at_M = (labels != IGNORE).nonzero().squeeze(1)
        return self.loss_at(packed, at_M, labels[at_M], z_loss=z_loss, backend=backend)

    def loss_at(
        self,
        packed: Packed,
        at: Int[Tensor, "M"],
        targets: Int[Tensor, "M"],
        *,
        z_loss: float = 0.0,
        backend: Backend = "auto",
    ) -> Prediction:
        """The same with the places already known: finding them on a GPU would wait for it."""
        hidden_MD = self.head(self.model(packed, backend=backend)[at])
        return masked_cross_entropy(hidden_MD, targets, self.decoder.weight, self.decoder.bias, z_loss=z_loss)


class Classifier(nn.Module):
    """What every classifier has: encoder, head, and one output a label."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Encoder(config)
        self.head = PredictionHead(config)
        self.drop = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(config.hidden_size, len(config.labels))

    def classify(self, hidden: Float[Tensor, "rows D"]) -> Float[Tensor, "rows C"]:
        """Logits, row by row."""
        return self.classifier(self.drop(self.head(hidden)))


class SequenceClassifier(Classifier):
    """One row of logits a document."""

    def forward(self, packed: Packed, *, backend: Backend = "auto") -> Float[Tensor, "N C"]:
        """Pool as the config says, then classify."""
        return self.classify(pool(self.model(packed, backend=backend), packed, self.config.classifier_pooling))

    def rows(self, packed: Packed) -> list[np.ndarray]:
        """The same as arrays in float32, one a document, [C]."""
        return list(self(packed).detach().float().cpu().numpy())


class MultipleChoice(SequenceClassifier):
    """One number a document, higher for the better choice; what belongs to one question is compared by the caller."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.classifier = nn.Linear(config.hidden_size, 1)  # whatever labels the config names, as stock


class TokenClassifier(Classifier):
    """One row of logits a token."""

    def forward(self, packed: Packed, *, backend: Backend = "auto") -> Float[Tensor, "T C"]:
        """Classify every token."""
        return self.classify(self.model(packed, backend=backend))

    def rows(self, packed: Packed) -> list[np.ndarray]:
        """The same as arrays in float32, one a document, a row a token."""
        return np.split(self(packed).detach().float().cpu().numpy(), np.cumsum(packed.lengths)[:-1])


class QuestionAnswerer(TokenClassifier):
    """Two logits a token: that the answer starts there, and that it ends there."""

    def __init__(self, config: ModelConfig) -> None:
        if len(config.labels) != 2:
            raise ValueError(
                f"labels: found {len(config.labels)}, expected 2 to answer questions (where an answer starts, where it "
                "ends): change the config"
            )
        super().__init__(config)

    def spans(self, packed: Packed, *, backend: Backend = "auto") -> tuple[Float[Tensor, "T"], Float[Tensor, "T"]]:
        """Start and end logits, one each a token."""
        start_T, end_T = self(packed, backend=backend).unbind(1)
        return start_T, end_T

    def rows(self, packed: Packed) -> list[np.ndarray]:
        """As arrays in float32, one a document: its start logits, and its end logits."""
        return [logits.T for logits in super().rows(packed)]


class PredictionHead(nn.Module):
    """Dense, activation, norm: between the encoder and every task."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size, bias=config.classifier_bias)
        self.activation = config.classifier_activation
        self.norm = layer_norm(config)

    def forward(self, hidden: Float[Tensor, "rows D"]) -> Float[Tensor, "rows D"]:
        """Row by row."""
        return self.norm(ACTIVATIONS[self.activation](self.dense(hidden)))


PARTS = frozenset({"head", "decoder", "classifier", "linear"})
"""First words of the tensors' names that are not the encoder's; `linear` is the projection in a Stanford ColBERT folder."""

Model = Encoder | MaskedLM | SequenceClassifier | MultipleChoice | TokenClassifier | QuestionAnswerer

ARCHITECTURES: dict[str, type[Model]] = {
    "ModernBertModel": Encoder,
    "ModernBertForMaskedLM": MaskedLM,
    "ModernBertForSequenceClassification": SequenceClassifier,
    "ModernBertForMultipleChoice": MultipleChoice,
    "ModernBertForTokenClassification": TokenClassifier,
    "ModernBertForQuestionAnswering": QuestionAnswerer,
}
"""Stock names, as config.json's `architectures` has them, and what they are here."""


def build(kind: type[Model], config: ModelConfig, *, on_meta: bool = False) -> Model:
    """A model without meaningful weights; `on_meta` without any memory for them either."""
    if not on_meta:
        return kind(config)
    with torch.device("meta"):
        return kind(config)
