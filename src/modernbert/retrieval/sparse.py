"""Texts to weights of words: SPLADE (Formal et al. 2021, arXiv 2109.10086), with sentence-transformers' verbs.

A masked language model says for every token which words could stand there; the largest of these, dampened, is a word's
weight in the text. Most are zero, so vectors are sparse, and an inverted index can hold them.

Shapes:  N texts   T tokens   D width   V vocabulary   Q queries
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from modernbert.core.errors import CheckpointError, UserError, require
from modernbert.infer.engine import Engine, Room, TooLong
from modernbert.infer.read import Read
from modernbert.model.heads import MaskedLM
from modernbert.model.hf_config import from_file
from modernbert.model.hub import folder_of, tokenizer_folder
from modernbert.model.store import Dtype, load
from modernbert.ops.packed import Packed
from modernbert.retrieval.folder import Step, describe, longest_for, whole_number, write
from modernbert.retrieval.prompts import Prompts, prompted
from modernbert.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_TOKENS = 256
"""Whose logits are in memory together: 50 MB with ModernBERT's vocabulary."""

Weights = tuple[np.ndarray, np.ndarray]
"""Ids of the words of one text, rising, and their weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Splade:
    """How logits become weights."""

    pooling: Literal["max", "sum"] = "max"
    activation: Literal["relu", "log1p_relu"] = "relu"
    """The first dampens once, the second twice."""

    @classmethod
    def of(cls, step: Step) -> "Splade":
        """From a folder's settings.

        Raises:
            CheckpointError: they say something else.
        """
        pooling = step.settings.get("pooling_strategy", "max")
        activation = step.settings.get("activation_function", "relu")
        if pooling not in ("max", "sum") or activation not in ("relu", "log1p_relu"):
            raise CheckpointError(
                f"{step.folder}: found the pooling {pooling!r} and the activation {activation!r}, expected max or sum, and "
                "relu or log1p_relu: correct the folder"
            )
        return cls(pooling=pooling, activation=activation)  # type: ignore[arg-type]


class SparseEncoder:
    """A masked language model and its tokenizer, giving a few weighted words a text."""

    def __init__(
        self,
        model: MaskedLM,
        tokenizer: Tokenizer,
        *,
        splade: Splade | None = None,
        longest: int | None = None,
        too_long: TooLong = "truncate",
        prompts: Prompts | None = None,
        max_active_dims: int | None = None,
        similarity_fn_name: Literal["dot", "cosine"] = "dot",
    ) -> None:
        """Put the parts together.

        Args:
            longest: tokens a text may have, special ones included; absent: what the model was trained for.
            max_active_dims: most words a text keeps, the heaviest; absent: all that weigh something.
        """
        self.model = model
        self.tokenizer = tokenizer
        self.splade = splade or Splade()
        self.prompts = prompts or Prompts()
        self.max_active_dims = max_active_dims
        self.similarity_fn_name = similarity_fn_name
        longest = longest or longest_for(model.config, tokenizer, None)
        self.engine = Engine(model, tokenizer, Room(longest=longest, too_long=too_long))

    @classmethod
    def from_pretrained(
        cls, source: str | Path, *, too_long: TooLong = "truncate", dtype: Dtype = "auto", device: str = "cpu"
    ) -> Self:
        """From a folder or Hub id of a SparseEncoder with SPLADE pooling, or of a masked language model.

        Args:
            source: the bare name of a packaged model means its `sparse` head, where it has one.

        Raises:
            CheckpointError: it holds no masked language model.
        """
        folder = folder_of(source, head="sparse")
        said = describe(folder)
        said.expect(("SpladePooling",), "a sparse encoder")
        config, architecture = from_file(said.model_folder / "config.json")
        if architecture != "ModernBertForMaskedLM":
            raise CheckpointError(
                f"{folder}: found {architecture or 'no architecture'}, expected ModernBertForMaskedLM, whose words are the "
                "dimensions: name a masked language model or a SparseEncoder of one"
            )
        similarity = said.settings.get("similarity_fn_name") or "dot"
        if similarity not in ("dot", "cosine"):
            raise CheckpointError(f"{folder}: similarity_fn_name: found {similarity!r}, expected dot or cosine")
        tokenizer = Tokenizer.load(tokenizer_folder(said.model_folder))
        return cls(
            load(said.model_folder, MaskedLM, dtype=dtype, device=device),
            tokenizer,
            splade=next((Splade.of(step) for step in said.steps[1:]), Splade()),
            longest=longest_for(config, tokenizer, said.max_length),
            too_long=too_long,
            prompts=Prompts.of(said.settings, folder),
            max_active_dims=whole_number(said.settings, "max_active_dims", folder),
            similarity_fn_name=similarity,  # type: ignore[arg-type]
        )

    def encode(
        self,
        texts: Iterable[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        max_active_dims: int | None = None,
        show_progress_bar: bool = False,
    ) -> "csr_matrix":
        """One row a text, [N, V], in order.

        Args:
            prompt_name: one of the folder's prompts, put before every text.
            prompt: the same in full.
            max_active_dims: most words a text keeps; absent: what the folder says.
        """
        if isinstance(texts, str):
            raise TypeError("encode takes a list of texts: found one string, write encode([text])")
        sparse = require("scipy.sparse", extra="retrieval")
        most = max_active_dims if max_active_dims is not None else self.max_active_dims
        if most is not None and most < 1:
            raise UserError(f"max_active_dims: found {most}, expected 1 or more, or none for all")
        given = prompted(texts, self.prompts.choose(prompt_name, prompt))
        rows = list(self.engine.run(given, Read(self.weights, (most,)), show_progress=show_progress_bar))
        starts = np.cumsum([0, *(len(ids) for ids, _ in rows)])
        ids = np.concatenate([ids for ids, _ in rows]) if rows else np.zeros(0, dtype=np.int32)
        weights = np.concatenate([weights for _, weights in rows]) if rows else np.zeros(0, dtype=np.float32)
        return sparse.csr_matrix((weights, ids, starts), shape=(len(rows), self.model.config.vocab_size))

    def encode_query(self, texts: Iterable[str], *, max_active_dims: int | None = None) -> "csr_matrix":
        """Weights of questions: `encode` with the folder's prompt for queries."""
        return self.encode(texts, prompt_name=self.prompts.for_queries, max_active_dims=max_active_dims)

    def encode_document(
        self, texts: Iterable[str], *, max_active_dims: int | None = None, show_progress_bar: bool = False
    ) -> "csr_matrix":
        """Weights of documents: `encode` with the folder's prompt for documents."""
        name = self.prompts.for_documents
        return self.encode(
            texts, prompt_name=name, max_active_dims=max_active_dims, show_progress_bar=show_progress_bar
        )

    def similarity(self, queries: "csr_matrix", documents: "csr_matrix") -> Float[np.ndarray, "Q N"]:
        """Dot products, or cosines where the folder says so."""
        scores_QN = (queries @ documents.T).toarray()
        if self.similarity_fn_name == "cosine":
            lengths_Q, lengths_N = (np.sqrt(each.multiply(each).sum(axis=1)) for each in (queries, documents))
            scores_QN = scores_QN / np.maximum(np.asarray(lengths_Q) @ np.asarray(lengths_N).T, 1e-12)
        return scores_QN

    def decode(self, vectors: "csr_matrix", top_k: int | None = None) -> list[list[tuple[str, float]]]:
        """The words of each row and their weights, heaviest first, spelled as the vocabulary does."""
        found = []
        for start, end in pairwise(vectors.indptr):
            ids, weights = vectors.indices[start:end], vectors.data[start:end]
            order = np.argsort(np.negative(weights), kind="stable")[:top_k]
            found.append([(self.tokenizer.token(int(ids[i])), float(weights[i])) for i in order])
        return found

    def weights(self, packed: Packed, most: int | None = None) -> list[Weights]:
        """Of each document. No more than a few hundred tokens' logits exist at a time."""
        hidden_TD = self.model.model(packed)
        pooled_NV = hidden_TD.new_zeros((packed.num_documents, self.model.config.vocab_size), dtype=torch.float32)
        for start in range(0, packed.num_tokens, _TOKENS):
            end = min(start + _TOKENS, packed.num_tokens)
            logits_TV = self.model.decoder(self.model.head(hidden_TD[start:end])).float()
            self._add(pooled_NV, logits_TV, packed.offsets, start, end)
        return [_sparse(self._dampened(row) if self.splade.pooling == "max" else row, most) for row in pooled_NV]

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a folder that sentence-transformers' SparseEncoder opens, with equal vectors.

        Raises:
            UserError: the folder holds something.
        """
        settings = {"pooling_strategy": self.splade.pooling, "activation_function": self.splade.activation}
        pooling = Step(kind="SpladePooling", settings={**settings, "embedding_dimension": self.model.config.vocab_size})
        write(
            folder,
            self.model,
            self.tokenizer,
            steps=[pooling],
            settings={
                "model_type": "SparseEncoder",
                "prompts": dict(self.prompts.named),
                "default_prompt_name": self.prompts.default,
                "similarity_fn_name": self.similarity_fn_name,
                "max_active_dims": self.max_active_dims,
            },
            transformer={"max_seq_length": self.engine.room.longest, "transformer_task": "fill-mask"},
        )

    def _add(self, pooled: Tensor, logits: Tensor, offsets: Sequence[int], start: int, end: int) -> None:
        """Take these tokens into their documents' rows. Dampening rises, so the largest is dampened once, at the end."""
        for number, (first, last) in enumerate(pairwise(offsets)):
            own = slice(max(first, start) - start, min(last, end) - start)
            if own.start >= own.stop:
                continue
            if self.splade.pooling == "max":
                torch.maximum(pooled[number], logits[own].amax(0), out=pooled[number])
            else:
                pooled[number] += self._dampened(logits[own].relu_()).sum(0)

    def _dampened(self, weights: Tensor) -> Tensor:
        weights = weights.log1p()
        return weights.log1p() if self.splade.activation == "log1p_relu" else weights


def _sparse(row: Tensor, most: int | None) -> Weights:
    ids = row.nonzero().squeeze(1)
    if most is not None and len(ids) > most:
        ids = row.topk(most).indices.sort().values
    return ids.cpu().numpy().astype(np.int32), row[ids].cpu().numpy()
