"""Documents to columns: every model of a recipe, loaded once, each trunk run once.

What comes out of a window is a function of its texts and the recipe alone: batches have a fixed budget, and nothing here
looks at a clock. Not for files: see `work.py`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import torch

from modernbert.bulk.config import Model, Recipe
from modernbert.bulk.cutting import Cut
from modernbert.bulk.heads import Head, open_head
from modernbert.core.errors import UserError
from modernbert.core.files import content_hash
from modernbert.infer.engine import Engine, Room
from modernbert.model.config import ModelConfig
from modernbert.model.encoder import Encoder
from modernbert.model.hub import folder_of
from modernbert.ops.packed import Packed
from modernbert.retrieval.search.encoders import fingerprint_of
from modernbert.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A window of documents, tokenised."""

    cuts: list[list[Cut]]
    """For each pass, one a document."""

    @property
    def num_tokens(self) -> int:
        """Tokens that will pass through trunks, special ones included."""
        return sum(len(piece) for cuts in self.cuts for cut in cuts for piece in cut.pieces)

    @property
    def num_long(self) -> int:
        """Documents longer than a model takes."""
        return sum(any(len(c.pieces) > 1 or c.num_unread for c in each) for each in zip(*self.cuts, strict=True))

    @property
    def num_unread(self) -> int:
        """Tokens that no model read."""
        return sum(cut.num_unread for cuts in self.cuts for cut in cuts)


@dataclass(frozen=True, slots=True)
class _Pass:
    """One run of a trunk, and the heads that read it."""

    engine: Engine
    heads: dict[str, Head]


class Annotator:
    """The models of a recipe. Holds no state of a job."""

    def __init__(self, recipe: Recipe) -> None:
        """Load them.

        Raises:
            UserError: a model is not there, is none that can annotate, or is not the one that the job began with.
        """
        self.recipe = recipe
        heads = {model.name: _opened(model, recipe) for model in recipe.models}
        self._passes = _passes(heads, recipe)

    @property
    def num_passes(self) -> int:
        """How often the tokens of a document go through a trunk."""
        return len(self._passes)

    def prepare(self, texts: Sequence[str]) -> Prepared:
        """Tokenise a window. May be called in a thread beside `annotate`."""
        long = self.recipe.long
        return Prepared(cuts=[next(iter(p.heads.values())).cutter.cut(texts, long) for p in self._passes])

    def annotate(self, prepared: Prepared) -> dict[str, pa.Array]:
        """Columns of one row a document: for each pass `tokens`, `pieces` and `unread`, then those of its heads."""
        columns: dict[str, pa.Array] = {}
        for run, cuts in zip(self._passes, prepared.cuts, strict=True):
            before = _prefix(next(iter(run.heads))) if len(self._passes) > 1 else ""
            columns[f"{before}tokens"] = pa.array([cut.num_tokens for cut in cuts], pa.int32())
            columns[f"{before}pieces"] = pa.array([len(cut.pieces) for cut in cuts], pa.int32())
            columns[f"{before}unread"] = pa.array([cut.num_unread for cut in cuts], pa.int32())
            columns |= self._run(run, cuts)
        return columns

    def _run(self, run: _Pass, cuts: Sequence[Cut]) -> dict[str, pa.Array]:
        heads = list(run.heads.values())
        encoder = heads[0].encoder

        def read(packed: Packed) -> list[tuple[np.ndarray, ...]]:
            hidden_TD = encoder(packed)
            return list(zip(*(head.read(hidden_TD, packed) for head in heads), strict=True))

        results = iter(run.engine.run_window([piece for cut in cuts for piece in cut.pieces], read))
        groups = [[next(results) for _ in cut.pieces] for cut in cuts]
        columns: dict[str, pa.Array] = {}
        for number, (name, head) in enumerate(run.heads.items()):
            own = head.columns(cuts, [[piece[number] for piece in group] for group in groups], self.recipe.long)
            columns |= {f"{_prefix(name)}{column}": array for column, array in own.items()}
        return columns


def fingerprint(source: str) -> str:
    """A hash of a model's files: weights, settings, tokenizer."""
    return fingerprint_of(folder_of(source, head="embedding"))


def _opened(model: Model, recipe: Recipe) -> Head:
    head = open_head(model.source, dtype=recipe.dtype, device=recipe.device)
    # Weights may be mapped from their file: one that is written over must not change what is under way.
    for parameter in head.model.parameters():
        parameter.data = parameter.data.clone()
    if model.fingerprint and fingerprint(model.source) != model.fingerprint:
        raise UserError(
            f"{model.source} is not the model that this job began with (its files have changed): put the first one back and "
            "run again, or annotate into another folder; what is finished is kept"
        )
    return head


def _passes(heads: dict[str, Head], recipe: Recipe) -> list[_Pass]:
    """Heads on equal trunks are put together, whichever folders they came from."""
    groups: dict[tuple[object, ...], dict[str, Head]] = {}
    for name, head in heads.items():
        # Matrices in 8 bits are no tensors that could be compared.
        key = (
            (name,)
            if recipe.dtype == "int8"
            else (_hash_of(head.encoder), _hash_of_tokenizer(head.tokenizer), *head.key)
        )
        groups.setdefault(key, {})[name] = head
    found = []
    for group in groups.values():
        first, *others = group.values()
        for head in others:
            head.encoder.to("meta")  # its weights are those of the first
        longest = first.encoder.config.max_position_embeddings
        engine = Engine(first.encoder, first.tokenizer, Room(longest=longest, budget=recipe.batch_tokens))
        found.append(_Pass(engine, group))
    return found


def _hash_of(encoder: Encoder) -> str:
    """Of what it computes: its weights, and its config less what heads are made by."""
    plain = replace(encoder.config, **{name: getattr(_PLAIN, name) for name in _OF_HEADS})
    whole = hashlib.sha256(repr(plain).encode())
    for name, tensor in encoder.state_dict().items():
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        whole.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


def _hash_of_tokenizer(tokenizer: Tokenizer) -> str:
    with TemporaryDirectory() as folder:
        tokenizer.save(folder)
        return content_hash(folder)


def _prefix(name: str) -> str:
    return f"{name}_" if name else ""


_PLAIN = ModelConfig()
_OF_HEADS = (
    "labels",
    "problem_type",
    "classifier_pooling",
    "classifier_dropout",
    "decoder_bias",
    "tie_word_embeddings",
)
