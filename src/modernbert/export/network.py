"""ModernBERT as an ONNX graph: a padded batch in, states out, and the heads on it.

Layers with a window compute blocks of queries against three blocks of keys, never all against all. What is hidden gets
a large negative score and not minus infinity: a padded place outside every window sees nothing at all, and its row of
infinities would be a row of NaN.

Shapes:  B batch   L length   D width   H heads   K head size   C tokens of a block   n blocks   V vocabulary   M blanks
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from modernbert.core.errors import UnsupportedError
from modernbert.export.graph import Graph
from modernbert.model.config import Kind, ModelConfig
from modernbert.model.encoder import Encoder
from modernbert.model.heads import MaskedLM, MultipleChoice, PredictionHead, QuestionAnswerer, SequenceClassifier
from modernbert.model.layers import Layer
from modernbert.model.pool import Pooling
from modernbert.retrieval.dense import Dense, Normalize

if TYPE_CHECKING:
    from modernbert.model.heads import Classifier

HIDDEN = -30_000.0
"""The score of what is not to be seen: nothing beside any real one, and finite in half precision, too."""

Shapes = dict[str, tuple[str | int, ...]]


class Network:
    """Writes one encoder into a graph; heads follow."""

    def __init__(self, graph: Graph, encoder: Encoder, *, prefix: str) -> None:
        """Begin.

        Args:
            prefix: of the encoder's tensors' names in its checkpoint: "model." inside a task's model.
        """
        self.graph = graph
        self.encoder = encoder
        self.config: ModelConfig = encoder.config
        self.prefix = prefix

    def states(self) -> str:
        """[B, L, D] behind the final norm; what stands at padded places is finite, and means nothing."""
        graph, config, encoder = self.graph, self.config, self.encoder
        self._sizes()
        kinds = sorted(set(config.layer_kinds))
        angles = {kind: self._angles(kind) for kind in kinds}
        hidden = {kind: self._hidden(kind) for kind in kinds}
        table = encoder.embeddings.tok_embeddings.weight
        x = graph.rows("input_ids", f"{self.prefix}embeddings.tok_embeddings.weight", table)
        x = self.norm(x, f"{self.prefix}embeddings.norm", encoder.embeddings.norm)
        for number, (layer, kind) in enumerate(zip(encoder.layers, config.layer_kinds, strict=True)):
            assert isinstance(layer, Layer)
            x = self._layer(x, f"{self.prefix}layers.{number}", layer, kind, angles[kind], hidden[kind])
        return self.norm(x, f"{self.prefix}final_norm", encoder.final_norm)

    def pooled(self, states: str, how: Pooling) -> str:
        """[B, D]: the first token's state, or the mean over what is no padding."""
        graph = self.graph
        if how == "cls":
            return graph.op("Gather", states, graph.constant(0), axis=1)
        weights = graph.op("Unsqueeze", self._is_real, graph.constant([-1]))
        sums = graph.op("ReduceSum", graph.op("Mul", states, weights), graph.constant([1]), keepdims=0)
        counts = graph.op("ReduceSum", self._is_real, graph.constant([1]), keepdims=1)
        return graph.op("Div", sums, graph.op("Max", counts, graph.constant(1.0)))

    def head(self, x: str, head: PredictionHead) -> str:
        """Dense, activation, norm."""
        x = self.graph.linear(x, "head.dense.weight", head.dense.weight, head.dense.bias)
        return self.norm(self.activation(x, head.activation), "head.norm", head.norm)

    def norm(self, x: str, name: str, norm: nn.LayerNorm | nn.Identity) -> str:
        """LayerNorm; the first layer has none."""
        if isinstance(norm, nn.Identity):
            return x
        parts = [self.graph.vector(f"{name}.weight", norm.weight)]
        if norm.bias is not None:
            parts.append(self.graph.vector(f"{name}.bias", norm.bias))
        return self.graph.op("LayerNormalization", x, *parts, epsilon=norm.eps, axis=-1)

    def activation(self, x: str, name: str) -> str:
        """By Hugging Face's name, or the last word of torch's class."""
        graph = self.graph
        match name:
            case "gelu" | "GELU":
                return graph.op("Gelu", x)
            case "gelu_pytorch_tanh" | "gelu_new":
                return graph.op("Gelu", x, approximate="tanh")
            case "silu" | "swish" | "SiLU":
                return graph.op("Mul", x, graph.op("Sigmoid", x))
            case "relu" | "ReLU":
                return graph.op("Relu", x)
            case "Tanh" | "Sigmoid":
                return graph.op(name, x)
            case "Identity":
                return x
        raise UnsupportedError(f"found the activation {name!r}, which no exported graph has: choose another model")

    def behind(self, x: str, layers: Sequence[Dense | Normalize]) -> str:
        """sentence-transformers' layers behind pooling, or behind every token."""
        graph = self.graph
        for number, layer in enumerate(layers, start=1):
            if isinstance(layer, Normalize):
                length = graph.op("ReduceL2", x, graph.constant([-1]), keepdims=1)
                x = graph.op("Div", x, graph.op("Max", length, graph.constant(1e-12)))
                continue
            out = graph.linear(x, f"behind.{number}.weight", layer.linear.weight, layer.linear.bias)
            out = self.activation(out, layer.activation.rpartition(".")[2])
            if layer.has_residual:
                turned = hasattr(layer, "residual")
                x = graph.linear(x, f"behind.{number}.residual.weight", layer.residual.weight) if turned else x
                out = graph.op("Add", out, x)
            x = out
        return x

    def _layer(self, x: str, name: str, layer: Layer, kind: Kind, angles: tuple[str, str], hidden: str) -> str:
        graph = self.graph
        qkv = graph.linear(
            self.norm(x, f"{name}.attn_norm", layer.attn_norm),
            f"{name}.attn.Wqkv.weight", layer.attn.Wqkv.weight, layer.attn.Wqkv.bias,
        )  # fmt: skip
        q, k, v = self._heads(qkv, angles)
        seen = self._attend(q, k, v, hidden) if kind == "full_attention" else self._attend_near(q, k, v, hidden)
        together = graph.op(
            "Reshape", graph.op("Transpose", seen, perm=[0, 2, 1, 3]), graph.constant([0, 0, self.config.hidden_size])
        )
        out = graph.linear(together, f"{name}.attn.Wo.weight", layer.attn.Wo.weight, layer.attn.Wo.bias)
        x = graph.op("Add", x, out)
        both = graph.linear(
            self.norm(x, f"{name}.mlp_norm", layer.mlp_norm),
            f"{name}.mlp.Wi.weight", layer.mlp.Wi.weight, layer.mlp.Wi.bias,
        )  # fmt: skip
        value, gate = graph.several("Split", both, outputs=2, axis=-1, num_outputs=2)
        gated = graph.op("Mul", self.activation(value, self.config.hidden_activation), gate)
        out = graph.linear(gated, f"{name}.mlp.Wo.weight", layer.mlp.Wo.weight, layer.mlp.Wo.bias)
        return graph.op("Add", x, out)

    def _heads(self, qkv: str, angles: tuple[str, str]) -> tuple[str, str, str]:
        """Turned queries, divided by the root of K, and turned keys; and values: [B, H, L, K] each."""
        graph, (cos, sin) = self.graph, angles
        heads, size = self.config.num_attention_heads, self.config.head_dim
        width = self.config.hidden_size
        qk, v = graph.several("Split", qkv, graph.constant([2 * width, width]), outputs=2, axis=-1)
        qk = graph.op("Reshape", qk, graph.constant([0, 0, 2 * heads, size]))
        one, other = graph.several("Split", qk, outputs=2, axis=-1, num_outputs=2)
        crossed = graph.op("Concat", graph.op("Neg", other), one, axis=-1)
        turned = graph.op("Add", graph.op("Mul", qk, cos), graph.op("Mul", crossed, sin))
        turned = graph.op("Transpose", turned, perm=[0, 2, 1, 3])
        q, k = graph.several("Split", turned, outputs=2, axis=1, num_outputs=2)
        v = graph.op("Reshape", v, graph.constant([0, 0, heads, size]))
        return graph.op("Mul", q, graph.constant(size**-0.5)), k, graph.op("Transpose", v, perm=[0, 2, 1, 3])

    def _attend(self, q: str, k: str, v: str, hidden: str, *, turns: tuple[int, ...] = (0, 1, 3, 2)) -> str:
        """Plain attention over the last two axes; `turns` swaps them in the keys."""
        graph = self.graph
        scores = graph.op("Add", graph.op("MatMul", q, graph.op("Transpose", k, perm=turns)), hidden)
        return graph.op("MatMul", graph.op("Softmax", scores, axis=-1), v)

    def _attend_near(self, q: str, k: str, v: str, hidden: str) -> str:
        """[B, H, n, C, K] queries on [B, H, n, 3C, K] keys."""
        graph, size = self.graph, self.config.head_dim
        ends = graph.op("Concat", graph.constant([0] * 6), self._missing, graph.constant([0]), axis=0)
        q = graph.op("Pad", q, ends)
        q = graph.op("Reshape", q, graph.constant([0, 0, -1, self._block, size]))
        seen = self._attend(q, self._neighbours(k), self._neighbours(v), hidden, turns=(0, 1, 2, 4, 3))
        seen = graph.op("Reshape", seen, graph.constant([0, 0, -1, size]))
        return graph.op("Slice", seen, graph.constant([0]), self._length, graph.constant([2]))

    def _neighbours(self, x: str) -> str:
        """[B, H, L, K] to [B, H, n, 3C, K]: each block between those before and behind it."""
        graph, block = self.graph, self._block
        front, none = graph.constant([0, 0, block, 0, 0, 0]), graph.constant([0])
        x = graph.op("Pad", x, graph.op("Concat", front, self._missing_behind, none, axis=0))
        x = graph.op("Reshape", x, graph.constant([0, 0, -1, block, self.config.head_dim]))
        return graph.op("Concat", *self._three(x, axis=2), axis=3)

    def _three(self, x: str, *, axis: int) -> list[str]:
        """Blocks but the last two, but the first and last, but the first two."""
        graph = self.graph
        ends = ((0, -2), (1, -1), (2, np.iinfo(np.int64).max))
        return [
            graph.op("Slice", x, graph.constant([start]), graph.constant([end]), graph.constant([axis]))
            for start, end in ends
        ]

    def _sizes(self) -> None:
        graph = self.graph
        self._block = max(1, self.config.window_reach)
        block = graph.constant([self._block])
        self._is_real = graph.op("Cast", "attention_mask", to=1)  # 1 is ONNX's float32
        self._length = graph.op("Slice", graph.op("Shape", "input_ids"), *(graph.constant([n]) for n in (1, 2)))
        over = graph.op("Mod", self._length, block)
        self._missing = graph.op("Mod", graph.op("Sub", block, over), block)
        """Places between L and the next multiple of C."""
        self._missing_behind = graph.op("Add", self._missing, block)

    def _angles(self, kind: Kind) -> tuple[str, str]:
        """Cosines and sines [L, 1, K] of positions 0 to L - 1, in float32 as the package computes them."""
        graph, size = self.graph, self.config.head_dim
        exponents = torch.arange(0, size, 2, dtype=torch.float) / size
        frequencies = (1.0 / (self.config.theta(kind) ** exponents)).repeat(2).numpy()
        last = graph.op("Squeeze", self._length, graph.constant([0]))
        places = graph.op("Cast", graph.op("Range", graph.constant(0), last, graph.constant(1)), to=1)
        places = graph.op("Unsqueeze", places, graph.constant([1, 2]))
        angles = graph.op("Mul", places, graph.constant(frequencies))
        return graph.op("Cos", angles), graph.op("Sin", angles)

    def _hidden(self, kind: Kind) -> str:
        """What is added to scores: [B, 1, 1, L], or [B, 1, n, C, 3C] where there is a window."""
        graph, block = self.graph, self._block
        keys = graph.op("Mul", graph.op("Sub", self._is_real, graph.constant(1.0)), graph.constant(-HIDDEN))
        if kind == "full_attention":
            return graph.op("Unsqueeze", keys, graph.constant([1, 2]))
        ends = graph.op("Concat", graph.constant([0, block, 0]), self._missing_behind, axis=0)
        keys = graph.op("Pad", keys, ends, graph.constant(HIDDEN))
        keys = graph.op("Reshape", keys, graph.constant([0, -1, block]))
        keys = graph.op("Concat", *self._three(keys, axis=1), axis=2)
        keys = graph.op("Unsqueeze", keys, graph.constant([1, 3]))
        ahead = np.arange(-block, 2 * block)[None] - np.arange(block)[:, None]
        outside = np.where(np.abs(ahead) <= self.config.window_reach, 0.0, HIDDEN)
        return graph.op("Min", keys, graph.constant(outside))


