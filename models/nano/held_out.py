"""How much of hidden text each model finds, by source: masked accuracy and bits a byte, beside counting alone.

    python models/nano/held_out.py HELD_OUT --shards SHARDS --models nano=FOLDER plain=FOLDER --out results/held-out.json

HELD_OUT and SHARDS are folders of token shards, one folder a source, as `modernbert data tokenize` writes them; where a source has
its own folder of what was held out (`--hold-out`), that is read. Every model
sees the same documents under the same masks (15 %, all shown as the recipe's evaluation shows them). Bits a byte are the
surprise of the hidden tokens over the bytes that they spell, so that vocabularies can be compared.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array

from modernbert.core.files import write_atomically
from modernbert.core.log import say
from modernbert.core.quantities import Tokens
from modernbert.core.script import as_script
from modernbert.core.seeds import Seeds
from modernbert.data.config import Rows
from modernbert.data.loader import MaskedBatch, held_out_rows
from modernbert.data.shards import Shards
from modernbert.data.tokenize import HELD_OUT
from modernbert.model.heads import MaskedLM
from modernbert.model.store import load
from modernbert.ops.loss import IGNORE

RATE = 0.15
CHUNK = 512
"""Predictions over the whole vocabulary at once."""

DISCOUNT = 0.75
"""Of a pair's count, given to words never seen after the left one (absolute discounting; Ney et al. 1994)."""


class Predictor(Protocol):
    """Log-probabilities of every token at the places asked about."""

    def log_probabilities(self, row: MaskedBatch, at: torch.Tensor) -> torch.Tensor:
        """[M, V] for the M places `at`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Of one source."""

    accuracy: float
    bits_per_byte: float
    loss: float
    """Nats a hidden token."""
    hidden: int
    """Tokens that were asked for."""


