"""What is exported: a model with a head, what belongs to it, and what it computes, which the export has to match."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import nn

from modernbert.core import packaged
from modernbert.core.errors import CheckpointError, UnsupportedError, UserError
from modernbert.core.files import content_hash
from modernbert.export.graph import Graph
from modernbert.export.network import (
    Network,
    Shapes,
    write_classifier,
    write_embedder,
    write_late,
    write_masked_lm,
    write_states,
)
from modernbert.infer.engine import longest_text
from modernbert.infer.light import Head
from modernbert.model.encoder import Encoder
from modernbert.model.folder import is_half
from modernbert.model.heads import ARCHITECTURES, MaskedLM, Model, MultipleChoice, TokenClassifier
from modernbert.model.heads import QuestionAnswerer as Answerer
from modernbert.model.heads import SequenceClassifier as Classifier
from modernbert.model.hf_config import from_file
from modernbert.model.hub import folder_of, tokenizer_folder
from modernbert.model.store import encoder_of, load
from modernbert.ops.packed import Packed
from modernbert.retrieval.dense import Dense, Normalize, layers_of, width_behind
from modernbert.retrieval.folder import describe, longest_for
from modernbert.retrieval.late_folder import is_late, read_late
from modernbert.retrieval.pooling import Pool
from modernbert.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from modernbert.model.heads import Classifier as AnyClassifier

_KINDS: dict[Head, type[Model]] = {
    "fill-mask": MaskedLM,
    "text-classification": Classifier,
    "token-classification": TokenClassifier,
    "question-answering": Answerer,
    "multiple-choice": MultipleChoice,
    "embedding": Encoder,
    "late": Encoder,
    "trunk": Encoder,
}


_LONGEST_TEXT = 512
"""Tokens of those that exports are judged by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A model in float32 on the CPU."""

    name: str
    folder: Path
    head: Head
    model: Model
    tokenizer: Tokenizer
    longest: int
    pool: Pool
    behind: tuple[Dense | Normalize, ...]
    """Layers behind pooling, or behind every token."""
    is_half: bool
    """Whether its weights are stored in bfloat16, so that bfloat16 takes nothing from them."""

    @property
    def width(self) -> int:
        """Numbers in a row of what it gives."""
        config = self.model.config
        if self.head == "fill-mask":
            return config.vocab_size
        if self.head in ("text-classification", "token-classification"):
            return len(config.labels)
        if self.head in ("question-answering", "multiple-choice"):
            return 2 if self.head == "question-answering" else 1
        return width_behind(self.behind, config.hidden_size)

    def documents(self, texts: Sequence[str], purpose: str) -> list[list[int]]:
        """Ids of texts with a word in them, the beginnings of long ones.

        Raises:
            UserError: there is none, hence nothing for this purpose.
        """
        encoded = self.tokenizer.encode(texts, longest=min(self.longest, _LONGEST_TEXT))
        if found := [ids for ids in encoded.ids if len(ids) > 2]:
            return found
        raise UserError(f"found no text with a word in it, expected some to {purpose}: give others")

    def write(self, graph: Graph) -> Shapes:
        """Write it into a graph; gives the outputs."""
        network = Network(graph, encoder_of(self.model), prefix="" if isinstance(self.model, Encoder) else "model.")
        match self.head:
            case "fill-mask":
                return write_masked_lm(network, cast("MaskedLM", self.model))
            case "embedding":
                return write_embedder(network, self.pool.how, self.behind, self.width)
            case "late":
                return write_late(network, self.behind, self.width)
            case "trunk":
                return write_states(network)
        return write_classifier(network, cast("AnyClassifier", self.model))

    @torch.inference_mode()
    def rows(self, documents: Sequence[Sequence[int]]) -> Iterator[np.ndarray]:
        """One array a document, as `Exported.rows` gives them."""
        for document in documents:
            packed = Packed.from_lists([list(document)])
            found = self.model(packed)
            if self.head == "embedding":
                found = self.pool(found, packed)
            for layer in self.behind:
                found = layer(found)
            if self.head in ("text-classification", "multiple-choice", "embedding"):
                found = found[0]
            elif self.head == "question-answering":
                found = found.T
            yield found.float().numpy()

    @property
    def hash(self) -> str:
        """Of its folder; of a head inside the package, of what is signed."""
        if (self.folder / packaged.SUMS).is_file():
            return packaged.signature(self.folder)
        return content_hash(self.folder)


def read_source(name: str, head: Head | None) -> Source:
    """Open a model for exporting.

    Args:
        name: a packaged model, a folder or a Hub id.
        head: absent: what its files say it is.

    Raises:
        UserError: it has no such head, or no tokenizer.
        UnsupportedError: it does what a graph of padded ids cannot say.
    """
    folder = folder_of(name, head=head if head in ("embedding", "late") else None)
    said = describe(folder)
    own = said.model_folder
    config, architecture = from_file(own / "config.json")
    found = head or _head_of(folder, architecture)
    kind = _KINDS[found]
    if kind is not Encoder and ARCHITECTURES.get(architecture) is not kind:
        raise UserError(
            f"{name}: found {architecture or 'no architecture'}, expected a model with the head {found}: leave --head out, or "
            "name a model that was trained for it"
        )
    where = tokenizer_folder(own)
    if not (where / "tokenizer.json").is_file():
        raise CheckpointError(f"{where / 'tokenizer.json'} is missing, and an export needs it: fetch the folder again")
    tokenizer = Tokenizer.load(where)
    pool, behind = Pool(how=config.classifier_pooling), []
    if found == "embedding":
        said.expect(("Pooling", "Dense", "Normalize"), "an embedder")
        pool = next((Pool.of(step) for step in said.steps if step.kind == "Pooling"), pool)
        if not pool.with_prompt:
            raise UnsupportedError(
                f"{name}: leaves its prompt's tokens out of the mean, expected a mean over all: a graph does not know where a "
                "prompt ends"
            )
        behind = layers_of(said.steps)
    if found == "late":
        _, _, behind = read_late(folder, tokenizer)
    longest = longest_for(config, tokenizer, said.max_length) if found in ("embedding", "late") else None
    return Source(
        name=name,
        folder=folder,
        head=found,
        model=cast("Model", load(own, cast("type[nn.Module]", kind), dtype=torch.float32)),
        tokenizer=tokenizer,
        longest=longest or longest_text(config, tokenizer),
        pool=pool,
        behind=tuple(behind),
        is_half=is_half(own) and not any(isinstance(layer, Dense) for layer in behind),
    )


def _head_of(folder: Path, architecture: str) -> Head:
    if is_late(folder):
        return "late"
    if any(step.kind == "Pooling" for step in describe(folder).steps):
        return "embedding"
    if packaged.trunk_of(folder) and folder.name in ("embedding", "late"):
        return cast("Head", folder.name)
    kind = ARCHITECTURES.get(architecture, Encoder)
    fitting: list[Head] = [head for head, each in _KINDS.items() if each is kind and kind is not Encoder]
    return fitting[0] if fitting else "trunk"