def write_masked_lm(network: Network, model: MaskedLM) -> Shapes:
    """Logits of every token over the vocabulary."""
    _write_logits(network, model, network.states())
    return {"logits": ("batch_size", "sequence_length", model.config.vocab_size)}


def write_blanks(network: Network, model: MaskedLM, mask_id: int) -> Shapes:
    """Logits [M, V] where a text says [MASK], row by row of the batch: the rest of them is most of the work, and is not read."""
    graph = network.graph
    found = graph.op("NonZero", graph.op("Equal", "input_ids", graph.constant(mask_id)))
    at = graph.op("Transpose", found, perm=[1, 0])
    _write_logits(network, model, graph.op("GatherND", network.states(), at))
    return {"logits": ("blanks", model.config.vocab_size)}


def _write_logits(network: Network, model: MaskedLM, states: str) -> None:
    name = "decoder.weight"
    if model.config.tie_word_embeddings:
        name = f"{network.prefix}embeddings.tok_embeddings.weight"
    logits = network.graph.scores(network.head(states, model.head), name, model.decoder.weight)
    if model.decoder.bias is not None:
        logits = network.graph.op("Add", logits, network.graph.vector("decoder.bias", model.decoder.bias))
    network.graph.rename(logits, "logits")


def write_classifier(network: Network, model: "Classifier") -> Shapes:
    """Logits of every document, of every token, or of where answers start and end."""
    states = network.states()
    is_pooled = isinstance(model, SequenceClassifier)
    x = network.pooled(states, model.config.classifier_pooling) if is_pooled else states
    weight, bias = model.classifier.weight, model.classifier.bias
    logits = network.graph.linear(network.head(x, model.head), "classifier.weight", weight, bias)
    if isinstance(model, QuestionAnswerer):
        parts = network.graph.several("Split", logits, outputs=2, axis=-1, num_outputs=2)
        names = ("start_logits", "end_logits")
        for name, part in zip(names, parts, strict=True):
            network.graph.rename(network.graph.op("Squeeze", part, network.graph.constant([-1])), name)
        return dict.fromkeys(names, ("batch_size", "sequence_length"))
    network.graph.rename(logits, "logits")
    num_labels = 1 if isinstance(model, MultipleChoice) else len(model.config.labels)
    return {"logits": ("batch_size", *(() if is_pooled else ("sequence_length",)), num_labels)}


def write_states(network: Network) -> Shapes:
    """States of every token."""
    network.graph.rename(network.states(), "last_hidden_state")
    return {"last_hidden_state": ("batch_size", "sequence_length", network.config.hidden_size)}


def write_embedder(network: Network, how: Pooling, behind: Sequence[Dense | Normalize], width: int) -> Shapes:
    """One vector a document, and the states that it is made of, as sentence-transformers' readers want them."""
    states = network.states()
    network.graph.rename(states, "last_hidden_state")
    network.graph.rename(network.behind(network.pooled(states, how), behind), "sentence_embedding")
    return {
        "last_hidden_state": ("batch_size", "sequence_length", network.config.hidden_size),
        "sentence_embedding": ("batch_size", width),
    }


def write_late(network: Network, behind: Sequence[Dense | Normalize], width: int) -> Shapes:
    """One vector a token."""
    network.graph.rename(network.behind(network.states(), behind), "token_embeddings")
    return {"token_embeddings": ("batch_size", "sequence_length", width)}