def main() -> None:
    """Ask everybody, write."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("held_out", type=Path)
    words.add_argument("--shards", type=Path, required=True, help="what was trained on: counting counts it")
    words.add_argument("--models", nargs="+", required=True, metavar="NAME=FOLDER")
    words.add_argument("--tokens", type=int, default=200_000, help="of each source")
    words.add_argument("--length", type=int, default=1024, help="longest document")
    words.add_argument("--out", type=Path, required=True)
    given = words.parse_args()
    held_out = {path.name: path for path in sorted(given.held_out.iterdir()) if path.is_dir()}
    held_out = {name: path / HELD_OUT if (path / HELD_OUT).is_dir() else path for name, path in held_out.items()}
    counted = Counted.over([Shards.open(given.shards / name) for name in held_out])
    predictors: dict[str, Predictor] = {"unigram": Unigram(counted), "bigram": Bigram(counted)}
    for word in given.models:
        name, _, folder = word.partition("=")
        predictors[name] = Trained(load(folder or name, MaskedLM, dtype=torch.float32))
    results: dict[str, dict[str, object]] = {}
    for name, folder in held_out.items():
        shards = Shards.open(folder)
        rows = Rows(length=Tokens(given.length), room=Tokens(max(8192, given.length)))
        seeds = Seeds(Seeds(0).for_("held out", name))
        batches = list(held_out_rows(shards, rows, rate=RATE, seeds=seeds, tokens=Tokens(given.tokens)))
        tokenizer = shards.tokenizer()
        sizes = np.array(
            [len(tokenizer.token(i)) for i in range(tokenizer.vocab_size)]
        )  # a letter of byte-level BPE is a byte
        for who, predictor in predictors.items():
            found = ask(predictor, batches, sizes)
            results.setdefault(who, {})[name] = asdict(found)
            say(f"{name}, {who}: {found.accuracy:.1%}, {found.bits_per_byte:.3f} bits a byte")
    with write_atomically(given.out, "w") as file:
        json.dump(results, file, indent=1)


def ask(predictor: Predictor, batches: Sequence[MaskedBatch], sizes: np.ndarray) -> Found:
    """Everything hidden in these rows."""
    correct, nats, hidden, spelt = 0, 0.0, 0, 0
    for row in batches:
        places = (row.labels != IGNORE).nonzero().squeeze(1)
        for at in places.split(CHUNK):
            if not at.numel():
                continue
            targets = row.labels[at]
            logs_MV = predictor.log_probabilities(row, at)
            correct += int((logs_MV.argmax(1) == targets).sum())
            nats -= float(logs_MV.gather(1, targets[:, None]).double().sum())
            hidden += at.numel()
            spelt += int(sizes[targets.numpy()].sum())
    return Found(accuracy=correct / hidden, bits_per_byte=nats / math.log(2) / spelt, loss=nats / hidden, hidden=hidden)


class Trained:
    """A masked language model; a row's hidden states are computed once."""

    def __init__(self, model: MaskedLM) -> None:
        self.model = model
        self._row: tuple[int, torch.Tensor] | None = None

    @torch.inference_mode()
    def log_probabilities(self, row: MaskedBatch, at: torch.Tensor) -> torch.Tensor:
        """See `Predictor`."""
        if self._row is None or self._row[0] != id(row):
            self._row = id(row), self.model.model(row.packed)
        return self.model.decoder(self.model.head(self._row[1][at])).log_softmax(-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Tokens, and which follows which, in what was trained on."""

    tokens: np.ndarray
    """Share of each, none of them 0."""
    pairs: csr_array
    """How often the second came right after the first, in one document."""

    @classmethod
    def over(cls, sources: Sequence[Shards]) -> "Counted":
        """Count them all."""
        size = sources[0].vocabulary.size
        counts, pairs = np.ones(size), csr_array((size, size), dtype=np.float32)
        for shards in sources:
            documents = [np.asarray(shards.tokens(i), dtype=np.int64) for i in range(len(shards))]
            stream = np.concatenate(documents)
            inside = np.ones(len(stream) - 1, dtype=bool)
            inside[np.cumsum([len(document) for document in documents])[:-1] - 1] = False
            counts += np.bincount(stream, minlength=size)
            left, right = stream[:-1][inside], stream[1:][inside]
            ones = np.ones(len(left), dtype=np.float32)
            pairs = pairs + coo_array((ones, (left, right)), shape=(size, size)).tocsr()
        return cls(tokens=counts / counts.sum(), pairs=csr_array(pairs))


class Unigram:
    """The same guess everywhere."""

    def __init__(self, counted: Counted) -> None:
        self.logs_V = torch.from_numpy(np.log(counted.tokens))

    def log_probabilities(self, row: MaskedBatch, at: torch.Tensor) -> torch.Tensor:
        """See `Predictor`."""
        return self.logs_V.expand(at.numel(), -1)


class Bigram:
    """What follows the token to the left, as the model's input shows it; after a hidden one, the unigram."""

    def __init__(self, counted: Counted) -> None:
        self.counted = counted
        self.totals_V = np.asarray(counted.pairs.sum(1))
        self.kinds_V = np.diff(counted.pairs.indptr)

    def log_probabilities(self, row: MaskedBatch, at: torch.Tensor) -> torch.Tensor:
        """See `Predictor`."""
        left_M = row.packed.ids[(at - 1).clamp(min=0)].numpy()
        counts_MV = self.counted.pairs[left_M].toarray()
        totals_M1 = np.maximum(self.totals_V[left_M], 1e-9)[:, None]
        left_over_M1 = np.where(self.totals_V[left_M] > 0, DISCOUNT * self.kinds_V[left_M] / totals_M1[:, 0], 1.0)[
            :, None
        ]
        shares_MV = np.maximum(counts_MV - DISCOUNT, 0) / totals_M1 + left_over_M1 * self.counted.tokens
        return torch.from_numpy(np.log(shares_MV))


if __name__ == "__main__":
    as_script(main)
